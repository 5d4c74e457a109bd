"""Random filters on random rows: the Narwhals translation against plain Python, and against SQL on DuckDB."""

from __future__ import annotations

import functools
import io
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings

from export_pipeline.filters import AnyFilter, Roles, read_filter, write_filter
from export_pipeline_tests.filters import samples
from export_pipeline_tests.filters.samples import BERLIN, COLUMNS


def bound(written: Any, schema: pl.Schema) -> AnyFilter:
    return read_filter(written).bind(schema, Roles(), BERLIN)


def kept(filter_: AnyFilter, table: pl.DataFrame) -> list[int]:
    lazy = nw.from_native(table.lazy()).filter(filter_.expression(table.schema, BERLIN))
    return lazy.to_native().collect()["row"].to_list()


@settings(max_examples=200, deadline=None)
@given(samples.cases())
def test_narwhals_keeps_the_rows_that_plain_python_keeps(case: tuple[Any, list[dict[str, Any]]]) -> None:
    written, rows = case
    table = samples.frame(rows)
    expected = [index for index, row in enumerate(rows) if samples.keeps(written, row)]
    assert kept(bound(written, table.schema), table) == expected


@settings(max_examples=100, deadline=None)
@given(samples.filters())
def test_a_bound_filter_is_stored_and_bound_again_without_a_change(written: Any) -> None:
    schema = samples.frame([]).schema
    once = bound(written, schema)
    stored = json.loads(json.dumps(write_filter(once), allow_nan=False))
    assert read_filter(stored) == once
    assert once.bind(schema, Roles(), BERLIN) == once
    assert type(once).model_validate(once.dump()) == once
    assert once.columns() <= set(schema)
    assert read_filter(write_filter(read_filter(written))) == read_filter(written)
    assert once.sentence()


def literal(name: str, value: Any) -> str:
    """Return a value as SQL of DuckDB, for a column of this name."""
    if name in {"naive", "zoned", "coarse"}:
        when = value if value.tzinfo else value.replace(tzinfo=BERLIN)
        text = when.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
        return f"TIMESTAMP '{text}'" if name == "naive" else f"TIMESTAMPTZ '{text}+00'"
    if name == "flag":
        return str(value).lower()
    if name == "money":
        return str(value)
    if isinstance(value, float) and math.isinf(value):
        return f"'{value}'::DOUBLE"
    types = {date: "DATE", time: "TIME"}
    prefix = {"day": "DATE ", "clock": "TIME "}.get(name, "")
    if isinstance(value, str) or type(value) in types:
        return prefix + "'" + str(value).replace("'", "''") + "'"
    assert isinstance(value, int | float | Decimal) and not isinstance(value, datetime)
    return str(value)


SQL: Mapping[str, str] = {
    "eq": "{c} = {v}", "ne": "{c} <> {v}", "gt": "{c} > {v}", "ge": "{c} >= {v}", "lt": "{c} < {v}", "le": "{c} <= {v}",
    "in": "{c} IN ({v})", "not_in": "{c} NOT IN ({v})", "between": "{c} BETWEEN {v[0]} AND {v[1]}",
    "within": "({c} >= {v[0]} AND {c} < {v[1]})",
    "contains": "contains({c}, {v})", "not_contains": "NOT contains({c}, {v})", "starts_with": "starts_with({c}, {v})",
    "ends_with": "suffix({c}, {v})", "matches": "regexp_matches({c}, {v})", "imatches": "regexp_matches({c}, {v}, 'i')",
    "is_null": "{c} IS NULL", "is_not_null": "{c} IS NOT NULL",
}  # fmt: skip


def sql(written: Mapping[str, Any]) -> str:
    """Return a filter as SQL that a person would write for these semantics."""
    ((tag, body),) = written.items()
    if tag in {"and", "or"}:
        return "(" + f" {tag.upper()} ".join(map(sql, body)) + ")"
    if tag == "not":
        return f"NOT ({sql(body)})"
    name, operator = body["field"], body["operator"]
    column = {"label": "label::VARCHAR", "state": "state::VARCHAR", "clock": "clock::TIME"}.get(name, name)
    if name in {"double", "single"}:
        column = f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END"
    value = body.get("value")
    shown: Any = None if value is None else literal(name, value) if not isinstance(value, list) else None
    if isinstance(value, list):
        shown = [literal(name, item) for item in value]
    if operator in samples.FOLDED:
        column, operator = f"lower({column})", operator.removeprefix("i")
        shown = [f"lower({item})" for item in shown] if isinstance(shown, list) else f"lower({shown})"
    if operator in {"in", "not_in"}:
        shown = ", ".join(shown) if isinstance(shown, list) else shown
    return f"coalesce({SQL[operator].format(c=column, v=shown)}, false)"


@functools.cache
def database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


# DuckDB has no type for nanoseconds with a zone, and compares 32-bit numbers as 64-bit ones.
ASKED = ["big", "small", "huge", "double", "money", "text", "label", "state", "flag", "day", "naive", "zoned", "coarse",
         "clock"]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(samples.cases(ASKED))
def test_narwhals_keeps_the_rows_that_sql_keeps(case: tuple[Any, list[dict[str, Any]]]) -> None:
    written, rows = case
    table = samples.frame(rows).select("row", *ASKED)
    connection = database()
    connection.register("t", table.to_arrow())
    found = connection.sql(f"SELECT row FROM t WHERE {sql(written)} ORDER BY row").fetchall()
    assert kept(bound(written, table.schema), table) == [row for (row,) in found]


@settings(max_examples=100, deadline=None)
@given(samples.cases(["big", "text", "double"]))
def test_a_parquet_file_is_filtered_as_a_frame_is(case: tuple[Any, list[dict[str, Any]]]) -> None:
    """Polars pushes the expression into the scan and skips by statistics: the same rows must come."""
    written, rows = case
    table = samples.frame(rows).select("row", "big", "text", "double")
    file = io.BytesIO()
    table.write_parquet(file, row_group_size=3, statistics="full")
    filter_ = bound(written, table.schema)
    file.seek(0)
    scanned = nw.from_native(pl.scan_parquet(file)).filter(filter_.expression(table.schema, BERLIN))
    assert scanned.to_native().collect()["row"].to_list() == kept(filter_, table)


@pytest.mark.parametrize(("name", "operator"), [(name, key) for name in COLUMNS for key in COLUMNS[name].operators])
def test_every_operator_of_every_type_keeps_the_rows_that_plain_python_keeps(name: str, operator: str) -> None:
    """Each value of a column against each value that may be asked for, whatever the random trees above drew."""
    column = COLUMNS[name]
    rows = [dict.fromkeys(COLUMNS) | {name: value} for value in (*column.values, None)]
    table = samples.frame(rows)
    asked = [{"where": {"field": name, "operator": operator, "value": v}} for v in samples.values_for(name, operator)]
    found = nw.from_native(table).select(
        *[
            bound(written, table.schema).expression(table.schema, BERLIN).fill_null(False).alias(str(index))
            for index, written in enumerate(asked)
        ]
    )
    for index, written in enumerate(asked):
        assert found[str(index)].to_list() == [samples.keeps(written, row) for row in rows], written
