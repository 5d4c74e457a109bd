"""ISO 8601 text of instants: as Polars writes it, for every unit, zone and year that there is."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from export_pipeline.formats.iso import iso

UNITS: dict[Literal["ms", "us", "ns"], int] = {"ms": 10**3, "us": 10**6, "ns": 10**9}
ZONES = [None, "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"]
DAY = 86_400


def written(moments: pl.Series) -> pl.Series:
    """Return the texts, which are the same by Arrow and by Polars."""
    rows = moments.to_frame().lazy()
    one, other = (
        rows.select(iso(pl.col(moments.name), frugal=frugal)).collect(engine="streaming").to_series()
        for frugal in (False, True)
    )
    assert_series_equal(one, other)
    return one


def seconds(unit: str) -> st.SearchStrategy[int]:
    """Seconds since 1970, a day short of the years 1 and 10000, or of what nanoseconds reach."""
    most = 9_000_000_000 if unit == "ns" else 253_402_300_799 - DAY
    return st.integers(-most if unit == "ns" else -62_135_596_800 + DAY, most)


@given(data=st.data(), unit=st.sampled_from(sorted(UNITS)), zone=st.sampled_from(ZONES))
def test_as_polars_writes_it(data: Any, unit: Literal["ms", "us", "ns"], zone: str | None) -> None:
    whole = data.draw(st.lists(st.none() | seconds(unit), max_size=5))
    parts = data.draw(st.lists(st.integers(0, UNITS[unit] - 1), min_size=5, max_size=5))
    values = [None if at is None else at * UNITS[unit] + part for at, part in zip(whole, parts, strict=False)]
    moments = pl.Series("at", values, dtype=pl.Int64).cast(pl.Datetime(unit, zone))
    wanted = moments.dt.to_string("iso:strict")
    if zone is not None:  # offsets with seconds, which ISO 8601 cannot write
        shift = moments.dt.replace_time_zone(None) - moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        utc = moments.dt.convert_time_zone("UTC").dt.to_string("iso:strict")
        wanted = utc.zip_with(shift.dt.total_seconds() % 60 != 0, wanted)
    assert_series_equal(written(moments), wanted)
    assert_series_equal(written(moments[1:]), wanted[1:])


@pytest.mark.parametrize("unit", UNITS)
def test_as_python_reads_it(unit: Literal["ms", "us", "ns"]) -> None:
    moment = dt.datetime(2026, 10, 25, 0, 30, 15, 123000, tzinfo=dt.UTC)
    at = pl.Series("at", [moment]).dt.cast_time_unit(unit).dt.convert_time_zone("Europe/Berlin")
    assert dt.datetime.fromisoformat(written(at).item()) == moment
    assert (
        written(at.dt.replace_time_zone(None))
        .item()
        .endswith("T02:30:15.123" + "0" * {"ms": 0, "us": 3, "ns": 6}[unit])
    )


def test_years_that_need_a_sign() -> None:
    far = pl.Series("at", [253_402_300_800_000_000, -62_167_219_200_000_001, None], dtype=pl.Int64)
    moments = far.cast(pl.Datetime("us"))
    assert_series_equal(written(moments), moments.dt.to_string("iso:strict"))


def test_nothing_but_null() -> None:
    assert written(pl.Series("at", [None, None], dtype=pl.Datetime("us"))).to_list() == [None, None]
