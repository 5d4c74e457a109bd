"""What databases are asked for keeps every row that the filter keeps, on real databases."""

from __future__ import annotations

import functools
import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.engine.default import DefaultDialect

from export_pipeline.filters import AnyFilter, Roles, read_filter, where
from export_pipeline_tests.filters import samples
from export_pipeline_tests.filters.samples import BERLIN, COLUMNS

Case = tuple[Any, list[dict[str, Any]]]
DIALECTS = {"duckdb": DefaultDialect(paramstyle="numeric_dollar"), "sqlite": SQLiteDialect(paramstyle="qmark")}


def bound(written: Any, schema: pl.Schema) -> AnyFilter:
    return read_filter(written).bind(schema, Roles(), BERLIN)


def compiled(filter_: AnyFilter, schema: pl.Schema, dialect: str) -> tuple[str, list[Any]]:
    """Return the pushed clause as SQL with its values."""
    clause = filter_.clause({name: sa.column(name) for name in schema}, schema, BERLIN, dialect)
    if clause is None:
        return "true", []
    done = clause.compile(dialect=DIALECTS[dialect], compile_kwargs={"render_postcompile": True})
    assert done.positiontup is not None
    return str(done), [done.params[name] for name in done.positiontup]


def expected(written: Any, rows: Sequence[Mapping[str, Any]]) -> set[int]:
    return {index for index, row in enumerate(rows) if samples.keeps(written, row)}


# --- DuckDB

STORED = [name for name in COLUMNS if name not in {"nothing"}]


@functools.cache
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET timezone = 'Asia/Tokyo'")  # a clause must not depend on it
    connection.execute("CREATE TYPE mood AS ENUM ('b', 'a', 'B')")
    return connection


def stored(table: pl.DataFrame) -> duckdb.DuckDBPyConnection:
    connection = database()
    connection.register("given", table.to_arrow())
    texts = {"state": "state::VARCHAR::mood AS state", "clock": "clock::TIME AS clock"}
    kept = [texts.get(name, name) for name in table.columns]
    connection.execute(f"CREATE OR REPLACE TABLE t AS SELECT {', '.join(kept)} FROM given")
    return connection


def in_duckdb(table: pl.DataFrame, filter_: AnyFilter) -> set[int]:
    connection = stored(table)
    text, values = compiled(filter_, table.schema, "duckdb")
    found = connection.execute(f"SELECT row FROM t WHERE {text}", values).fetchall()
    return {row for (row,) in found}


@settings(max_examples=150, deadline=None)
@given(samples.cases(STORED))
def test_duckdb_gives_at_least_the_rows_of_the_filter(case: Case) -> None:
    written, rows = case
    table = samples.frame(rows).select("row", *sorted(samples.columns_of(written)))
    assert in_duckdb(table, bound(written, table.schema)) >= expected(written, rows)


def comparisons_of(name: str) -> Iterator[dict[str, Any]]:
    """Yield every comparison of a column, and not of it."""
    for operator in COLUMNS[name].operators:
        for asked in samples.values_for(name, operator):
            comparison = {"where": {"field": name, "operator": operator, "value": asked}}
            yield comparison
            yield {"not": comparison}


@pytest.mark.parametrize("name", STORED)
def test_duckdb_gives_at_least_the_rows_of_every_comparison(name: str) -> None:
    rows = [dict.fromkeys(COLUMNS) | {name: value} for value in (*COLUMNS[name].values, None)]
    table = samples.frame(rows).select("row", name)
    connection = stored(table)
    for written in comparisons_of(name):
        text, values = compiled(bound(written, table.schema), table.schema, "duckdb")
        found = {row for (row,) in connection.execute(f"SELECT row FROM t WHERE {text}", values).fetchall()}
        assert found >= expected(written, rows), (written, text)


EXACT = ["big", "small", "huge", "money", "text", "label", "state", "flag", "day", "naive", "zoned", "coarse"]
LOCAL = {"matches", "imatches", "ends_with", *samples.FOLDED}


@settings(max_examples=100, deadline=None)
@given(samples.cases(EXACT).filter(lambda case: not LOCAL & set(samples.operators_of(case[0]))))
def test_duckdb_gives_exactly_the_rows_where_all_of_a_filter_is_pushed(case: Case) -> None:
    written, rows = case
    table = samples.frame(rows).select("row", *sorted(samples.columns_of(written)))
    assert in_duckdb(table, bound(written, table.schema)) == expected(written, rows)


def test_a_collation_that_folds_letters_does_not_hide_rows() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (name VARCHAR COLLATE NOCASE)")
    connection.execute("INSERT INTO t VALUES ('Abc'), ('abc')")
    schema = pl.Schema({"name": pl.String()})
    text, values = compiled(
        bound({"where": {"field": "name", "operator": "ne", "value": "abc"}}, schema), schema, "duckdb"
    )
    assert connection.execute(f"SELECT name FROM t WHERE {text}", values).fetchall() == [("Abc",)]
    connection.close()


