"""Groups and measures: every meaning that is pinned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.aggregations import Aggregate, AnyMeasure, Count, Max, Sum, TimeBucket
from export_pipeline.errors import ConfigError, ExportError
from export_pipeline.filters import where
from export_pipeline.options import members_of
from export_pipeline.query import Query
from export_pipeline.times import Every

NAN = float("nan")
INF = float("inf")


def grouped(rows: pl.DataFrame | Mapping[str, Any], **aggregate: Any) -> pl.DataFrame:
    """Return the result of an aggregation, which must have the columns and types that were promised."""
    frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows)
    query = Query.model_validate({"timezone": aggregate.pop("timezone", "UTC"), "aggregate": aggregate})
    assert Query.model_validate(query.dump()) == query
    promised = query.check(frame.schema)
    result = query.apply(frame.lazy().select(query.needs(frame.schema))).collect(engine="streaming")
    assert result.schema == promised
    return result


def measured(values: list[Any], measure: Any, dtype: Any = None) -> Any:
    """Return a measure of all the values of a column ``x``."""
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    return grouped(frame, measures={"m": measure})["m"].to_list()[0]


@pytest.mark.parametrize(
    ("values", "measure", "expected"),
    [
        ([1, None, 3], "count", 3),
        ([1, None, 3], {"count": "x"}, 2),
        ([1.0, NAN, None], "count", 3),
        ([1.0, NAN, None], {"count": "x"}, 1),
        ([1, 1, None, 2], {"distinct": "x"}, 2),
        ([NAN, None, 1.5, 1.5], {"distinct": "x"}, 1),
        ([0.0, -0.0], {"distinct": "x"}, 1),
        ([1, 2, None], {"sum": "x"}, 3),
        ([1.5, NAN, None], {"sum": "x"}, 1.5),
        ([True, None, True, False], {"sum": "x"}, 2),
        ([Decimal("0.10"), Decimal("0.20"), None], {"sum": "x"}, Decimal("0.30")),
        ([timedelta(hours=1), None, timedelta(minutes=1)], {"sum": "x"}, timedelta(hours=1, minutes=1)),
        ([1, 2, None], {"avg": "x"}, 1.5),
        ([True, False, None, False, False], {"avg": "x"}, 0.25),
        ([2.0, NAN], {"avg": "x"}, 2.0),
        ([Decimal("1.10"), Decimal("2.20")], {"avg": "x"}, pytest.approx(1.65)),
        ([timedelta(seconds=1), timedelta(seconds=2)], {"avg": "x"}, timedelta(seconds=1.5)),
        ([INF, 1.0], {"avg": "x"}, INF),
        ([3.0, NAN, 1.0], {"min": "x"}, 1.0),
        ([3.0, NAN, 1.0], {"max": "x"}, 3.0),
        (["b", None, "a", "B"], {"min": "x"}, "B"),
        ([True, None, False], {"max": "x"}, True),
        ([date(2024, 1, 2), date(2024, 1, 1)], {"min": "x"}, date(2024, 1, 1)),
        ([time(2), time(1)], {"max": "x"}, time(2)),
        ([1, 2, 3, 4], {"percentile": {"field": "x", "p": 95}}, pytest.approx(3.85)),
        ([1, 2, 3, 4], {"percentile": {"field": "x", "p": 0}}, 1.0),
        ([1, 2, 3, 4], {"percentile": {"field": "x", "p": 100}}, 4.0),
        ([1.0, INF, INF], {"percentile": {"field": "x", "p": 75}}, INF),
        ([1, 2, None, 4], {"median": "x"}, 2.0),
        ([1.0, NAN, 2.0], {"median": "x"}, 1.5),
        ([Decimal("1.10"), Decimal("2.20")], {"median": "x"}, pytest.approx(1.65)),
        ([timedelta(seconds=1), timedelta(seconds=2)], {"median": "x"}, timedelta(seconds=1.5)),
        ([2, 4, None], {"std": "x"}, pytest.approx(2**0.5)),
        ([2, None], {"std": "x"}, None),
        ([NAN, 2.0, 2.0], {"std": "x"}, 0.0),
    ],
)
def test_measure(values: list[Any], measure: Any, expected: Any) -> None:
    assert measured(values, measure) == expected


@pytest.mark.parametrize("values", [[], [None, None]])
@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ({"count": "x"}, 0),
        ({"distinct": "x"}, 0),
        ({"sum": "x"}, 0),
        ({"avg": "x"}, None),
        ({"min": "x"}, None),
        ({"max": "x"}, None),
        ({"percentile": {"field": "x", "p": 50}}, None),
        ({"median": "x"}, None),
        ({"std": "x"}, None),
        ({"first": "x"}, None),
        ({"last": {"field": "x", "order_by": "x"}}, None),
    ],
)
@pytest.mark.parametrize("dtype", [pl.Int32, pl.Float64, pl.Decimal(10, 2), pl.Null])
def test_of_nothing(values: list[Any], measure: Any, expected: Any, dtype: Any) -> None:
    assert measured(values, measure, dtype) == expected


def test_every_measure_is_tested_above() -> None:
    assert set(members_of(AnyMeasure)) == {
        "count", "distinct", "sum", "avg", "min", "max", "percentile", "median", "std", "first", "last",
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32])
def test_sums_of_whole_numbers_do_not_wrap(dtype: Any) -> None:
    top = dtype.max()
    greatest = pl.select(top).item()
    if dtype == pl.Int64:
        assert measured([greatest, greatest, -greatest], {"sum": "x"}, dtype) == greatest
    else:
        assert measured([greatest] * 3, {"sum": "x"}, dtype) == 3 * greatest


def test_a_sum_past_64_bits_fails_by_name_or_is_wide() -> None:
    with pytest.raises(ExportError, match=r"the sum 'm' is 9223372036854775808 in a group") as raised:
        measured([2**62, 2**62], {"sum": "x"})
    assert "wide: true" in str(raised.value)
    assert measured([2**62, 2**62], {"sum": {"field": "x", "wide": True}}) == Decimal(2**63)
    assert measured([2**64 - 1] * 2, {"sum": {"field": "x", "wide": True}}, pl.UInt64) == Decimal(2**65 - 2)
    with pytest.raises(ExportError, match=r"the sum 'm' is 9223372036854775808"):
        measured([2**62, 2**62], {"sum": "x"}, pl.Duration("ns"))


def test_decimals_are_summed_exactly() -> None:
    ten = [Decimal("0.1")] * 10
    assert measured(ten, {"sum": "x"}, pl.Decimal(4, 1)) == Decimal("1.0")
    wide = Decimal("12345678901234567890.12")
    assert measured([wide, wide], {"sum": "x"}, pl.Decimal(38, 2)) == 2 * wide
    frame = pl.DataFrame({"x": pl.Series(ten, dtype=pl.Decimal(4, 1))})
    query = Query.model_validate({"aggregate": {"measures": {"m": {"sum": "x"}}}})
    assert query.check(frame.schema)["m"] == pl.Decimal(38, 1)


def test_short_floats_are_summed_as_long_ones() -> None:
    assert measured([16777216.0, 1.0, 1.0], {"sum": "x"}, pl.Float32) == 16777218.0


def test_first_and_last() -> None:
    rows = {"x": ["a", "b", "c", "d", None], "when": [2, 1, 2, 1, 0]}
    ends = grouped(
        rows,
        measures={
            "first": {"first": {"field": "x", "order_by": "when"}},
            "last": {"last": {"field": "x", "order_by": "when"}},
            "begin": {"first": "x"},
            "end": {"last": "x"},
        },
    )
    # The null of `x` at 0 does not count; ties go to the earlier row for first, to the later for last.
    assert ends.rows() == [("b", "c", "a", "d")]


def test_rows_without_an_order_are_neither_first_nor_last() -> None:
    rows = {"g": [1, 1, 1, 2], "x": ["a", "b", "c", "d"], "when": [None, 2.0, NAN, None]}
    ends = grouped(
        rows,
        group_by="g",
        measures={
            "first": {"first": {"field": "x", "order_by": "when"}},
            "last": {"last": {"field": "x", "order_by": "when"}},
        },
    )
    assert ends.rows() == [(1, "b", "b"), (2, None, None)]


@pytest.mark.parametrize(
    "order",
    [
        pl.Series([Decimal("1.5"), Decimal("-2.5"), Decimal("0.5")]),
        pl.Series(["b", "a", "ab"]),
        pl.Series([1.5, -INF, 0.0]),
        pl.Series([datetime(2024, 1, 2), datetime(1950, 1, 1), datetime(2024, 1, 1)]),
        pl.Series([True, False, False]),
        pl.Series(["x", "y", "z"], dtype=pl.Enum(["y", "z", "x"])),
        pl.Series([7, 0, 3], dtype=pl.UInt64),
    ],
)
def test_first_in_any_order(order: pl.Series) -> None:
    rows = pl.DataFrame({"x": ["last", "first", "middle"], "o": order})
    measures = {"f": {"first": {"field": "x", "order_by": "o"}}, "l": {"last": {"field": "x", "order_by": "o"}}}
    assert grouped(rows, measures=measures).rows() == [("first", "last")]


def test_first_takes_any_type() -> None:
    assert measured([[1, 2], [3]], {"last": "x"}) == [3]
    assert measured([b"\x00", b"\x01"], {"first": "x"}) == b"\x00"


def test_null_and_nan_are_one_group_and_come_last() -> None:
    result = grouped({"k": [NAN, None, 2.0, -0.0, 0.0]}, group_by="k", measures={"n": "count"})
    assert result.rows() == [(0.0, 2), (2.0, 1), (None, 2)]
    assert str(result["k"][0]) == "0.0"


def test_categories_group_and_order_by_their_text() -> None:
    rows = pl.DataFrame({"k": ["b", "a", "b"]}, schema={"k": pl.Categorical})
    result = grouped(rows, group_by="k", measures={"least": {"min": "k"}, "n": "count"})
    assert result.rows() == [("a", "a", 1), ("b", "b", 2)]
    assert result.schema["k"] == pl.String


def test_enumerations_keep_their_order() -> None:
    rows = pl.DataFrame({"k": ["low", "high", "low"]}, schema={"k": pl.Enum(["low", "high"])})
    assert grouped(rows, group_by="k", measures={"n": "count"}).rows() == [("low", 2), ("high", 1)]
    assert grouped(rows, measures={"top": {"max": "k"}}).rows() == [("high",)]


def test_groups_without_measures_are_the_different_values() -> None:
    assert grouped({"k": [2, 1, 2], "x": [1, 2, 3]}, group_by="k").rows() == [(1,), (2,)]


def test_a_measure_may_have_the_name_of_its_column_and_of_another() -> None:
    rows = {"k": ["a", "a"], "x": [1, 2], "y": [5, 7]}
    assert grouped(rows, group_by="k", measures={"x": {"sum": "y"}, "y": {"sum": "x"}}).rows() == [("a", 12, 3)]


def test_odd_names() -> None:
    rows = {"self": ["a", "a"], "key self": [1, 2], "row": [3, 4], "bucket": [5, 6], "": [7, 8]}
    result = grouped(
        rows,
        group_by=["self", "row"],
        measures={"exprs": {"first": "key self"}, "counting of exprs": {"last": ""}, "len": {"sum": "bucket"}},
    )
    assert result.rows() == [("a", 3, 1, 7, 5), ("a", 4, 2, 8, 6)]


def test_having_keeps_groups() -> None:
    rows = {"k": ["a", "a", "b"], "x": [1, 2, 30]}
    having = {"where": {"field": "total", "operator": "gt", "value": 10}}
    assert grouped(rows, group_by="k", measures={"total": {"sum": "x"}}, having=having).rows() == [("b", 30)]
    with pytest.raises(ConfigError, match=r"totl"):
        wrong = {"where": {"field": "totl", "operator": "gt", "value": 10}}
        grouped(rows, group_by="k", measures={"total": {"sum": "x"}}, having=wrong)


MOMENTS = [datetime(2024, 10, 27, hour, 30) for hour in (0, 1, 2)]
"""Half past two, half past two and half past three in Berlin."""


def test_the_hour_that_happens_twice_stays_two_buckets() -> None:
    result = grouped(
        {"at": MOMENTS},
        timezone="Europe/Berlin",
        time_bucket={"field": "at", "every": "1 hour"},
        measures={"n": "count"},
    )
    assert result["at"].dt.convert_time_zone("UTC").to_list() == [
        datetime(2024, 10, 27, hour, tzinfo=UTC) for hour in (0, 1, 2)
    ]
    assert result.schema["at"] == pl.Datetime("us", "Europe/Berlin")


def test_buckets_follow_the_zone_of_the_export() -> None:
    rows = pl.DataFrame({"at": [datetime(2024, 1, 1, 4, tzinfo=UTC), None], "x": [1, 2]})
    bucket = {"field": "at", "every": "day", "name": "day"}
    result = grouped(rows, timezone="America/New_York", time_bucket=bucket, measures={"n": "count"})
    assert [str(day) for day in result["day"]] == ["2023-12-31 00:00:00-05:00", "None"]


def test_the_bucket_is_the_first_key_or_where_its_name_stands() -> None:
    rows = {"at": MOMENTS, "k": ["b", "a", "b"]}
    bucket = {"field": "at", "every": "day"}
    assert grouped(rows, group_by="k", time_bucket=bucket).columns == ["at", "k"]
    assert grouped(rows, group_by=["k", "at"], time_bucket=bucket).columns == ["k", "at"]


def test_the_column_of_a_bucket_can_still_be_measured() -> None:
    bucket = {"field": "at", "every": "day"}
    result = grouped({"at": MOMENTS}, time_bucket=bucket, measures={"latest": {"max": "at"}, "n": {"count": "at"}})
    assert result.rows() == [(datetime(2024, 10, 27, tzinfo=UTC), MOMENTS[2], 3)]


def test_dates_stay_dates() -> None:
    result = grouped({"d": [date(2024, 2, 29), date(2024, 3, 1)]}, time_bucket={"field": "d", "every": "week"})
    assert result.rows() == [(date(2024, 2, 26),)]
    with pytest.raises(ConfigError, match=r"'d' holds dates, which have no hours"):
        grouped({"d": [date(2024, 2, 29)]}, time_bucket={"field": "d", "every": "4 hours"})


@pytest.mark.parametrize(
    ("aggregate", "message"),
    [
        ({"group_by": "agnt"}, r"group_by: unknown column 'agnt' \(did you mean 'agent'\?\)"),
        ({"group_by": "tags"}, r"group_by: column 'tags' is List\(String\), which is lists and structs"),
        ({"measures": {"m": {"sum": "agent"}}}, r"measure 'm': column 'agent' is String, which is text"),
        ({"measures": {"m": {"avg": "at"}}}, r"measure 'm': column 'at' is Datetime"),
        ({"measures": {"m": {"std": "done"}}}, r"measure 'm': column 'done' is Boolean"),
        ({"measures": {"m": {"median": "done"}}}, r"measure 'm': column 'done' is Boolean"),
        ({"measures": {"m": {"min": "tags"}}}, r"measure 'm': column 'tags'"),
        ({"measures": {"m": {"count": "x"}}}, r"measure 'm': unknown column 'x'"),
        (
            {"measures": {"m": {"first": {"field": "agent", "order_by": "tags"}}}},
            r"measure 'm' order_by: column 'tags'",
        ),
        (
            {"measures": {"m": {"first": {"field": "agent", "order_by": "x"}}}},
            r"measure 'm' order_by: unknown column 'x'",
        ),
        ({"time_bucket": {"field": "agent", "every": "day"}}, r"time_bucket: column 'agent' is String"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_row_is_read(aggregate: dict[str, Any], message: str) -> None:
    schema = pl.Schema(
        {"agent": pl.String(), "at": pl.Datetime("us"), "done": pl.Boolean(), "tags": pl.List(pl.String())}
    )
    with pytest.raises(ConfigError, match=message):
        Query.model_validate({"aggregate": aggregate}).check(schema)


@pytest.mark.parametrize(
    ("aggregate", "message"),
    [
        ({}, "nothing is grouped and nothing is measured"),
        ({"group_by": ["a", "a"]}, "names 'a' twice"),
        ({"group_by": "a", "measures": {"a": "count"}}, "'a' is the name of a measure and of a group"),
        ({"measures": {"": "count"}}, "needs a name"),
        ({"measures": {"m": {"percentile": {"field": "x", "p": 0.95}}}}, "p is in percent: write 95"),
        ({"measures": {"m": {"percentile": {"field": "x", "p": 101}}}}, "less than or equal to 100"),
        ({"measures": {"m": {"summ": "x"}}}, "did you mean 'sum'"),
        ({"measures": {"m": "sum"}}, "'sum' needs field"),
        ({"time_bucket": {"field": "at", "every": "7 minutes"}}, "does not divide"),
    ],
)
def test_what_cannot_be_meant_is_refused(aggregate: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Aggregate.model_validate(aggregate)


def test_in_python() -> None:
    made = Aggregate(
        group_by=["agent"],
        time_bucket=TimeBucket(field="at", every=Every(1, "day")),
        measures={"runs": Count(), "cost": Sum(field="cost"), "worst": Max(field="ms")},
        having=where("runs", "gt", 1),
    )
    assert (
        made.dump()
        == {
            "group_by": ["agent"],
            "time_bucket": {"field": "at", "every": "day"},
            "measures": {"runs": "count", "cost": {"sum": "cost"}, "worst": {"max": "ms"}},
            "having": {"where": {"field": "runs", "operator": "gt", "value": 1}},
        }
        or Aggregate.model_validate(made.dump()) == made
    )
    assert made.sentence() == (
        "the number of rows as runs, the sum of cost as cost, the greatest ms as worst for each day of at and agent,"
        " only where runs > 1"
    )
    assert not Aggregate(measures={"d": Sum(field="x")}).ordered
