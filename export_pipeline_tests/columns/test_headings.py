"""Values as names of columns."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from export_pipeline.columns.headings import headings, unique


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False, None], ["true", "false", "(null)"]),
        ([1.0, 1e300, -0.5], ["1.0", "1e+300", "-0.5"]),
        ([Decimal("1E+2"), Decimal("0.10")], ["100.00", "0.10"]),
        ([date(2024, 1, 31), None], ["2024-01-31", "(null)"]),
        ([datetime(2024, 1, 31), datetime(2024, 2, 1)], ["2024-01-31", "2024-02-01"]),
        ([datetime(2024, 1, 31), datetime(2024, 2, 1, 5)], ["2024-01-31 00:00", "2024-02-01 05:00"]),
        ([datetime(2024, 1, 31, 0, 0, 1)], ["2024-01-31 00:00:01"]),
        ([timedelta(seconds=90)], ["0:01:30"]),
        ([b"\x00\xff"], ["00ff"]),
    ],
)
def test_headings(values: list[Any], expected: list[str]) -> None:
    assert headings(pl.DataFrame({"x": values})) == expected


def test_the_hour_that_happens_twice_has_two_headings() -> None:
    hours = [datetime(2024, 10, 27, hour, tzinfo=UTC) for hour in (0, 1, 2)]
    found = pl.DataFrame({"x": pl.Series(hours).dt.convert_time_zone("Europe/Berlin")})
    assert headings(found) == ["2024-10-27 02:00+0200", "2024-10-27 02:00+0100", "2024-10-27 03:00+0100"]


def test_unique_names_do_not_take_those_of_later_values() -> None:
    assert unique(["a", "a", "a (2)", "a"]) == ["a", "a (3)", "a (2)", "a (4)"]