# --- SQLite: any value in any column


def iso(value: datetime, form: int) -> str:
    """Return a time in one of the ways in which programs write it."""
    zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
    offset = [
        None,
        UTC,
        timezone(timedelta(hours=14)),
        timezone(-timedelta(hours=12)),
        timezone(timedelta(minutes=330)),
    ][form % 5]
    text = zoned.astimezone(offset or UTC).isoformat(sep="T "[form % 2])
    return text.removesuffix("+00:00") + ("" if offset is None else "Z") if offset in {None, UTC} else text


def _number(value: Any, form: int) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return [value, str(value), int(value) if whole else value][form % 3]


def _word(value: str, form: int) -> Any:
    return value.encode() if form % 5 == 1 else value


FORMS = range(10)
WAYS: Mapping[str, tuple[Sequence[str], Callable[[Any, int], Any]]] = {
    "big": (["INTEGER", "", "TEXT", "NUMERIC"], _number),
    "small": (["INTEGER", "", "TEXT", "NUMERIC"], _number),
    "double": (["REAL", "", "TEXT", "NUMERIC"], _number),
    "money": (["DECIMAL(10,2)", "TEXT", ""], lambda value, form: [str(value), float(value)][form % 2]),
    "text": (["TEXT", "", "STRING", "TEXT COLLATE NOCASE", "BLOB"], _word),
    "state": (["TEXT", "VARCHAR(10) COLLATE NOCASE"], _word),
    "flag": (["BOOLEAN", "TEXT"], lambda value, form: [int(value), str(value).lower()][form % 2]),
    "day": (["DATE", "TEXT", ""], lambda value, form: [str(value), f"{value} 00:00:00"][form % 2]),
    "naive": (["DATETIME", "TEXT", ""], iso),
    "zoned": (["TIMESTAMP", "TEXT", ""], iso),
    "coarse": (["DATETIME", "TEXT"], iso),
    "fine": (["DATETIME"], lambda value, form: iso(samples.EPOCH + timedelta(microseconds=value // 1000), form)),
}
"""The declared types of a column, and how a value may be stored in it."""


@settings(max_examples=300, deadline=None)
@given(samples.cases(sorted(WAYS)), st.randoms(use_true_random=False))
def test_sqlite_gives_at_least_the_rows_of_the_filter(case: Case, random: Any) -> None:
    written, rows = case
    names = sorted(samples.columns_of(written))
    connection = sqlite3.connect(":memory:")
    declared = ", ".join(f"{name} {random.choice(WAYS[name][0])}" for name in names)
    connection.execute(f"CREATE TABLE t ({declared})")
    for row in rows:
        given_ = [None if row[name] is None else WAYS[name][1](row[name], random.randrange(30)) for name in names]
        connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(names))})", given_)
    for name in {"text", "state"} & set(names):  # a numeric affinity makes 5 of the text 05: what is read is the truth
        for row, (text,) in zip(rows, connection.execute(f"SELECT CAST({name} AS TEXT) FROM t"), strict=True):
            row[name] = text
    schema = samples.frame([]).select(names).schema
    text, values = compiled(bound(written, schema), schema, "sqlite")
    found = connection.execute(f"SELECT rowid - 1 FROM t WHERE {text}", values).fetchall()
    connection.close()
    assert {row for (row,) in found} >= expected(written, rows)


@pytest.mark.parametrize("name", WAYS)
def test_sqlite_gives_at_least_the_rows_of_every_comparison(name: str) -> None:
    """Every value in every way of storing it, against every value that may be asked for, and not of it."""
    declared, store = WAYS[name]
    schema = samples.frame([]).select(name).schema
    ways = [
        (value, type(stored), stored) for value in COLUMNS[name].values for stored in map(partial(store, value), FORMS)
    ]
    pairs = [(value, stored) for value, _, stored in dict.fromkeys(ways)] + [(None, None)]
    for kind in declared:
        connection = sqlite3.connect(":memory:")
        connection.execute(f"CREATE TABLE t ({name} {kind})")
        connection.executemany("INSERT INTO t VALUES (?)", [(stored,) for _, stored in pairs])
        rows = [{name: value} for value, _ in pairs]
        if name in {"text", "state"}:
            rows = [{name: text} for (text,) in connection.execute(f"SELECT CAST({name} AS TEXT) FROM t")]
        for written in comparisons_of(name):
            text, values = compiled(bound(written, schema), schema, "sqlite")
            found = {row for (row,) in connection.execute(f"SELECT rowid - 1 FROM t WHERE {text}", values)}
            assert found >= expected(written, rows), (kind, written, text)
        connection.close()


