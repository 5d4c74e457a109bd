"""The whole query: its order, its check before reading, what it reads, and that it streams."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline import pipeline
from export_pipeline.config import ExportConfig
from export_pipeline.errors import ConfigError
from export_pipeline.filters import Roles
from export_pipeline.home import Home
from export_pipeline.parsing import parse
from export_pipeline.query import Query, Sort
from export_pipeline_tests.query_rows import FAILED, SCHEMA, rows


def run(given: pl.DataFrame, **query: Any) -> pl.DataFrame:
    made = Query.model_validate(query)
    again = Query.model_validate(json.loads(json.dumps(made.dump())))
    assert again == made
    promised = again.check(given.schema)
    result = again.apply(given.lazy().select(again.needs(given.schema))).collect(engine="streaming")
    assert result.schema == promised
    return result


def test_nothing_to_do_changes_nothing() -> None:
    assert run(rows()).equals(rows())
    assert Query().sentence() == "all rows"
    assert Query(limit=5000).sentence() == "the first 5,000 rows"


def test_times_in_a_zone() -> None:
    """The moments stay, whatever holds them; those without a zone are UTC, as filters read them."""
    zone, at = "Europe/Berlin", pl.col("at")
    given = rows().with_columns(
        naive=at.dt.replace_time_zone(None),
        fine=at.cast(pl.Datetime("ns", "UTC")),
        listed=pl.concat_list(at, None),
        held=pl.struct(at=at, id="id"),
        day=at.dt.date(),
    )
    result = run(given, columns={"timezone": zone, "rename": {"at": "when"}})
    local = given.select(at.dt.convert_time_zone(zone)).to_series()
    assert result["when"].equals(local)
    assert result["naive"].equals(local)
    assert result["fine"].equals(local.cast(pl.Datetime("ns", zone)))
    assert result["listed"].list.first().equals(local)
    assert result["held"].struct["at"].equals(local)
    assert result.drop("when", "naive", "fine", "listed", "held").equals(
        given.drop("at", "naive", "fine", "listed", "held")
    )
    hours = run(given, columns={"include": ["at"], "timezone": zone}, filter=FAILED)["at"].dt.to_string("%H:%M %z")
    assert hours[:2].to_list() == ["01:00 +0100", "03:30 +0100"]
    assert hours[-1:].to_list() == ["01:30 +0200"]  # summer time began in between
    last = {"group_by": "agent", "measures": {"last": {"max": "at"}}}
    assert run(given, aggregate=last, columns={"timezone": zone})["last"].dtype == pl.Datetime("us", zone)
    pivot = {"rows": "agent", "columns": "status", "values": "at", "function": "max"}
    assert run_pivot(given, pivot, zone) == {pl.Datetime("us", zone)}


def run_pivot(given: pl.DataFrame, pivot: dict[str, Any], zone: str) -> set[pl.DataType]:
    made = Query.model_validate({"pivot": pivot, "columns": {"timezone": zone}}).apply(given.lazy()).collect()
    return set(made.drop("agent").dtypes)


def test_the_parts_apply_in_order() -> None:
    result = run(
        rows(),
        filter=FAILED,
        aggregate={
            "group_by": "agent",
            "measures": {"runs": "count", "slowest": {"max": "ms"}},
            "having": {"where": {"field": "runs", "operator": "ge", "value": 3}},
        },
        sort=["-runs", "slowest"],
        limit=2,
        columns={"exclude": ["runs"], "rename": {"slowest": "worst"}, "order": ["slowest"]},
    )
    failed = [row for row in rows().to_dicts() if row["status"] == "failed"]
    groups: dict[str, list[Any]] = {}
    for row in failed:
        groups.setdefault(row["agent"], []).append(row["ms"])
    ranked = sorted(
        ((agent, len(ms), max(x for x in ms if x is not None)) for agent, ms in groups.items() if len(ms) >= 3),
        key=lambda group: (-group[1], group[2], group[0]),
    )
    assert result.columns == ["worst", "agent"]
    assert result.rows() == [(slowest, agent) for agent, _, slowest in ranked[:2]]


def test_single_rows_keep_the_order_of_the_source_in_ties() -> None:
    result = run(rows(20_000), sort=["status", "-agent"], columns=["status", "agent", "id"])
    expected = sorted(
        rows(20_000).select("status", "agent", "id").rows(),
        key=lambda row: (row[0] is None, row[0] or "", [-ord(c) for c in row[1]], row[2]),
    )
    assert result.rows() == expected


def test_the_first_rows_of_a_sort_are_those_of_the_whole_sort() -> None:
    whole = run(rows(20_000), sort=["agent", "-status"])
    assert run(rows(20_000), sort=["agent", "-status"], limit=777).equals(whole.head(777))


def test_groups_that_are_equal_in_the_sort_follow_their_keys() -> None:
    given = pl.DataFrame({"k": [3, 1, None, 2], "x": [1, 1, 1, 1]})
    aggregate = {"group_by": "k", "measures": {"n": "count"}}
    assert run(given, aggregate=aggregate, sort=["-n"])["k"].to_list() == [1, 2, 3, None]
    assert run(given, aggregate=aggregate, sort=["-n", "-k"])["k"].to_list() == [3, 2, 1, None]


def test_a_column_that_is_sorted_or_filtered_by_may_be_left_out() -> None:
    result = run(rows(), filter=FAILED, sort=["-ms"], columns={"include": ["id"]})
    assert result.columns == ["id"]
    assert len(result) == 20


@pytest.mark.parametrize(
    ("query", "needed"),
    [
        ({}, SCHEMA.names()),
        ({"columns": ["ms", "id"]}, ["id", "ms"]),
        ({"columns": {"exclude": ["tags", "at"]}, "filter": FAILED}, ["id", "agent", "status", "ms"]),
        ({"columns": ["id"], "sort": ["-ms"], "filter": FAILED}, ["id", "status", "ms"]),
        ({"aggregate": {"measures": {"n": "count"}}}, ["id"]),
        ({"aggregate": {"measures": {"n": "count"}}, "filter": FAILED}, ["status"]),
        (
            {"aggregate": {"group_by": "agent", "measures": {"m": {"last": {"field": "status", "order_by": "at"}}}}},
            ["agent", "status", "at"],
        ),
        ({"aggregate": {"time_bucket": {"field": "at", "every": "day", "name": "agent"}}}, ["at"]),
        ({"pivot": {"rows": "agent", "columns": "status", "values": "ms"}}, ["agent", "status", "ms"]),
        (
            {
                "aggregate": {"group_by": ["agent", "status"], "measures": {"n": {"sum": "ms"}}},
                "pivot": {"rows": "agent", "columns": "status", "values": "n"},
                "columns": {"exclude": ["ok"]},
            },
            ["agent", "status", "ms"],
        ),
    ],
)
def test_needs(query: dict[str, Any], needed: list[str]) -> None:
    made = Query.model_validate(query)
    assert made.needs(SCHEMA) == needed
    whole, part = (made.apply(given.lazy()).collect() for given in (rows(), rows().select(needed)))
    assert part.equals(whole)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"filter": {"where": {"field": "stats", "operator": "eq", "value": "x"}}}, r"stats"),
        ({"sort": ["-agnt"]}, r"sort: unknown column 'agnt' \(did you mean 'agent'\?\)"),
        ({"sort": ["tags"]}, r"sort: column 'tags' is list\(text\)"),
        ({"sort": ["id", "-id"]}, r"sort: column 'id' is named twice"),
        (
            {"sort": ["who"], "columns": {"rename": {"agent": "who"}}},
            r"(?s)'who' is the new name of 'agent'.*write 'agent'",
        ),
        ({"columns": ["iid"]}, r"columns.include: column 'iid' is unknown"),
        (
            {"columns": {"exclude": "at", "timezone": "Europe/Berlin"}},
            r"columns.timezone: no column holds dates with time",
        ),
        ({"aggregate": {"group_by": "agent"}, "sort": ["ms"]}, r"sort: unknown column 'ms' \(valid: agent\)"),
        ({"aggregate": {"group_by": "agent"}, "columns": ["ms"]}, r"columns.include: column 'ms' is unknown"),
        (
            {"aggregate": {"group_by": "agent"}, "pivot": {"rows": "agent", "columns": "id"}},
            r"pivot.columns: unknown .*'id'",
        ),
        (
            {"pivot": {"rows": ["agent", "id"], "columns": "status"}, "columns": {"rename": {"agent": "id"}}},
            r"would both be called 'id'",
        ),
        (
            {"pivot": {"rows": "agent", "columns": "status"}, "columns": {"rename": {"ok": "agent"}}},
            r"both be called 'agent'",
        ),
    ],
)
def test_check_refuses_by_name_without_rows(query: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Query.model_validate(query).check(SCHEMA)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"sort": ["sm"]}, r"sort: unknown column 'sm'"),
        ({"columns": ["agent", "timeout"]}, r"columns.include: column 'timeout' is unknown"),
        ({"columns": {"rename": {"ok": "failed"}}}, r"both be called 'failed'"),
    ],
)
def test_names_that_only_the_rows_of_a_pivot_tell_are_checked_then(query: dict[str, Any], message: str) -> None:
    made = Query.model_validate({"pivot": {"rows": "agent", "columns": "status"}} | query)
    made.check(SCHEMA)
    with pytest.raises(ConfigError, match=message):
        made.apply(rows().lazy())


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"timezone": "Europe/Berln"}, "Europe/Berlin"),
        ({"limit": 0}, "greater than or equal to 1"),
        ({"sort": [{"descending": True}]}, "Field required"),
        ({"aggregate": {"measures": {"n": {"sum": "x", "avg": "x"}}}}, "exactly one of"),
        ({"agregate": {}}, "did you mean 'aggregate'"),
    ],
)
def test_impossible_query(query: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Query.model_validate(query)


def test_sort_in_short_and_in_long() -> None:
    assert Sort.model_validate("-ms") == Sort(field="ms", descending=True)
    assert Sort.model_validate("ms") == Sort(field="ms")
    assert Sort.model_validate({"field": "-ms"}).field == "-ms"
    assert Sort.model_validate(Sort(field="-ms").dump()) == Sort(field="-ms")


def test_a_bound_query_is_stored_and_picked_up() -> None:
    query = Query.model_validate(
        {
            "timezone": "Europe/Berlin",
            "filter": {"and": [{"time_range": {"last": "1 day"}}, {"status": ["failed"]}]},
            "aggregate": {
                "group_by": "agent",
                "measures": {"latest": {"max": "at"}},
                "having": {"where": {"field": "latest", "operator": "ge", "value": "2024-03-31 03:00"}},
            },
        }
    )
    bound = query.resolve(datetime(2024, 4, 1, 12, tzinfo=UTC)).bind(SCHEMA, Roles(time="at", status="status"))
    stored = Query.model_validate(json.loads(json.dumps(bound.dump())))
    assert stored == bound
    assert stored.resolve(datetime(2030, 1, 1, tzinfo=UTC)).bind(SCHEMA, Roles()) == bound
    result = stored.apply(rows(200).lazy()).collect()
    # The day of 31 March 2024 in Berlin had 23 hours, from 23:00 to 22:00 UTC, of which the first hour is before 03:00.
    expected = [
        row["at"]
        for row in rows(200).to_dicts()
        if row["status"] == "failed"
        and datetime(2024, 3, 30, 23, tzinfo=UTC) <= row["at"] < datetime(2024, 3, 31, 22, tzinfo=UTC)
    ]
    assert max(expected) == max(result["latest"])
    assert min(result["latest"]) >= datetime(2024, 3, 31, 1, tzinfo=UTC)


def test_sentence() -> None:
    query = Query.model_validate(
        {
            "timezone": "Europe/Berlin",
            "filter": FAILED,
            "aggregate": {
                "group_by": "agent",
                "time_bucket": {"field": "at", "every": "4 hours"},
                "measures": {"n": "count"},
            },
            "sort": ["-n", "agent"],
            "limit": 1000,
            "columns": {"exclude": ["at"]},
        }
    )
    assert query.sentence() == (
        f"rows where {query.filter.sentence() if query.filter else ''}; the number of rows as n for each 4 hours of at"
        " and agent (Europe/Berlin); sorted by n descending, agent; the first 1,000 rows; columns: without at"
    )
    pivot = Query.model_validate({"pivot": {"rows": "agent", "columns": "status", "totals": True}})
    assert pivot.sentence() == "the number of rows for each agent, with a column for each status, with totals"
    pivot = Query.model_validate({"pivot": {"columns": "status", "values": "ms"}})
    assert pivot.sentence() == "the sum of ms in one row, with a column for each status"


@pytest.mark.parametrize("name", ["*", "^a.*$"])
def test_names_that_mean_several_columns_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the result has a column .*, which here means several"):
        Query.model_validate({"columns": {"rename": {"a": name}}}).check(pl.Schema({"a": pl.Int64(), "b": pl.Int64()}))
    path = tmp_path / "rows.parquet"
    pl.DataFrame({name: [1], "b": [2]}).write_parquet(path)
    config = {"name": "x", "source": {"files": str(path)}, "format": "csv"}
    with pytest.raises(ConfigError, match="means several columns"):
        pipeline.run(parse(ExportConfig, config), pipeline.Context(Home(tmp_path / "home"), trusted=True))
