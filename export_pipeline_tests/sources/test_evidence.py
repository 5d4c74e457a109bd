"""A column gets a type only if every value survives it."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipeline.sources.evidence import TIMES, Evidence

INTEGER, FLOAT, TEXT, BIG = pl.Int64(), pl.Float64(), pl.String(), pl.Decimal(38, 0)
NAIVE, AWARE = pl.Datetime("us"), pl.Datetime("us", "UTC")

COLUMNS: list[tuple[list[str | None], pl.DataType]] = [
    (["1", "-2", "0"], INTEGER),
    (["9223372036854775807", "-9223372036854775808"], INTEGER),
    (["9223372036854775808"], BIG),
    (["18446744073709551615", "-1"], BIG),
    (["9" * 38], BIG),
    (["9" * 39], TEXT),
    (["1", "00123"], TEXT),
    (["007"], TEXT),
    (["00.5"], TEXT),
    (["+1"], TEXT),
    (["1 "], TEXT),
    (["1,5"], TEXT),
    (["1_000"], TEXT),
    (["0x1F"], TEXT),
    (["1", "2.5"], FLOAT),
    (["-0"], FLOAT),
    ([".5", "1e5", "1E-3", "-1.50"], FLOAT),
    (["0.30000000000000004"], FLOAT),
    (["0.1234567890123456789"], TEXT),
    (["9007199254740993", "0.5"], TEXT),
    (["9007199254740992", "0.5"], FLOAT),
    (["1e400"], TEXT),
    (["1.5", "NaN", "-inf"], FLOAT),
    (["NaN"], TEXT),
    (["inf", "nan"], TEXT),
    (["NA", "1"], TEXT),
    (["true", "False", "TRUE"], pl.Boolean()),
    (["true", "1"], TEXT),
    (["yes", "no"], TEXT),
    (["2024-02-29", "0001-01-01", "9999-12-31"], pl.Date()),
    (["2023-02-29"], TEXT),
    (["0000-01-01"], TEXT),
    (["20240229"], INTEGER),
    (["01/02/2024"], TEXT),
    (["2024-01-01", "n/a"], TEXT),
    (["2024-01-01", "2024-01-01 10:00"], TEXT),
    (["2024-01-01 10:00", "2024-01-01T10:00:00.5"], NAIVE),
    (["2024-01-01 24:00"], TEXT),
    (["2024-01-01 10"], TEXT),
    (["2024-01-01T10:00:00.1234567"], pl.Datetime("ns")),
    (["1500-01-01 10:00", "2024-01-01T10:00:00.1234567"], TEXT),
    (
        ["2024-01-01T10:00:00Z", "2024-01-01 10:00:00+02:00", "2024-01-01 10:00:00-0330", "2024-01-01 10:00:00+02"],
        AWARE,
    ),
    (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00"], TEXT),
    (["10:30:00"], TEXT),
    (["2024"], INTEGER),
    ([], TEXT),
    ([None, ""], TEXT),
    ([None, "", "5"], INTEGER),
]


def dtype_of(batches: list[list[str | None]]) -> pl.DataType:
    evidence = Evidence()
    for batch in batches:
        evidence.add(pl.Series(batch, dtype=pl.String))
    return evidence.dtype


@pytest.mark.parametrize(("values", "dtype"), COLUMNS, ids=lambda value: str(value)[:60])
def test_types(values: list[str | None], dtype: pl.DataType) -> None:
    assert dtype_of([values]) == dtype
    assert dtype_of([[value] for value in values]) == dtype
    assert dtype_of([[value] for value in reversed(values)]) == dtype


def test_the_last_row_counts() -> None:
    assert dtype_of([["1"] * 100_000, ["x"]]) == TEXT


def test_what_means_text_stays_text_where_only_times_are_looked_for() -> None:
    evidence = Evidence(TIMES, blank=False)
    evidence.add(pl.Series(["2024-01-01", ""]))
    assert evidence.dtype == TEXT
    evidence = Evidence(TIMES)
    evidence.add(pl.Series(["5"]))
    assert evidence.dtype == TEXT


values = st.one_of(
    st.integers(min_value=-(10**40), max_value=10**40).map(str),
    st.floats().map(repr),
    st.datetimes().map(str),
    st.datetimes(timezones=st.just(None)).map(lambda when: when.isoformat(timespec="minutes")),
    st.dates().map(str),
    st.booleans().map(str),
    st.sampled_from(["", "00123", "-0", "1e5", "x", "NaN", "Z", "2024-01-01T00:00:00+05:30"]),
    st.text(max_size=5),
)


@given(st.lists(st.lists(st.one_of(st.none(), values), max_size=4), max_size=4))
def test_every_value_can_be_read_as_the_type_found(batches: list[list[str | None]]) -> None:
    evidence = Evidence()
    for batch in batches:
        evidence.add(pl.Series(batch, dtype=pl.String))
    for batch in batches:
        text = pl.Series("c", batch, dtype=pl.String)
        read = evidence.read(text, evidence.dtype, "f.csv", 0)  # raises where one does not fit
        assert read.dtype == evidence.dtype
        assert read.is_null().to_list() == [
            value is None or (value == "" and evidence.dtype != TEXT) for value in batch
        ]
        for value, kept in zip(batch, read, strict=True):
            if isinstance(kept, int) and not isinstance(kept, bool):
                assert str(kept) == value
            if isinstance(kept, float) and value:
                assert kept == float(value) or kept != kept


def test_order_of_batches_does_not_matter() -> None:
    rows: list[list[str | None]] = [["1"], ["2.5"], ["9007199254740993"], ["x"]]
    assert {dtype_of([*rows[n:], *rows[:n]]) for n in range(4)} == {TEXT}
