"""Filters as they are written, composed, resolved, bound and said."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from export_pipeline.errors import ConfigError
from export_pipeline.filters import (
    OPERATORS,
    And,
    AnyFilter,
    Not,
    Or,
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

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
SCHEMA = pl.Schema(
    {
        "agent_id": pl.Int64(),
        "started_at": pl.Datetime("us"),
        "command": pl.Categorical(),
        "status": pl.String(),
        "duration_ms": pl.Int64(),
        "cost": pl.Decimal(10, 2),
        "ratio": pl.Float32(),
        "day": pl.Date(),
        "clock": pl.Time(),
        "ok": pl.Boolean(),
        "tags": pl.List(pl.String()),
        "level": pl.UInt8(),
        "wait": pl.Duration("ms"),
        "ticks": pl.Datetime("ms", "UTC"),
        "nanos": pl.Datetime("ns"),
    }
)
ROLES = Roles(time="started_at", agent="agent_id", command_type="command", status="status")
WRITTEN = {
    "and": [
        {"time_range": {"last": "7 days"}},
        {"status": ["failed", "timeout"]},
        {"not": {"command_types": "scan"}},
        {"where": {"field": "duration_ms", "operator": "gt", "value": 250}},
    ]
}


def bound(given: AnyFilter) -> AnyFilter:
    return given.resolve(NOON, BERLIN).bind(SCHEMA, ROLES, BERLIN)


# --- written and composed


def test_a_file_and_python_describe_the_same_filter() -> None:
    composed = (
        time_range(last="7 days")
        & status("failed", "timeout")
        & ~command_types("scan")
        & where("duration_ms", ">", 250)
    )
    assert composed == read_filter(WRITTEN)
    assert TypeAdapter(AnyFilter).validate_python(WRITTEN) == composed


def test_joined_filters_stay_flat_and_keep_their_meaning() -> None:
    a, b, c = status("a"), status("b"), status("c")
    assert a & b & c == And(filters=[a, b, c])
    assert a | b | c == Or(filters=[a, b, c])
    assert (a | b) & c == And(filters=[Or(filters=[a, b]), c])
    assert ~~a == Not(filter=Not(filter=a))


def test_one_value_or_a_list() -> None:
    assert read_filter({"status": "failed"}) == read_filter({"status": ["failed"]}) == status("failed")
    assert read_filter({"agent_ids": 7}) == agent_ids(7)
    assert read_filter({"agentIds": [7, 8]}) == agent_ids(7, 8)
    assert where("a", "in", "x").values == ["x"]


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ("previous month", {"period": "previous month"}),
        ("previousMonth", {"period": "previous month"}),
        ("last month", {"period": "previous month"}),
        ("last 7 days", {"last": "7 days"}),
        ("-7d", {"start": "-7d"}),
        ("2026-03-01", {"start": "2026-03-01"}),
        ({"period": "last 24 hours", "field": "started_at"}, {"last": "24 hours", "field": "started_at"}),
        (
            {"start": date(2026, 3, 1), "end": datetime(2026, 3, 2, 6)},
            {"start": "2026-03-01", "end": "2026-03-02T06:00:00"},
        ),
    ],
)
def test_a_bare_text_is_a_time_range(given: Any, same: dict[str, Any]) -> None:
    assert read_filter({"time_range": given}) == read_filter({"time_range": same})


@pytest.mark.parametrize(
    ("spelling", "key"),
    [
        ("=", "eq"), ("==", "eq"), ("!=", "ne"), ("<>", "ne"), (">", "gt"), (">=", "ge"), ("gte", "ge"), ("<", "lt"),
        ("<=", "le"), ("notIn", "not_in"), ("not in", "not_in"), ("startsWith", "starts_with"), ("regex", "matches"),
        ("IContains", "icontains"),
    ],
)  # fmt: skip
def test_operators_have_other_spellings(spelling: str, key: str) -> None:
    row = OPERATORS[key]
    assert where("a", spelling, ["x"] if row.takes == "many" else "x").operator == key


def test_is_null_may_be_turned_around() -> None:
    assert where("a", "is_null") == where("a", "is_null", True) == where("a", "is_not_null", False)
    assert where("a", "is_null", False) == where("a", "is_not_null")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ({"wher": {}}, r"unknown filter 'wher' \(did you mean 'where'\?\)"),
        ({"status": "a", "not": {"status": "b"}}, "exactly one of .* not with the keys status, not"),
        ({"where": {"field": "a", "operator": "gtt", "value": 1}}, r"unknown operator 'gtt' \(did you mean 'gt'\?\)"),
        ({"where": {"field": "a", "op": "gt", "value": 1}}, "unknown option 'op'"),
        ({"where": {"operator": "gt", "value": 1}}, "'field' is missing"),
        ({"where": {"field": "a", "operator": "gt"}}, "gt needs a value"),
        ({"where": {"field": "a", "operator": "eq", "value": None}}, "ask for missing ones with is_null"),
        ({"where": {"field": "a", "operator": "eq", "value": [1, 2]}}, "a list is asked for with in"),
        ({"where": {"field": "a", "operator": "ne", "value": [1]}}, "a list is asked for with not_in"),
        ({"where": {"field": "a", "operator": "between", "value": 1}}, "two values"),
        ({"where": {"field": "a", "operator": "between", "value": [1, 2, 3]}}, "two values"),
        ({"where": {"field": "a", "operator": "in", "value": []}}, "an empty list keeps no row"),
        ({"where": {"field": "a", "operator": "in", "value": [1, None]}}, "value"),
        ({"where": {"field": "a", "operator": "is_null", "value": 3}}, "takes no value"),
        ({"where": {"field": "a", "operator": "eq", "value": float("nan")}}, "NaN is equal to nothing"),
        ({"where": {"field": "a", "operator": "matches", "value": "a(?=b)"}}, "lookahead"),
        ({"where": {"field": "a", "operator": "matches", "value": "(?<!b)a"}}, "lookbehind"),
        ({"where": {"field": "a", "operator": "matches", "value": r"(a)\1"}}, "backreferences are not supported"),
        ({"where": {"field": "a", "operator": "matches", "value": "(a"}}, "is no pattern: unclosed group"),
        ({"where": {"field": "a", "operator": "imatches", "value": "a{99999999}"}}, "is no pattern"),
        ({"where": {"field": "a", "operator": "matches", "value": 5}}, "a pattern is a text, not 5"),
        ({"status": []}, "an empty list keeps no row"),
        ({"and": []}, "an empty list of filters"),
        ({"or": {"status": "a"}}, "or: should be a valid list"),
        ({"not": [{"status": "a"}]}, "exactly one of"),
        ({"time_range": "previous mont"}, r"unknown period 'previous mont' \(did you mean 'previous month'\?\)"),
        ({"time_range": {}}, "needs a period"),
        ("time_range", "needs a period"),
        ({"time_range": {"last": "7"}}, "no length of time"),
        ({"time_range": {"last": "7 days", "start": "-7d"}}, "in one way, not with last and start"),
        ({"time_range": {"start": "yesturday"}}, "did you mean 'yesterday'"),
    ],
)
def test_what_is_no_filter_is_refused_by_name(written: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        read_filter(written)


def test_a_problem_deep_inside_is_named_by_its_path() -> None:
    with pytest.raises(ConfigError, match=r"^and\[1\].not.where: unknown operator 'gtt'"):
        read_filter({"and": [{"status": "a"}, {"not": {"where": {"field": "a", "operator": "gtt", "value": 1}}}]})


def test_values_of_python_are_kept_as_json_holds_them() -> None:
    given = [Decimal("1.50"), date(2026, 3, 1), datetime(2026, 3, 1, 6), NOON, time(6, 30), timedelta(minutes=-5)]
    expected = ["1.50", "2026-03-01", "2026-03-01T06:00:00", "2026-03-30T12:00:00Z", "06:30:00", "-5m"]
    assert where("a", "in", given).value == expected
    assert where("a", "lt", float("inf")).value == "inf"
    assert where("a", "in", (1, 2)).value == [1, 2]


def test_a_filter_never_changes() -> None:
    with pytest.raises(ValidationError):
        status("a").values = ["b"]  # type: ignore[misc]


def test_every_form_is_in_the_json_schema() -> None:
    schema = TypeAdapter(AnyFilter).json_schema()
    text = json.dumps(schema)
    assert set(schema["$defs"]) == {
        "And", "Or", "Not", "TimeRange", "AgentIds", "CommandTypes", "Status", "Where",
    }  # fmt: skip
    assert schema["$defs"]["Where"]["properties"]["operator"]["enum"] == list(OPERATORS)
    assert all(part.get("description") for part in schema["$defs"]["Where"]["properties"].values())
    assert "complete units" in text


# --- resolved and bound


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


# --- said


@pytest.mark.parametrize(
    ("filter_", "sentence"),
    [
        (
            status("failed", "timeout") & where("duration_ms", "gt", 250) & ~command_types("scan"),
            "status is failed or timeout and duration_ms > 250 and not (command_type is scan)",
        ),
        (status("a") & (agent_ids(1) | agent_ids(2)), "status is a and (agent is 1 or agent is 2)"),
        ((status("a") & status("b")) | status("c"), "(status is a and status is b) or status is c"),
        (time_range("today"), "time is today"),
        (time_range("this week"), "time is in this week"),
        (time_range("previous month", field="started_at"), "started_at is in the previous month"),
        (time_range(last="7 days"), "time is in the last 7 days"),
        (time_range(start="-7d"), "time is from -7d and before now"),
        (time_range(end="2026-03-01"), "time is before 2026-03-01"),
        (where("a", "in", ["x"]), "a is x"),
        (where("a", "not_in", ["x"]), "a is not x"),
        (where("a", "not_in", ["x", "y"]), "a is neither x nor y"),
        (where("a", "inot_in", ["x", "y"]), "a is neither x nor y in any case"),
        (where("a", "between", [1, 5]), "a is between 1 and 5"),
        (where("a", "icontains", 'the "end"'), 'a contains "the \\"end\\"" in any case'),
        (where("a", "eq", "or"), 'a is "or"'),
        (where("a", "eq", ""), 'a is ""'),
        (where("a", "eq", True), "a is true"),
        (where("a", "matches", "^x+$"), 'a matches "^x+$"'),
        (where("a", "is_null"), "a is missing"),
        (where("{value}", "is_not_null"), "{value} is present"),
        (where("a", "eq", "{field}"), 'a is "{field}"'),
    ],
)
def test_sentences(filter_: AnyFilter, sentence: str) -> None:
    assert filter_.sentence() == sentence


def test_every_operator_has_a_sentence_with_its_column() -> None:
    values: dict[str, Any] = {"one": "x", "many": ["x", "y"], "two": [1, 2], "pattern": "x", "nothing": None}
    sentences = {where("col", key, values[row.takes]).sentence() for key, row in OPERATORS.items()}
    assert len(sentences) == len(OPERATORS)
    assert all(text.startswith("col ") and "{" not in text for text in sentences)
