"""SQLite files: whatever a column was declared as, no value is lost."""

from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export_pipeline.errors import Cancelled, SourceError, SourceUnavailableError
from export_pipeline.filters import where
from export_pipeline.snapshots import stage
from export_pipeline.sources import Opened, Stores, StoreSource
from export_pipeline_tests.sources.test_contract import read

INTEGER, FLOAT, TEXT, BOOLEAN = pl.Int64(), pl.Float64(), pl.String(), pl.Boolean()
NAIVE, AWARE = pl.Datetime("us"), pl.Datetime("us", "UTC")

COLUMNS: list[tuple[str, list[Any], pl.DataType, list[Any]]] = [
    ("INTEGER", [-(2**63), 2**63 - 1, None], INTEGER, [-(2**63), 2**63 - 1, None]),
    ("INTEGER", [1, "abc", "2"], TEXT, ["1", "abc", "2"]),
    ("INTEGER", [1, 1.5], FLOAT, [1.0, 1.5]),
    ("INTEGER", [2**53 + 1, 1.5], TEXT, ["9007199254740993", "1.5"]),
    ("INTEGER", [1, ""], TEXT, ["1", ""]),
    ("INTEGER", [1, b"\xff\x00"], TEXT, ["1", "x'FF00'"]),
    ("INT", [None, None], INTEGER, [None, None]),
    ("UNSIGNED BIG INT", [1], INTEGER, [1]),
    ("REAL", [1, 0.1, float("inf")], FLOAT, [1.0, 0.1, float("inf")]),
    ("REAL", [0.1, "n/a"], TEXT, ["0.1", "n/a"]),
    ("DOUBLE PRECISION", [2**53 + 2], FLOAT, [float(2**53 + 2)]),
    ("TEXT", ["00123", "", None], TEXT, ["00123", "", None]),
    ("TEXT", ["2026-01-01 10:00:00"], TEXT, ["2026-01-01 10:00:00"]),
    ("VARCHAR(3)", [5], TEXT, ["5"]),
    ("BLOB", [b"\x00", b""], pl.Binary(), [b"\x00", b""]),
    ("BLOB", [b"ab", "text", 5], TEXT, ["ab", "text", "5"]),
    ("BOOLEAN", [1, 0, None], BOOLEAN, [True, False, None]),
    ("BOOLEAN", [2, 0], INTEGER, [2, 0]),
    ("BOOLEAN", ["true", "FALSE"], BOOLEAN, [True, False]),
    ("BOOLEAN", ["yes"], TEXT, ["yes"]),
    ("DATE", ["2026-01-01", "0001-01-01"], pl.Date(), [date(2026, 1, 1), date(1, 1, 1)]),
    ("DATE", ["2026-02-30"], TEXT, ["2026-02-30"]),
    ("DATE", ["2026-01-01", ""], TEXT, ["2026-01-01", ""]),
    ("DATETIME", ["2026-01-01 10:00:00", "2026-01-01T10:00"], NAIVE, [datetime(2026, 1, 1, 10)] * 2),
    ("DATETIME", [1767225600], INTEGER, [1767225600]),
    ("TIMESTAMP", ["2026-01-01T10:00:00Z"], AWARE, [datetime(2026, 1, 1, 10, tzinfo=UTC)]),
    ("TIMESTAMP", [None], NAIVE, [None]),
    (
        "DECIMAL(10,2)",
        [0.29, 12.34, 5, None],
        pl.Decimal(10, 2),
        [Decimal("0.29"), Decimal("12.34"), Decimal("5.00"), None],
    ),
    ("DECIMAL(10,2)", [0.291], FLOAT, [0.291]),
    ("DECIMAL(10,2)", [1e9], INTEGER, [10**9]),  # SQLite keeps whole numbers of such columns as integers
    ("DECIMAL(4,2)", [123.5], FLOAT, [123.5]),
    ("NUMERIC", [1, 2], INTEGER, [1, 2]),
    ("NUMERIC", [None], FLOAT, [None]),
    ("", [1, 2], INTEGER, [1, 2]),
    ("", ["2026-01-01"], pl.Date(), [date(2026, 1, 1)]),
    ("", ["00123"], TEXT, ["00123"]),
    ("", [None], TEXT, [None]),
]


