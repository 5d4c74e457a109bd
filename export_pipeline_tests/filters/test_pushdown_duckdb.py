"""What DuckDB is asked for keeps every row that the filter keeps."""

from __future__ import annotations

import functools
import math

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings

from export_pipeline.filters import AnyFilter, Roles, where
from export_pipeline_tests.filters import samples
from export_pipeline_tests.filters.pushing import Case, bound, comparisons_of, compiled, expected
from export_pipeline_tests.filters.samples import BERLIN, COLUMNS

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


def test_the_pushed_rows_filtered_again_are_the_rows() -> None:
    table = pl.DataFrame(
        {"row": [0, 1, 2, 3], "f": [1.0, math.nan, None, 7.0]}, schema={"row": pl.Int64, "f": pl.Float64}
    )
    filter_ = (~where("f", "gt", 5)).bind(table.schema, Roles(), BERLIN)
    assert in_duckdb(table, filter_) == {0, 1, 2}
    again = nw.from_native(table).filter(filter_.expression(table.schema, BERLIN))["row"].to_list()
    assert again == [0, 1, 2]
