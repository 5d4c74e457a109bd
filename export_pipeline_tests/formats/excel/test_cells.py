"""What cells hold, as three readers see it: ours, openpyxl's and calamine's."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from export_pipeline.errors import FormatError
from export_pipeline.formats.excel import Excel
from export_pipeline.formats.excel.values import DAY, EPOCH, LAST, serial
from export_pipeline_tests.formats.excel.written import by_calamine, by_openpyxl, plain, sheet, written

D = dt.datetime


def cells(path: Path) -> list[tuple[str | None, str]]:
    """Return kind and text of the cells of column A below the header, as written."""
    found = re.findall(r'<c r="A(?!1")\d+"(?: s="\d+")?(?: t="(\w+)")?>(?:<v>|<is><t[^>]*>)([^<]*)<', sheet(path))
    return [(kind or None, text) for kind, text in found]


# fmt: off
WRITTEN: list[tuple[pl.DataType, Any, tuple[str | None, str]]] = [
    (pl.Int64(), 10**15 - 1, (None, "999999999999999")),
    (pl.Int64(), 10**15, ("inlineStr", "1000000000000000")),
    (pl.Int64(), -(10**15), ("inlineStr", "-1000000000000000")),
    (pl.Int64(), 2**53 + 1, ("inlineStr", "9007199254740993")),
    (pl.Int64(), -(2**63), ("inlineStr", "-9223372036854775808")),
    (pl.UInt64(), 2**64 - 1, ("inlineStr", "18446744073709551615")),
    (pl.UInt64(), 7, (None, "7")),
    (pl.Int128(), 10**30, ("inlineStr", "1" + "0" * 30)),
    (pl.Decimal(38, 10), Decimal("12.5"), (None, "12.5000000000")),
    (pl.Decimal(38, 10), Decimal("1234567.89"), (None, "1234567.8900000000")),
    (pl.Decimal(38, 10), Decimal("123456789012345.6"), ("inlineStr", "123456789012345.6000000000")),
    (pl.Decimal(38, 10), Decimal("-0.0000000001"), (None, "-0.0000000001")),
    (pl.Decimal(20, 0), Decimal(10**15), ("inlineStr", "1000000000000000")),
    (pl.Decimal(20, 2), Decimal("9999999999999.99"), (None, "9999999999999.99")),
    (pl.Float64(), 0.1 + 0.2, (None, "0.30000000000000004")),
    (pl.Float64(), -0.0, (None, "0.0")),
    (pl.Float64(), 1e22, (None, "1e+22")),
    (pl.Boolean(), True, ("b", "1")),
    (pl.Boolean(), False, ("b", "0")),
    (pl.Date(), dt.date(1900, 2, 28), ("inlineStr", "1900-02-28")),
    (pl.Date(), dt.date(1900, 3, 1), (None, "61")),
    (pl.Date(), dt.date(1850, 1, 1), ("inlineStr", "1850-01-01")),
    (pl.Date(), dt.date(9999, 12, 31), (None, "2958465")),
    (pl.Datetime("us"), D(1900, 2, 28, 23, 59, 59, 999999), ("inlineStr", "1900-02-28T23:59:59.999999")),
    (pl.Datetime("us"), D(1900, 3, 1), (None, "61.0")),
    (pl.Datetime("us"), D(2024, 2, 29, 12), (None, "45351.5")),
    (pl.Datetime("us"), D(9999, 12, 31, 23, 59, 59, 999999), (None, "2958465.99999")),
    (pl.Datetime("us"), D(1899, 12, 31), ("inlineStr", "1899-12-31T00:00:00")),
    (pl.Time(), dt.time(18), (None, "0.75")),
    (pl.Duration("us"), dt.timedelta(hours=36), (None, "1.5")),
    (pl.Duration("us"), dt.timedelta(hours=-6), (None, "-0.25")),
    (pl.String(), "=1+1", ("inlineStr", "=1+1")),
    (pl.String(), "00123", ("inlineStr", "00123")),
    (pl.String(), "a\rb\x07", ("inlineStr", "a_x000D_b_x0007_")),
    (pl.String(), "_x0041_", ("inlineStr", "_x005F_x0041_")),
    (pl.String(), "_x0041_x0042_", ("inlineStr", "_x005F_x0041_x005F_x0042_")),
    (pl.String(), "_x0041\x01", ("inlineStr", "_x005F_x0041_x0001_")),
    (pl.String(), "<&>]]>", ("inlineStr", "&lt;&amp;&gt;]]&gt;")),
    (pl.Categorical(), "x", ("inlineStr", "x")),
    (pl.Binary(), b"\x00\xff", ("inlineStr", "AP8=")),
    (pl.List(pl.Int64), [1, None], ("inlineStr", "[1,null]")),
    (pl.Struct({"a": pl.Int64}), {"a": 1}, ("inlineStr", '{"a":1}')),
]
# fmt: on


@pytest.mark.parametrize(("dtype", "value", "expected"), WRITTEN, ids=lambda v: str(v)[:40])
def test_a_cell_is_written_as_it_should_be(
    dtype: pl.DataType, value: Any, expected: tuple[str | None, str], tmp_path: Path
) -> None:
    # The null beside it makes the column take the careful way; alone it takes the quick one.
    for values in ([value], [value, None, value]):
        artifact = written(pl.DataFrame({"x": pl.Series(values, dtype=dtype), "n": range(len(values))}), tmp_path)
        assert cells(artifact.path) == [expected for v in values if v is not None]


FINITE = {
    "empty": [],
    "text": [("inlineStr", "NaN"), ("inlineStr", "inf"), ("inlineStr", "-inf")],
    "error_value": [("e", "#NUM!"), ("e", "#DIV/0!"), ("e", "#DIV/0!")],
}


@pytest.mark.parametrize("policy", FINITE)
def test_what_becomes_of_values_that_are_no_numbers(policy: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [float("nan"), float("inf"), float("-inf"), 1.5, None]})
    artifact = written(frame, tmp_path, Excel.model_validate({"non_finite": policy}))
    assert cells(artifact.path) == [*FINITE[policy], (None, "1.5")]
    assert any("NaN" in loss.why for loss in artifact.losses)


def test_values_that_are_no_numbers_are_refused_where_asked(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"'x', row 2"):
        written(pl.DataFrame({"x": [1.0, float("nan")]}), tmp_path, Excel(non_finite="error"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["x" * 32_768, "\U0001f600" * 16_384, "ab" + "\U0001f600" * 16_383, "é" * 40_000])
def test_long_text_is_cut_at_what_a_cell_holds_and_never_through_a_character(text: str, tmp_path: Path) -> None:
    artifact = written(pl.DataFrame({"x": ["short", text, None]}), tmp_path)
    held = by_openpyxl(artifact.path)[1][0]
    assert text.startswith(held)
    assert 32_766 <= len(held.encode("utf-16-le")) // 2 <= 32_767
    assert "cut after 32,767" in artifact.losses[0].why


def test_many_long_texts_are_written_in_pieces_with_the_same_rows(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(1_500)}).with_columns(text=pl.format("{}" + "x" * 30_000, "n"))
    assert [row[1][:4] for row in by_calamine(written(frame, tmp_path).path)][-1] == "1499"


def test_text_that_just_fits_is_kept(tmp_path: Path) -> None:
    text = "é" * 32_767
    assert by_openpyxl(written(pl.DataFrame({"x": [text]}), tmp_path).path) == [[text]]


def test_binary_that_is_cut_is_still_base64(tmp_path: Path) -> None:
    import base64

    artifact = written(pl.DataFrame({"x": [bytes(range(256)) * 200]}), tmp_path)
    held = by_openpyxl(artifact.path)[0][0]
    assert base64.b64decode(held, validate=True) == (bytes(range(256)) * 200)[:24_573]


def test_spaces_are_kept_and_only_texts_that_need_it_say_so(tmp_path: Path) -> None:
    texts = [" a", "a ", "a\nb", "\t", "a b", "a", "  "]
    artifact = written(pl.DataFrame({"x": texts}), tmp_path)
    assert [row[0] for row in by_openpyxl(artifact.path)] == texts
    assert sheet(artifact.path).count('xml:space="preserve"') == 5 + 1  # and the header's


def test_zoned_times_are_the_wall_clock_and_the_loss_names_the_zone(tmp_path: Path) -> None:
    utc = [D(2025, 10, 26, 0, 30), D(2025, 10, 26, 1, 30), D(2025, 3, 30, 1, 0)]
    column = pl.Series("x", utc, dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone("Europe/Berlin")
    artifact = written(pl.DataFrame([column]), tmp_path)
    assert [row[0] for row in by_openpyxl(artifact.path)] == [
        D(2025, 10, 26, 2, 30), D(2025, 10, 26, 2, 30), D(2025, 3, 30, 3, 0),
    ]  # fmt: skip
    assert "wall clock of Europe/Berlin" in artifact.losses[0].why


def test_formulas_never_come_from_data(tmp_path: Path) -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0"]
    artifact = written(pl.DataFrame({"=A1": texts}), tmp_path)
    assert "<f" not in sheet(artifact.path).replace("<fo", "")
    page = openpyxl.load_workbook(artifact.path).worksheets[0]
    assert [cell.value for (cell,) in page.iter_rows()] == ["=A1", *texts]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_moments_until_2079_keep_their_microseconds(unit: Any, tmp_path: Path) -> None:
    first, last = -2_203_891_200_000_000, 3_453_235_200_000_000
    spread = pl.int_range(first, last, (last - first) // 20_000, eager=True)
    moments = (spread + spread.hash() % 1_000_003).clip(first, last - 1).cast(pl.Datetime("us")).dt.cast_time_unit(unit)
    form = Excel()
    held = form.render(pl.DataFrame({"x": moments}).lazy()).collect()["x"]
    assert held.equals(moments.dt.cast_time_unit("us"))
    written(pl.DataFrame({"x": moments}), tmp_path, form)


def test_later_moments_and_long_durations_are_the_nearest_double(tmp_path: Path) -> None:
    first, last = 3_453_235_200_000_000, 253_402_300_799_000_000  # 2079-06-06, 9999-12-31
    spread = pl.int_range(first, last, (last - first) // 5_000, eager=True)
    ticks = (spread + spread.hash() % 1_000_003).clip(first, last - 1)
    nearest = [float(Fraction(tick + EPOCH * DAY, DAY)) for tick in ticks]
    moments = ticks.cast(pl.Datetime("us"))
    assert pl.select(serial(pl.lit(moments))).to_series().to_list() == [min(day, LAST) for day in nearest]
    long = (ticks * pl.Series([1, -1] * len(ticks)).head(len(ticks))).cast(pl.Duration("us"))
    written(pl.DataFrame({"moment": [*moments, D(2186, 1, 1, 1, 24, 0, 4322)], "long": [*long, None]}), tmp_path)


VALUES: dict[str, tuple[pl.DataType, st.SearchStrategy[Any]]] = {
    "text": (pl.String(), st.text(max_size=40)),
    "escapes": (pl.String(), st.text(alphabet="_x0041F\r\x01 <&\n", max_size=24)),
    "int64": (pl.Int64(), st.integers(-(2**63), 2**63 - 1)),
    "int32": (pl.Int32(), st.integers(-(2**31), 2**31 - 1)),
    "float": (pl.Float64(), st.floats()),
    "decimal": (pl.Decimal(30, 6), st.decimals(-(10**20), 10**20, places=6)),
    "bool": (pl.Boolean(), st.booleans()),
    "date": (pl.Date(), st.dates()),
    "moment": (pl.Datetime("us"), st.datetimes()),
    "time": (pl.Time(), st.times()),
    "duration": (pl.Duration("us"), st.timedeltas(dt.timedelta(days=-9000), dt.timedelta(days=9000))),
}


ROW = st.fixed_dictionaries({name: st.none() | values for name, (_, values) in VALUES.items()})


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.fixed_dictionaries({n: st.none() | s for n, (_, s) in VALUES.items()}), max_size=12),
    data=st.data(),
)
def test_any_values_come_back_in_our_reader(rows: list[dict[str, Any]], data: st.DataObject, tmp_path: Path) -> None:
    frame = pl.DataFrame(rows, schema={name: dtype for name, (dtype, _) in VALUES.items()}, orient="row")
    form = Excel(compact=data.draw(st.booleans()), table=data.draw(st.sampled_from(["none", "TableStyleDark3"])))
    form._max_rows = data.draw(st.integers(2, 8))
    artifact = written(frame, tmp_path, form)
    held = form.render(frame.lazy()).collect()
    read = pl.concat([held.clear(), *form.read(artifact.path, held.schema)])
    assert_frame_equal(read, held)


def test_openpyxl_and_calamine_read_what_we_hold(tmp_path: Path) -> None:
    """The values of all types, in a mix of rows with and without nulls, equal in both readers."""
    n = 3_000
    frame = pl.DataFrame({"n": range(n)}).select(
        pl.col("n").alias("int"),
        (pl.col("n") / 7).alias("float"),
        pl.when(pl.col("n") % 3 > 0).then(pl.format("text {} <&>", "n")).alias("text"),
        pl.when(pl.col("n") % 17 > 0).then(pl.lit("plain")).alias("plain"),
        (pl.col("n") % 2 == 0).alias("bool"),
        (pl.col("n").cast(pl.Int64) * 10**13).alias("wide"),
        pl.lit(D(2000, 1, 1)).dt.offset_by(pl.format("{}d{}s", "n", pl.col("n") * 31 % 86_400)).alias("moment"),
        (pl.col("n") * 5 + 3).cast(pl.Int32).cast(pl.Date).alias("date"),
        pl.duration(seconds=pl.col("n") * 1000 + 1).alias("duration"),
        pl.duration(microseconds=pl.col("n") * 1_000_000).cast(pl.Int64).mul(1000).cast(pl.Time).alias("time"),
        (pl.col("n") * 3).cast(pl.Decimal(12, 2)).alias("decimal"),
    )  # fmt: skip
    artifact = written(frame, tmp_path)
    held = Excel().render(frame.lazy()).collect()
    expected = [
        [str(value) if name == "wide" and value >= 10**15 else plain(value) for name, value in row.items()]
        for row in held.iter_rows(named=True)
    ]
    assert by_openpyxl(artifact.path) == expected
    assert by_calamine(artifact.path) == expected