def write(path: Path, columns: dict[str, str], rows: Sequence[Sequence[Any]], *, strict: bool = False) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        names = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        connection.execute("DROP TABLE IF EXISTS t")
        connection.execute(f"CREATE TABLE t ({names})" + (" STRICT" if strict else ""))
        if rows:
            connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(columns))})", rows)


def open_(path: Path, **source: Any) -> Opened:
    source = source or {"dataset": "t"}
    return StoreSource(store="s", **source).open(Stores.model_validate({"stores": {"s": {"sqlite": str(path)}}}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.sqlite"


@pytest.mark.parametrize(("kind", "values", "dtype", "expected"), COLUMNS, ids=lambda value: str(value)[:40])
def test_types(
    path: Path, tmp_path: Path, kind: str, values: list[Any], dtype: pl.DataType, expected: list[Any]
) -> None:
    write(path, {"c": kind, "odd": "INTEGER"}, [(value, "x") for value in values])
    for source in ({"dataset": "t"}, {"query": "SELECT * FROM t"}):
        with open_(path, **source) as opened:
            assert opened.schema["c"] == dtype
            found = stage(opened, tmp_path).scan().collect()
            assert found["c"].to_list() == expected


def test_an_empty_table_keeps_the_declared_types(path: Path) -> None:
    kinds = {kind: dtype for kind, values, dtype, _ in COLUMNS if kind and values[0] is not None}
    write(path, {kind: kind for kind in kinds}, [])
    with open_(path) as opened:
        assert opened.schema["INTEGER"] == INTEGER
        assert opened.schema["DECIMAL(10,2)"] == pl.Decimal(10, 2)
        assert opened.schema["TIMESTAMP"] == NAIVE
        assert opened.schema["BOOLEAN"] == BOOLEAN
        assert read(opened).schema == opened.schema


def test_strict_and_generated_columns(path: Path) -> None:
    write(path, {"a": "INTEGER", "b": "TEXT", "c": "ANY", "d": "INTEGER AS (a * 2)"}, [], strict=True)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO t (a, b, c) VALUES (1, 'x', 5)")
    with open_(path) as opened:
        assert read(opened).rows(named=True) == [{"a": 1, "b": "x", "c": 5, "d": 2}]


def test_the_time_of_a_text_column_is_found_by_its_role(path: Path) -> None:
    write(path, {"at": "TEXT", "note": "TEXT"}, [("2026-01-01T10:00:00+02:00", "2026-01-01")])
    with open_(path, dataset="t", time="at") as opened:
        assert opened.schema == pl.Schema({"at": AWARE, "note": TEXT})
        only = where("at", "eq", "2026-01-01T08:00:00Z").bind(opened.schema, opened.roles, ZoneInfo("UTC"))
        assert sum(batch.num_rows for batch in opened.batches(None, only)) == 1
        assert opened.pushed(only)


def test_a_blob_in_a_text_column_is_named_until_it_is_read_as_bytes(path: Path) -> None:
    write(path, {"c": "TEXT"}, [("x",)] * 40_000 + [(b"\xff",)])
    with open_(path) as opened, pytest.raises(SourceError, match=r"row 40,001, column 'c': b'\\xff' is no text"):
        read(opened)
    with open_(path, dataset="t", schema={"c": "binary"}) as opened:
        assert read(opened)["c"].to_list()[-2:] == [b"x", b"\xff"]


def test_text_that_is_no_utf8_is_named(path: Path) -> None:
    write(path, {"c": "TEXT"}, [])
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO t VALUES (CAST(x'FF41' AS TEXT))")
    with open_(path) as opened, pytest.raises(SourceError, match=r"'c'(?s:.*)binary"):
        read(opened)
    with open_(path, dataset="t", schema={"c": "binary"}) as opened:
        assert read(opened)["c"].to_list() == [b"\xffA"]


def test_what_is_written_later_is_not_seen_by_an_open_read(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    write(path, {"c": "INTEGER"}, [(n,) for n in range(3_000)])
    with open_(path) as opened:
        rows = opened.batches()
        first = next(rows)
        with contextlib.closing(sqlite3.connect(path)) as writer, writer:
            writer.execute("INSERT INTO t SELECT 'text' FROM t")
        assert first.num_rows + sum(batch.num_rows for batch in rows) == 3_000
        assert opened.count() == 3_000
        assert opened.schema["c"] == INTEGER
    with open_(path) as later:
        assert later.schema["c"] == TEXT
        assert later.count() == 6_000


def _hold(path: str, ready: Any, done: Any) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    ready.set()
    done.wait(60)
    connection.close()


def test_a_lock_is_said_to_be_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, {"c": "INTEGER"}, [(1,)])
    monkeypatch.setattr("export_pipeline.sources.sqlite_store._WAIT", 0.1)
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(path), ready, done))
    holder.start()
    try:
        assert ready.wait(30)
        with pytest.raises(SourceUnavailableError, match=r"is locked by a writer(?s:.*)journal_mode=WAL"):
            open_(path)
    finally:
        done.set()
        holder.join()
    with open_(path) as opened:
        assert opened.count() == 1


