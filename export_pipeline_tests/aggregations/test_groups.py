"""Groups: their keys, steps of time among them, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.aggregations import Aggregate, Count, Max, Sum, TimeBucket
from export_pipeline.errors import ConfigError
from export_pipeline.filters import where
from export_pipeline.query import Query
from export_pipeline.times import Every
from export_pipeline_tests.aggregations.grouped import NAN, grouped


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
        ({"group_by": "tags"}, r"group_by: column 'tags' is list\(text\), which does not fit"),
        ({"measures": {"m": {"sum": "agent"}}}, r"measure 'm': column 'agent' is text, which does not fit"),
        ({"measures": {"m": {"avg": "at"}}}, r"measure 'm': column 'at' is datetime"),
        ({"measures": {"m": {"std": "done"}}}, r"measure 'm': column 'done' is boolean"),
        ({"measures": {"m": {"median": "done"}}}, r"measure 'm': column 'done' is boolean"),
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
        ({"time_bucket": {"field": "agent", "every": "day"}}, r"time_bucket: column 'agent' is text"),
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
