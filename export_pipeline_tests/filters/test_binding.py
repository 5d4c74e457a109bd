"""Filters resolved at a logical time and bound to the columns of a data set."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from export_pipeline.errors import ConfigError
from export_pipeline.filters import (
    AnyFilter,
    Not,
    Roles,
    TimeRange,
    Where,
    agent_ids,
    command_types,
    read_filter,
    status,
    time_range,
    where,
    write_filter,
)
from export_pipeline_tests.filters.usual import BERLIN, NOON, ROLES, SCHEMA, WRITTEN


def bound(given: AnyFilter) -> AnyFilter:
    return given.resolve(NOON, BERLIN).bind(SCHEMA, ROLES, BERLIN)


def test_resolving_makes_ranges_absolute_and_again_changes_nothing() -> None:
    once = read_filter(WRITTEN).resolve(NOON, BERLIN)
    expected = {"start": "2026-03-22T23:00:00Z", "end": "2026-03-29T22:00:00Z"}
    assert write_filter(once)["and"][0] == {"time_range": expected}
    assert once.resolve(datetime(2030, 1, 1, tzinfo=UTC), ZoneInfo("UTC")) == once
    assert Not(filter=once).resolve(NOON, BERLIN) == Not(filter=once)


def test_binding_leaves_only_comparisons_of_real_columns() -> None:
    assert write_filter(bound(read_filter(WRITTEN))) == {
        "and": [
            {
                "where": {
                    "field": "started_at",
                    "operator": "within",
                    "value": ["2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"],
                }
            },
            {"where": {"field": "status", "operator": "in", "value": ["failed", "timeout"]}},
            {"not": {"where": {"field": "command", "value": "scan"}}},
            {"where": {"field": "duration_ms", "operator": "gt", "value": 250}},
        ]
    }
    assert bound(read_filter(WRITTEN)).columns() == {"started_at", "status", "command", "duration_ms"}
    assert read_filter(WRITTEN).columns() == {"duration_ms"}
    assert time_range("today", field="ticks").columns() == {"ticks"}


def test_a_bound_filter_is_bound_again_without_roles_or_zone() -> None:
    once = bound(read_filter(WRITTEN))
    assert once.bind(SCHEMA, Roles(), ZoneInfo("Asia/Tokyo")) == once
    assert bound(once) == once


def test_agents_may_be_numbers_written_as_text() -> None:
    assert bound(agent_ids("7", 8)) == where("agent_id", "in", [7, 8])


@pytest.mark.parametrize(
    ("filter_", "roles", "why"),
    [
        (
            agent_ids("a"),
            Roles(),
            "agent_ids: the source does not say which of its columns is the agent\n.*agent: <column>",
        ),
        (command_types("a"), Roles(), "which of its columns is the command type"),
        (status("a"), Roles(status="stat"), r"unknown column 'stat' \(did you mean 'status'\?\)"),
        (time_range("today"), Roles(), "which of its columns is the time"),
        (time_range("today"), Roles(time="status"), r"the column 'status' \(String\) holds no dates or times"),
        (time_range("today", field="start"), ROLES, "unknown column 'start'"),
    ],
)
def test_roles_that_are_not_named_are_refused(filter_: AnyFilter, roles: Roles, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        filter_.resolve(NOON, BERLIN).bind(SCHEMA, roles, BERLIN)


@pytest.mark.parametrize("filter_", [time_range("today"), time_range(start="-7d"), time_range(start="2026-03-01")])
def test_a_relative_range_cannot_be_bound(filter_: TimeRange) -> None:
    with pytest.raises(ConfigError, match="has to be resolved at a logical time first"):
        filter_.bind(SCHEMA, ROLES, BERLIN)


@pytest.mark.parametrize("filter_", [time_range("today"), status("a"), status("a") & where("ok", "eq", True)])
def test_an_unbound_filter_cannot_be_translated(filter_: AnyFilter) -> None:
    with pytest.raises(ConfigError, match="has to be bound to columns first"):
        filter_.expression(SCHEMA, BERLIN)
    with pytest.raises(ConfigError, match="has to be bound to columns first"):
        filter_.clause({"ok": sa.column("ok")}, SCHEMA, BERLIN, "duckdb")


@pytest.mark.parametrize(
    ("field", "operator", "value", "why"),
    [
        ("durationms", "gt", 1, r"unknown column 'durationms' \(did you mean 'duration_ms'\?\)"),
        ("duration_ms", "gt", "fast", r"'fast' .*'duration_ms' \(Int64, whole numbers\): it is no number"),
        ("duration_ms", "eq", 2.5, "2.5 .*it is no whole number"),
        ("duration_ms", "eq", True, "True .*it is no number"),
        ("duration_ms", "lt", float("inf"), "no finite number"),
        ("duration_ms", "eq", 2**63, "out of its range, -9223372036854775808 to 9223372036854775807"),
        ("duration_ms", "eq", "1e999999999", "out of range"),
        ("level", "eq", 256, r"\(UInt8, whole numbers\): it is out of its range, 0 to 255"),
        ("level", "ge", -1, "out of its range"),
        ("ratio", "gt", "x", r"\(Float32, numbers\): it is no number"),
        ("ratio", "gt", "nan", "no number"),
        ("ratio", "gt", 1e39, "out of its range"),
        ("cost", "eq", 1.234, r"\(Decimal\(.*\), decimal numbers\): it has more than 2 decimals"),
        ("cost", "gt", 10**8, "out of its range, 8 digits before the point"),
        ("status", "eq", 5, r"\(String, text\): it is no text: write it in quotes"),
        ("command", "eq", True, r"\(Categorical.*, text\): it is no text"),
        ("ok", "eq", 1, r"\(Boolean, true and false\): it is neither true nor false"),
        ("ok", "gt", True, r"the operator gt compares .*the column 'ok' \(Boolean\) holds true and false"),
        ("day", "eq", "2026-03-01T06:00", r"\(Date, dates\): it is no date such as"),
        ("day", "eq", "2026-02-30", "it is no date"),
        ("day", "gt", 20260301, "it is no date"),
        ("started_at", "gt", "-7d", "relative ones belong in a time_range with this field"),
        ("started_at", "gt", 1767225600, "points in time"),
        ("started_at", "gt", "2026-02-30", "no date or time of the calendar"),
        ("ticks", "eq", "2026-03-01T06:00:00.0005", "finer than a millisecond"),
        ("nanos", "gt", "1600-01-01", "out of its range, 1677-09-22 to 2262-04-11"),
        ("clock", "eq", "25:00", r"\(Time, times of day\): it is no time of day"),
        ("clock", "eq", "06:30+01:00", "no time of day"),
        ("clock", "eq", 6, "no time of day"),
        ("wait", "gt", 5, r"lengths of time\): it is no length of time .* a unit is missing"),
        ("wait", "eq", "0.0005s", "finer than a millisecond"),
        ("duration_ms", "contains", "5", "the operator contains compares text; .*holds whole numbers"),
        ("tags", "eq", "a", "holds values that filters cannot compare\noperators for it: is_null, is_not_null"),
        ("duration_ms", "between", [5, 1], "duration_ms is never between 5 and 1\nwrite the lower value first"),
        ("day", "within", ["2026-03-02", "2026-03-01"], "never between"),
        ("status", "in", ["a", 5], "5 cannot be compared"),
    ],
)
def test_what_does_not_fit_the_column_is_refused_with_its_type(field: str, operator: str, value: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s){why}"):
        where(field, operator, value).bind(SCHEMA, ROLES, BERLIN)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (where("duration_ms", "eq", "250"), 250),
        (where("duration_ms", "gt", 2.5), 2),
        (where("duration_ms", "ge", 2.5), 3),
        (where("duration_ms", "lt", -2.5), -2),
        (where("duration_ms", "le", -2.5), -3),
        (where("duration_ms", "between", [0.5, 3.5]), [1, 3]),
        (where("ratio", "gt", 0.1), 0.10000000149011612),
        (where("ratio", "lt", "inf"), "inf"),
        (where("cost", "eq", 1.5), "1.50"),
        (where("cost", "gt", "0.005"), "0.00"),
        (where("cost", "ge", "0.005"), "0.01"),
        (where("ok", "eq", "true"), True),
        (where("day", "in", ["2026-03-01"]), ["2026-03-01"]),
        (where("started_at", "ge", "2026-03-01"), "2026-02-28T23:00:00Z"),
        (where("started_at", "ge", "2026-03-01T06:00:00+00:00"), "2026-03-01T06:00:00Z"),
        (where("ticks", "ge", "2026-03-01T06:00:00.0005Z"), "2026-03-01T06:00:00.001000Z"),
        (where("ticks", "gt", "2026-03-01T06:00:00.0005Z"), "2026-03-01T06:00:00Z"),
        (where("clock", "ge", "06:30"), "06:30:00"),
        (where("wait", "gt", "90s"), "90s"),
        (where("wait", "gt", "0.0005s"), "0s"),
        (where("wait", "ge", "0.0005s"), "0.001s"),
    ],
)
def test_values_become_the_columns_type_and_json_again(given: Where, stored: Any) -> None:
    once = given.bind(SCHEMA, ROLES, BERLIN)
    assert once.value == stored
    assert once.bind(SCHEMA, ROLES, ZoneInfo("Asia/Tokyo")) == once
    assert Where.model_validate(json.loads(json.dumps(once.dump(), allow_nan=False))) == once
