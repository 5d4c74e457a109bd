"""Named column types, and values that become them exactly or are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from export_pipeline.errors import ConfigError, SourceError
from export_pipeline.schemas import NAMES, name_of
from export_pipeline.sources.types import convert, dtype_named

FITS: list[tuple[str, str, Any]] = [
    ("integer", " 00123 ", 123),
    ("integer", "+5", 5),
    ("decimal(5,2)", "1.5", Decimal("1.50")),
    ("decimal(5,2)", "123.4500", Decimal("123.45")),
    ("decimal(38,0)", "9" * 38, Decimal("9" * 38)),
    ("float", "1e5", 1e5),
    ("boolean", "Yes", True),
    ("boolean", "0", False),
    ("date", "2026-03-01", date(2026, 3, 1)),
    ("time", "10:30", time(10, 30)),
    ("time", "10:30:59.5", time(10, 30, 59, 500000)),
    ("datetime", "2026-03-01 10:30", datetime(2026, 3, 1, 10, 30)),
    ("datetime", "2026-03-01", datetime(2026, 3, 1)),
    ("datetime with zone", "2026-03-01T10:30:00+02:00", datetime(2026, 3, 1, 8, 30, tzinfo=UTC)),
    ("datetime with zone", "2026-03-01 10:30+02", datetime(2026, 3, 1, 8, 30, tzinfo=UTC)),
    ("datetime with zone(Europe/Berlin)", "2026-07-01 10:30", datetime(2026, 7, 1, 8, 30, tzinfo=UTC)),
    ("datetime with zone(Europe/Berlin)", "2026-07-01T10:30:00Z", datetime(2026, 7, 1, 10, 30, tzinfo=UTC)),
    ("datetime with zone(Europe/Berlin)", "2026-10-25 02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ("text", " x ", " x "),
    ("binary", "é", "é".encode()),
    ("integer", "", None),
    ("text", "", ""),
]
REFUSED: list[tuple[str, str]] = [
    ("integer", "1.5"),
    ("integer", "9223372036854775808"),
    ("integer", "x"),
    ("decimal(5,2)", "1.234"),
    ("decimal(5,2)", "1234.5"),
    ("decimal(5,2)", "1e2"),
    ("float", "1,5"),
    ("boolean", "2"),
    ("date", "2026-02-30"),
    ("date", "01.03.2026"),
    ("time", "25:00"),
    ("datetime", "2026-03-01T10:30:00Z"),
    ("datetime with zone", "2026-03-01T10:30:00"),
    ("datetime with zone(Europe/Berlin)", "2026-03-29 02:30"),
]


@pytest.mark.parametrize(("name", "text", "value"), FITS)
def test_texts_that_fit(name: str, text: str, value: Any) -> None:
    dtype = dtype_named(name)
    for others in ([], [" "]):  # alone, and beside a blank one, which is read in another way
        found = convert(pl.Series("c", [text, *others]), dtype, "f.csv")
        assert found.dtype == dtype
        assert (found.dt.convert_time_zone("UTC") if "zone" in name else found)[0] == value


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_texts_that_do_not_fit_are_refused_by_row_and_column(name: str, text: str) -> None:
    with pytest.raises(SourceError, match=r"f\.csv: row 1,002, column 'c': .* is no ") as caught:
        convert(pl.Series("c", [None, text]), dtype_named(name), "f.csv", before=1000)
    assert "schema: {c: text}" in str(caught.value)


def test_typed_values_are_never_rounded() -> None:
    assert convert(pl.Series("c", [1.0, None]), pl.Int64(), "f").to_list() == [1, None]
    assert convert(pl.Series("c", [12.34]), pl.Decimal(10, 2), "f").to_list() == [Decimal("12.34")]
    with pytest.raises(SourceError, match=r"row 1, column 'c': 1\.5 is no integer"):
        convert(pl.Series("c", [1.5]), pl.Int64(), "f")
    with pytest.raises(SourceError, match="9007199254740993 is no float"):
        convert(pl.Series("c", [9007199254740993]), pl.Float64(), "f")
    with pytest.raises(SourceError, match="is no date"):
        convert(pl.Series("c", [datetime(2026, 1, 1, 5)]), pl.Date(), "f")
    with pytest.raises(ConfigError, match=r"column 'c' is List\(Int64\) and cannot become Int64"):
        convert(pl.Series("c", [[1]]), pl.Int64(), "f")


def test_names() -> None:
    for name, dtype in NAMES.items():
        assert name_of(dtype_named(name)) == name
        assert name_of(dtype) == name
    assert name_of(dtype_named("Decimal( 18 , 2 )")) == "decimal(18,2)"
    assert name_of(dtype_named("datetime with zone(Europe/Berlin)")) == "datetime with zone(Europe/Berlin)"
    with pytest.raises(ConfigError, match=r"unknown column type 'interger' \(did you mean 'integer'"):
        dtype_named("interger")
    with pytest.raises(ConfigError, match="1 to 38 digits"):
        dtype_named("decimal(39,2)")
    with pytest.raises(ConfigError, match="Europe/Berlin"):
        dtype_named("datetime with zone(Europe/Berln)")
