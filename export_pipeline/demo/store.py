"""The stores of the demo: an archive of all history (a DuckDB file), and the live store of the last weeks (SQLite)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from export_pipeline.demo.chance import Chance, among
from export_pipeline.demo.history import CHUNK, DAYS, History
from export_pipeline.demo.words import COMMANDS

LIVE_DAYS = 30
"""Days of history that the live store keeps."""
ROW_GROUP = 30_000

ARCHIVE_TABLES = """
create table agents (
    id varchar primary key, name varchar not null, team varchar, region varchar, version varchar not null,
    active boolean not null, created_at timestamptz not null, monthly_budget_usd decimal(12, 2)
);
create table commands (
    id bigint not null, agent_id varchar not null, command varchar not null, status varchar not null, ticket varchar,
    started_at timestamptz not null, finished_at timestamptz, duration_ms double, exit_code integer,
    retries integer not null, cost_usd decimal(12, 4), host varchar, message varchar
);
create table metrics (
    agent_id varchar not null, measured_at timestamptz not null, cpu_percent double, memory_mb double not null,
    queue_length integer not null
);
"""
LIVE_TABLES = """
create table agents (
    id text primary key, name text not null, team text, region text, version text not null,
    active boolean not null, created_at timestamp not null, monthly_budget_usd decimal(12, 2)
) without rowid;
create table commands (
    id integer primary key, agent_id text not null references agents (id), command text not null, status text not null,
    ticket text, started_at timestamp not null, finished_at timestamp, duration_ms real, exit_code integer,
    retries integer not null, cost_usd decimal(12, 4), host text, message text
);
create table metrics (
    agent_id text not null references agents (id), measured_at timestamp not null, cpu_percent real,
    memory_mb real not null, queue_length integer not null, primary key (agent_id, measured_at)
) without rowid;
create index commands_by_time on commands (started_at);
"""


def write_archive(path: Path, history: History) -> None:
    """Write all of history as a DuckDB file; times are instants (UTC), money is decimal."""
    import duckdb

    with duckdb.connect(str(path)) as database:
        database.execute(ARCHIVE_TABLES)
        for table, chunks in (
            ("agents", [history.agents()]),
            ("commands", history.commands()),
            ("metrics", [history.metrics()]),
        ):
            for chunk in chunks:
                database.register("chunk", chunk.to_arrow())
                database.execute(f"insert into {table} by name select * from chunk")
                database.unregister("chunk")
        database.execute("checkpoint")


def write_live(path: Path, history: History) -> None:
    """Write the last days of history as a SQLite file in WAL mode; times are texts in UTC."""
    first = history.first_since(history.until - timedelta(days=LIVE_DAYS))
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("pragma journal_mode = wal")
        database.executescript(LIVE_TABLES)
        database.execute("begin")
        for table, chunks in (
            ("agents", [history.agents()]),
            ("commands", history.commands(first)),
            ("metrics", [history.metrics()]),
        ):
            for chunk in chunks:
                marks = ", ".join("?" * chunk.width)
                database.executemany(f"insert into {table} values ({marks})", _sqlite_values(chunk).iter_rows())
        database.execute("commit")
        database.execute("analyze")


def _sqlite_values(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows in types that SQLite has."""
    return rows.with_columns(
        pl.selectors.temporal().dt.to_string("%Y-%m-%d %H:%M:%S%.6f"),
        pl.selectors.decimal().cast(pl.Float64),
        pl.selectors.boolean().cast(pl.Int8),
    )


def parquet(rows: int, path: Path, *, seed: int = 7, start: datetime | None = None) -> None:
    """Write the table of the benchmarks: command records with ten columns, in row groups of 30,000, zstd.

    Columns: id, agent_id, command, status, started_at (naive, rising through half a year from `start`, which is
    2026-01-01 by default), duration_ms, exit_code, cost_usd, host, message (every 17th is null).
    """
    begin = start or datetime(2026, 1, 1)
    chance = Chance(seed, "row")
    step = CHUNK // ROW_GROUP * ROW_GROUP
    columns = _benchmark_columns(chance, rows, begin)
    empty = pl.DataFrame(schema={"row": pl.Int64}).select(columns).to_arrow()
    with pq.ParquetWriter(path, empty.schema, compression="zstd", compression_level=1) as writer:
        for first in range(0, rows, step):
            index = pl.int_range(first, min(first + step, rows), dtype=pl.Int64, eager=True).alias("row")
            table = index.to_frame().select(columns).to_arrow().cast(empty.schema)
            writer.write_table(table, row_group_size=ROW_GROUP)


def _benchmark_columns(chance: Chance, rows: int, begin: datetime) -> list[pl.Expr]:
    statuses = ("success", "failed", "running", "timeout", "cancelled")
    row = pl.col("row")
    seconds = (row + chance.uniform("at")) / max(rows, 1) * DAYS * 86_400
    return [
        (row + 1).alias("id"),
        pl.concat_str(pl.lit("agent-"), (chance.below("agent", 200) + 1).cast(pl.String)).alias("agent_id"),
        among([command.name for command in COMMANDS], chance.below("command", len(COMMANDS))).alias("command"),
        among(statuses, chance.weighted("status", [80, 10, 5, 3, 2])).alias("status"),
        (pl.lit(begin, pl.Datetime("us")) + pl.duration(microseconds=(seconds * 1e6).cast(pl.Int64))).alias(
            "started_at"
        ),
        (chance.gamma("duration") * 800).round(3).alias("duration_ms"),
        chance.below("exit", 3).cast(pl.Int32).alias("exit_code"),
        (chance.uniform("cost").log() * -0.02).round(6).alias("cost_usd"),
        pl.concat_str(pl.lit("host-"), (chance.below("host", 50) + 1).cast(pl.String)).alias("host"),
        pl.when((row + 1) % 17 != 0)
        .then(pl.concat_str(pl.lit("completed step "), (chance.below("step", 99_999) + 1).cast(pl.String)))
        .alias("message"),
    ]
