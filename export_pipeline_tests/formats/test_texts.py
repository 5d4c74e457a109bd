from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from export_pipeline.errors import FormatError
from export_pipeline.formats import Csv, Json
from export_pipeline.formats.texts import refuse_years
from export_pipeline_tests.formats.test_contract import proven


def zoned(year: int, month: int, day: int, hour: int, zone: str) -> pl.DataFrame:
    """Return an instant of UTC, shown in a zone."""
    moment = pl.Series("t", [dt.datetime(year, month, day, hour)])
    return moment.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).to_frame()


@pytest.mark.parametrize("form", [Csv(), Json()], ids=["csv", "json"])
def test_a_year_is_that_which_clocks_show(form: Csv | Json, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="column 't', row 1: the value is outside of the years 1 to 9999"):
        form.write(zoned(9999, 12, 31, 23, "Asia/Tokyo").lazy(), tmp_path / "x")
    with pytest.raises(FormatError, match="outside of the years"):
        form.write(zoned(1, 1, 1, 0, "Etc/GMT+5").lazy(), tmp_path / "x")
    proven(form, zoned(9999, 12, 31, 14, "Asia/Tokyo"), tmp_path)
    proven(form, zoned(1, 1, 1, 0, "America/New_York"), tmp_path)  # its offset had seconds then: it is written in UTC


def test_years_far_from_the_ends_are_not_looked_at_closely() -> None:
    refuse_years(zoned(2026, 3, 1, 0, "Asia/Tokyo"), 0)


def test_numbers_that_are_not_finite_are_found_inside_of_lists_too(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [[1.0], [float("nan")]]})
    with pytest.raises(FormatError, match="column 'x', row 2"):
        Csv(non_finite="error").write(frame.lazy(), tmp_path / "x.csv")


@pytest.mark.parametrize("layout", ["records", "lines"])
def test_names_may_hold_what_ends_a_text_elsewhere(layout: str, tmp_path: Path) -> None:
    name = "a\0b"
    frame = pl.DataFrame({name: [dt.datetime(2026, 1, 1)], f"{name}2": [dt.date(2026, 1, 1)]})
    proven(Json.model_validate({"layout": layout}), frame, tmp_path)
