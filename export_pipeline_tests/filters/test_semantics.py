"""What filters mean, pinned one by one; engines and databases differ in each of these."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl
import pytest

from export_pipeline.filters import AnyFilter, Roles, time_range, where

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)


def kept(filter_: AnyFilter, values: list[Any], dtype: Any, zone: ZoneInfo = BERLIN) -> list[Any]:
    """Return the values of a column named a that a filter keeps."""
    table = pl.DataFrame({"a": pl.Series(values, dtype=dtype)})
    bound = filter_.resolve(NOON, zone).bind(table.schema, Roles(time="a"), zone)
    found = nw.from_native(table.lazy()).filter(bound.expression(table.schema, zone)).to_native().collect()
    column = found["a"]
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        column = column.dt.convert_time_zone("UTC")  # Python compares no two times of the hour that happens twice
    return column.to_list()


def test_not_of_unknown_is_true() -> None:
    assert kept(~where("a", "eq", 1), [1, 2, None], pl.Int64) == [2, None]
    assert kept(~where("a", "gt", 1), [1, 2, None], pl.Int64) == [1, None]
    assert kept(~(where("a", "gt", 1) & where("a", "lt", 5)), [1, 2, None], pl.Int64) == [1, None]
    assert kept(~~where("a", "eq", 1), [1, 2, None], pl.Int64) == [1]


def test_a_missing_value_is_never_found_by_a_comparison() -> None:
    for operator, value in {"ne": 1, "not_in": [1], "gt": 0, "le": 9, "between": [0, 9]}.items():
        assert None not in kept(where("a", operator, value), [1, 2, None], pl.Int64)
    assert kept(where("a", "not_contains", "x"), ["x", "y", None], pl.String) == ["y"]


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64])
def test_nan_counts_as_missing(dtype: Any) -> None:
    values = [1.0, math.nan, None, math.inf]
    assert kept(where("a", "gt", 0), values, dtype) == [1.0, math.inf]
    assert kept(where("a", "ne", 1), values, dtype) == [math.inf]
    assert kept(where("a", "not_in", [1]), values, dtype) == [math.inf]
    assert kept(where("a", "is_not_null"), values, dtype) == [1.0, math.inf]
    assert [str(value) for value in kept(where("a", "is_null"), values, dtype)] == ["nan", "None"]
    assert [str(value) for value in kept(~where("a", "gt", 0), values, dtype)] == ["nan", "None"]


def test_zero_has_no_sign() -> None:
    assert kept(where("a", "in", [0, 5]), [0.0, -0.0, 1.0], pl.Float64) == [0.0, 0.0]
    assert kept(where("a", "eq", -0.0), [0.0, -0.0, 1.0], pl.Float32) == [0.0, 0.0]


def test_long_lists_are_searched() -> None:
    assert kept(where("a", "in", [f"v{count}" for count in range(20_000)]), ["v19999", "v20000"], pl.String) == [
        "v19999"
    ]
    days = [date(2000, 1, 1) + timedelta(days=count) for count in range(5_000)]
    assert kept(~where("a", "in", days), [days[-1], date(2020, 1, 1)], pl.Date) == [date(2020, 1, 1)]
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=count) for count in range(300)]
    assert kept(where("a", "in", times), [times[-1], NOON], pl.Datetime("ns", "UTC")) == [times[-1]]


def test_infinity_is_a_number() -> None:
    assert kept(where("a", "lt", math.inf), [1.0, math.inf, -math.inf], pl.Float64) == [1.0, -math.inf]
    assert kept(where("a", "eq", "-inf"), [1.0, math.inf, -math.inf], pl.Float64) == [-math.inf]


def test_single_precision_is_compared_in_single_precision() -> None:
    assert len(kept(where("a", "eq", 0.1), [0.1, 0.2], pl.Float32)) == 1
    assert len(kept(where("a", "in", [0.1]), [0.1, 0.2], pl.Float32)) == 1
    assert len(kept(where("a", "gt", 0.1), [0.1, 0.2], pl.Float32)) == 1


def test_whole_numbers_are_compared_exactly() -> None:
    values = [2**53, 2**53 + 1]
    assert kept(where("a", "gt", 2**53), values, pl.Int64) == [2**53 + 1]
    assert kept(where("a", "in", [2**53 + 1]), values, pl.Int64) == [2**53 + 1]
    assert kept(where("a", "ge", 2**64 - 1), [0, 2**64 - 1], pl.UInt64) == [2**64 - 1]


def test_decimals_are_compared_exactly() -> None:
    values = [Decimal("0.10"), Decimal("0.30")]
    assert kept(where("a", "eq", 0.3), values, pl.Decimal(10, 2)) == [Decimal("0.30")]
    assert kept(where("a", "gt", "0.299"), values, pl.Decimal(10, 2)) == [Decimal("0.30")]
    assert kept(where("a", "in", ["0.1", 0.3]), values, pl.Decimal(10, 2)) == values


def test_times_without_a_zone_are_utc_and_values_are_local() -> None:
    values = [datetime(2026, 3, 1, 4), datetime(2026, 3, 1, 5), datetime(2026, 3, 1, 6)]
    assert kept(where("a", "ge", "2026-03-01T06:00"), values, pl.Datetime("us")) == values[1:]
    assert kept(where("a", "ge", "2026-03-01T06:00Z"), values, pl.Datetime("us")) == values[2:]
    assert kept(where("a", "ge", "2026-03-01T06:00"), values, pl.Datetime("us"), ZoneInfo("UTC")) == values[2:]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_a_point_in_time_is_the_same_in_every_zone_and_unit(zone: str, unit: Any) -> None:
    values = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]  # 02:30 in Berlin, twice
    dtype = pl.Datetime(unit, zone)
    for operator, value in {"eq": values[1], "in": [values[1]], "gt": values[0], "between": [values[1]] * 2}.items():
        assert kept(where("a", operator, value), values, dtype) == [values[1]]
    assert kept(where("a", "not_in", [values[0]]), values, dtype) == [values[1]]


def test_nanoseconds_are_not_cut_off() -> None:
    table = pl.DataFrame({"a": pl.Series([1000, 1001, 1999, 2000]).cast(pl.Datetime("ns"))})
    bound = where("a", "gt", "1970-01-01T00:00:00.000001Z").bind(table.schema, Roles(), BERLIN)
    found = nw.from_native(table).filter(bound.expression(table.schema, BERLIN)).to_native()
    assert found["a"].dt.epoch("ns").to_list() == [1001, 1999, 2000]


def test_a_range_of_time_holds_its_start_and_not_its_end() -> None:
    day = time_range(start="2026-03-01", end="2026-03-02")
    start, end = datetime(2026, 2, 28, 23), datetime(2026, 3, 1, 23)  # midnights of Berlin in UTC
    values = [start - timedelta(microseconds=1), start, end - timedelta(microseconds=1), end]
    assert kept(day, values, pl.Datetime("us")) == values[1:3]
    # coarser columns: what is past the last millisecond before the start is after it
    fine = time_range(start="2026-03-01T00:00:00.0005Z", end="2026-03-01T00:00:00.0015Z")
    ticks = [datetime(2026, 3, 1) + timedelta(milliseconds=count) for count in (0, 1, 2)]
    assert kept(fine, ticks, pl.Datetime("ms")) == ticks[1:2]


def test_dates_count_as_their_local_midnight() -> None:
    days = [date(2026, 3, day) for day in (22, 23, 29, 30)]
    assert kept(time_range(last="7 days"), days, pl.Date) == days[1:3]
    assert kept(time_range(start="2026-03-22T12:00", end="2026-03-29T00:00:01"), days, pl.Date) == days[1:3]
    assert kept(time_range("today"), days, pl.Date) == days[3:]
    assert kept(time_range(end="2026-03-23"), days, pl.Date) == days[:1]


def test_the_last_days_over_a_clock_change_are_whole_days() -> None:
    values = [
        datetime(2026, 3, 22, 22, 59),
        datetime(2026, 3, 22, 23),
        datetime(2026, 3, 29, 21, 59),
        datetime(2026, 3, 29, 22),
    ]
    assert kept(time_range(last="7 days"), values, pl.Datetime("us")) == values[1:3]


@pytest.mark.parametrize("dtype", [pl.String(), pl.Categorical(), pl.Enum(["b", "a", "B"])])
def test_text_is_ordered_by_its_letters_whatever_holds_it(dtype: Any) -> None:
    assert kept(where("a", "gt", "a"), ["b", "a", "B", None], dtype) == ["b"]
    assert kept(where("a", "lt", "a"), ["b", "a", "B", None], dtype) == ["B"]
    assert kept(where("a", "eq", "zz"), ["b", "a", "B", None], dtype) == []
    assert kept(where("a", "ieq", "B"), ["b", "a", "B", None], dtype) == ["b", "B"]


def test_signs_of_patterns_mean_nothing_outside_of_matches() -> None:
    values = ["a%b", "a_b", "a.b", "axb", "a\\b"]
    for sign in ("%", "_", ".", "\\"):
        assert kept(where("a", "contains", sign), values, pl.String) == [f"a{sign}b"]
        assert kept(where("a", "icontains", f"A{sign}"), values, pl.String) == [f"a{sign}b"]
        assert kept(where("a", "starts_with", f"a{sign}"), values, pl.String) == [f"a{sign}b"]
        assert kept(where("a", "ends_with", f"{sign}b"), values, pl.String) == [f"a{sign}b"]


def test_any_case_is_by_the_rules_of_unicode() -> None:
    values = ["STRASSE", "Straße", "ÄRGER", "ärger", "\u212ai"]  # the last begins with the sign of Kelvin
    assert kept(where("a", "ieq", "Ärger"), values, pl.String) == ["ÄRGER", "ärger"]
    assert kept(where("a", "iin", ["STRASSE", "Ki"]), values, pl.String) == ["STRASSE", "\u212ai"]
    assert kept(where("a", "istarts_with", "ä"), values, pl.String) == ["ÄRGER", "ärger"]
    assert kept(where("a", "imatches", "^är"), values, pl.String) == ["ÄRGER", "ärger"]
    assert kept(where("a", "ieq", "STRAẞE"), values, pl.String) == ["Straße"]


def test_patterns_are_searched_anywhere_and_case_counts() -> None:
    values = ["deploy", "build", "Deploy now", "redeploy", None]
    assert kept(where("a", "matches", "^(de|bu)"), values, pl.String) == ["deploy", "build"]
    assert kept(where("a", "matches", "ploy"), values, pl.String) == ["deploy", "Deploy now", "redeploy"]
    assert kept(where("a", "matches", r"(?i)^deploy\b"), values, pl.String) == ["deploy", "Deploy now"]


def test_a_column_without_any_value_is_missing_everywhere() -> None:
    assert kept(where("a", "contains", "x"), [None, None], pl.Null) == []
    assert kept(~where("a", "gt", 5), [None, None], pl.Null) == [None, None]
    assert kept(where("a", "is_null"), [None, None], pl.Null) == [None, None]