@settings(max_examples=100, deadline=None)
@given(samples.cases(["big", "small"]))
def test_sqlite_gives_exactly_the_rows_where_numbers_are_stored_as_declared(case: Case) -> None:
    """Where nothing strange is stored, what is pushed is not wider than the filter."""
    written, rows = case
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (big INTEGER, small INTEGER)")
    connection.executemany("INSERT INTO t VALUES (?, ?)", [(row["big"], row["small"]) for row in rows])
    schema = samples.frame([]).select("big", "small").schema
    text, values = compiled(bound(written, schema), schema, "sqlite")
    found = connection.execute(f"SELECT rowid - 1 FROM t WHERE {text}", values).fetchall()
    connection.close()
    assert {row for (row,) in found} == expected(written, rows)


def test_sqlite_answers_the_usual_filter_by_its_indexes() -> None:
    schema = pl.Schema({"status": pl.String(), "started_at": pl.Datetime("us"), "duration_ms": pl.Int64()})
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (status TEXT, started_at DATETIME, duration_ms INTEGER)")
    for name in schema:
        connection.execute(f"CREATE INDEX by_{name} ON t ({name})")
    asked = {
        "started_at": {"time_range": {"start": "2026-03-01", "end": "2026-04-01"}},
        "status": {"status": ["failed", "timeout"]},
        "duration_ms": {"where": {"field": "duration_ms", "operator": "gt", "value": 250}},
    }
    roles = Roles(time="started_at", status="status")
    for name, written in asked.items():
        resolved = read_filter(written).resolve(datetime(2026, 4, 1, tzinfo=UTC), BERLIN)
        text, values = compiled(resolved.bind(schema, roles, BERLIN), schema, "sqlite")
        plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT * FROM t WHERE {text}", values).fetchall()
        assert any(f"USING INDEX by_{name}" in step[3] for step in plan), plan
        assert not any(step[3].startswith("SCAN") for step in plan), plan
    connection.close()


# --- what is not asked

SCHEMA = pl.Schema({"a": pl.Int64(), "t": pl.String(), "f": pl.Float64(), "m": pl.Decimal(10, 2)})
A, B = where("a", "gt", 1), where("a", "lt", 5)
HIDDEN = where("t", "matches", "^x")
COLUMN_A: Mapping[str, Any] = {"a": sa.column("a")}


def pushed(filter_: AnyFilter, dialect: str = "duckdb", columns: Mapping[str, Any] = COLUMN_A) -> str | None:
    clause = filter_.bind(SCHEMA, Roles(), BERLIN).clause(columns, SCHEMA, BERLIN, dialect)
    return None if clause is None else str(clause.compile(compile_kwargs={"literal_binds": True}))


def test_parts_that_cannot_be_asked_are_left_out() -> None:
    assert pushed(A) == "a > 1"
    assert pushed(A & HIDDEN) == "a > 1"
    assert pushed(A | HIDDEN) is None
    assert pushed(~HIDDEN) is None
    assert pushed(~(A & HIDDEN)) is None
    assert pushed(~(A | HIDDEN)) == "NOT coalesce(a > 1, false)"
    assert pushed((A & HIDDEN) | (B & HIDDEN)) == "a > 1 OR a < 5"
    assert pushed(~~A & ~HIDDEN) == "NOT coalesce(NOT coalesce(a > 1, false), false)"


def test_columns_that_may_not_be_asked_are_left_out() -> None:
    assert pushed(A, columns={}) is None
    assert pushed(A & where("f", "gt", 1)) == "a > 1"


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", ""])
def test_nothing_is_asked_of_a_database_whose_rules_are_not_known(dialect: str) -> None:
    assert pushed(A, dialect) is None


def test_long_lists_are_not_asked() -> None:
    assert pushed(where("a", "in", list(range(500)))) is not None
    assert pushed(where("a", "in", list(range(501)))) is None
    assert pushed(~where("a", "in", list(range(501)))) is None


def test_sqlite_is_not_asked_for_what_it_stores_in_too_many_ways() -> None:
    columns: Mapping[str, Any] = {name: sa.column(name) for name in SCHEMA}
    assert pushed(where("m", "gt", Decimal("1.5")), "sqlite", columns) is None
    assert pushed(where("t", "gt", "a"), "sqlite", columns) is None
    assert pushed(where("f", "gt", 2.0**53), "sqlite", columns) is None
    assert pushed(where("f", "gt", 1.5), "sqlite", columns) is not None


def test_values_are_bound_and_never_part_of_the_text() -> None:
    text, values = compiled(bound({"where": {"field": "t", "value": "x' OR 1=1 --"}}, SCHEMA), SCHEMA, "duckdb")
    assert "1=1" not in text
    assert values == ["x' OR 1=1 --"]


def test_the_pushed_rows_filtered_again_are_the_rows() -> None:
    table = pl.DataFrame(
        {"row": [0, 1, 2, 3], "f": [1.0, math.nan, None, 7.0]}, schema={"row": pl.Int64, "f": pl.Float64}
    )
    filter_ = (~where("f", "gt", 5)).bind(table.schema, Roles(), BERLIN)
    assert in_duckdb(table, filter_) == {0, 1, 2}
    again = nw.from_native(table).filter(filter_.expression(table.schema, BERLIN))["row"].to_list()
    assert again == [0, 1, 2]