def test_a_long_query_is_interrupted(path: Path, tmp_path: Path) -> None:
    write(path, {"c": "INTEGER"}, [(n,) for n in range(3_000)])
    stop = threading.Event()
    slow = "SELECT a.c FROM t a, t b, t c WHERE a.c + b.c + c.c = -1"
    with open_(path, query=slow, schema={"c": "integer"}) as opened:
        threading.Timer(0.3, stop.set).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            stage(opened, tmp_path, stop=stop)
        assert time.monotonic() - began < 5


def test_an_index_does_not_change_the_order(path: Path) -> None:
    write(path, {"id": "INTEGER PRIMARY KEY", "c": "INTEGER"}, [(n, -n) for n in range(1, 1_000)])
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE INDEX by_c ON t (c)")
    with open_(path) as opened:
        only = where("c", "ge", -10).bind(opened.schema, opened.roles, ZoneInfo("UTC"))
        found = [value for batch in opened.batches(["id"], only) for value in batch.column("id").to_pylist()]
        assert found == list(range(1, 11))


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_text("hello " * 1000)
    with pytest.raises(SourceError, match=r"s\.sqlite is no SQLite database"):
        open_(path)


values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.binary(max_size=3),
    st.sampled_from(["2026-01-01", "2026-01-01 10:00:00", "true", "", "5", 0, 1, 0.5]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)
@given(
    st.sampled_from(["INTEGER", "REAL", "", "NUMERIC", "BOOLEAN", "DATE", "DATETIME", "DECIMAL(6,2)", "BLOB"]),
    st.lists(values, min_size=1, max_size=5),
)
def test_no_value_is_lost_in_any_column(path: Path, kind: str, rows: list[Any]) -> None:
    write(path, {"c": kind}, [(value,) for value in rows])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        stored = [value for (value,) in connection.execute("SELECT c FROM t")]
    with open_(path) as opened:
        found = read(opened)["c"].to_list()
    for kept, value in zip(found, stored, strict=True):
        written = f"x'{value.hex().upper()}'" if isinstance(value, bytes) else str(value)
        assert (
            kept in (value, written)
            or (isinstance(value, bytes) and kept == value.decode(errors="replace"))
            or (isinstance(value, str) and (str(kept) == value or str(kept).lower() == value.lower()))
            or (isinstance(kept, Decimal) and float(kept) == value)
        ), (kind, kept, value, found)
