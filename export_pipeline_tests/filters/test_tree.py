"""Filters as they are written, composed and said."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from export_pipeline.errors import ConfigError
from export_pipeline.filters import (
    OPERATORS,
    And,
    AnyFilter,
    Not,
    Or,
    agent_ids,
    command_types,
    read_filter,
    status,
    time_range,
    where,
)
from export_pipeline_tests.filters.usual import NOON, WRITTEN

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
    assert status(["a", "b"]) == status("a", "b") == status(value for value in "ab")


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
        ({"or": {"status": "a"}}, "or: should be a list"),
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
    assert schema["$defs"]["Where"]["properties"]["operator"]["anyOf"][0]["enum"] == list(OPERATORS)
    assert all(part.get("description") for part in schema["$defs"]["Where"]["properties"].values())
    assert "complete units" in text


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
