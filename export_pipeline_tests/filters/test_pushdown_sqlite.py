"""What SQLite, which keeps any value in any column, is asked for keeps every row that the filter keeps."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipeline.filters import Roles, read_filter
from export_pipeline_tests.filters import samples
from export_pipeline_tests.filters.pushing import Case, bound, comparisons_of, compiled, expected
from export_pipeline_tests.filters.samples import BERLIN, COLUMNS


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
