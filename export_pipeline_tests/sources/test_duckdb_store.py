"""DuckDB files: types as they are, and never a write."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from export_pipeline.errors import Cancelled, ConfigError, SourceError, SourceUnavailableError
from export_pipeline.snapshots import stage
from export_pipeline.sources import Opened, Stores, StoreSource
from export_pipeline_tests.sources.test_contract import read

ONE = "00000000-0000-0000-0000-000000000001"
TYPES: list[tuple[str, pl.DataType, Any]] = [
    ("true", pl.Boolean(), True),
    ("1::TINYINT", pl.Int8(), 1),
    ("(-9223372036854775808)::BIGINT", pl.Int64(), -(2**63)),
    ("18446744073709551615::UBIGINT", pl.UInt64(), 2**64 - 1),
    ("99999999999999999999999999999999999999::HUGEINT", pl.Decimal(38, 0), Decimal(10**38 - 1)),
    ("12345678901234567890.10::DECIMAL(38,2)", pl.Decimal(38, 2), Decimal("12345678901234567890.10")),
    ("1.5::FLOAT", pl.Float32(), 1.5),
    ("'-inf'::DOUBLE", pl.Float64(), float("-inf")),
    ("'a\u0000b'", pl.String(), "a\x00b"),
    ("'\\x00\\xFF'::BLOB", pl.Binary(), b"\x00\xff"),
    ("DATE '0001-01-01'", pl.Date(), date(1, 1, 1)),
    ("TIME '23:59:59.999999'", pl.Time(), clock(23, 59, 59, 999999)),
    ("TIMESTAMP '9999-12-31 23:59:59.999999'", pl.Datetime("us"), datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ("TIMESTAMP_S '2026-01-01'", pl.Datetime("us"), datetime(2026, 1, 1)),
    ("TIMESTAMP_MS '2026-01-01'", pl.Datetime("ms"), datetime(2026, 1, 1)),
    ("TIMESTAMPTZ '2026-01-01 00:00:00+02'", pl.Datetime("us", "UTC"), datetime(2025, 12, 31, 22, tzinfo=UTC)),
    ("INTERVAL '1 month 2 days 3 seconds'", pl.String(), "1 month 2 days 00:00:03"),
    ("'12:00:00+02'::TIMETZ", pl.String(), "12:00:00+02"),
    ("'101'::BIT", pl.String(), "101"),
    ("'00000000-0000-0000-0000-000000000001'::UUID", pl.String(), "00000000-0000-0000-0000-000000000001"),
    ("'a'::ENUM('b', 'a')", pl.String(), "a"),
    ("'{\"a\": 1}'::JSON", pl.String(), '{"a": 1}'),
    ("NULL", pl.String(), None),
    ("[1, NULL]::INTEGER[]", pl.List(pl.Int32), [1, None]),
    ("[1, 2]::INTEGER[2]", pl.List(pl.Int32), [1, 2]),
    ("{'a': 1::HUGEINT, 'b c': 'x'}", pl.Struct({"a": pl.Decimal(38, 0), "b c": pl.String}), {"a": 1, "b c": "x"}),
    ("[{'u': '00000000-0000-0000-0000-000000000001'::UUID}]", pl.List(pl.Struct({"u": pl.String})), [{"u": ONE}]),
    ("MAP {'k': 1}", pl.List(pl.Struct({"key": pl.String, "value": pl.Int32})), [{"key": "k", "value": 1}]),
    ("MAP {'k': INTERVAL 1 DAY}", pl.String(), '{"k":"1 day"}'),
    ("union_value(n := 2)", pl.String(), '{"n":2}'),
]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with duckdb.connect(tmp_path / "s.duckdb") as connection:
        connection.execute("CREATE TABLE numbers AS SELECT range AS n, 'x' || range % 7 AS x FROM range(100000)")
        connection.execute("CREATE SEQUENCE counter")
        connection.execute("CREATE SCHEMA other; CREATE TABLE other.numbers AS SELECT 1 AS one")
        connection.execute("CREATE VIEW few AS SELECT * FROM numbers WHERE n < 10")
        connection.execute('CREATE TABLE "a.b" AS SELECT 5 AS five')
    return tmp_path / "s.duckdb"


def open_(path: Path, **source: Any) -> Opened:
    return StoreSource(store="s", **source).open(Stores.model_validate({"stores": {"s": {"duckdb": str(path)}}}))


@pytest.mark.parametrize(("sql", "dtype", "value"), TYPES, ids=[sql for sql, _, _ in TYPES])
def test_types(path: Path, tmp_path: Path, sql: str, dtype: pl.DataType, value: Any) -> None:
    query = f"SELECT {sql} AS c UNION ALL SELECT NULL" if sql != "NULL" else "SELECT NULL AS c"
    with open_(path, query=query) as opened:
        assert opened.schema == pl.Schema({"c": dtype})
        found = stage(opened, tmp_path).scan().collect()
    assert found.schema == opened.schema
    assert found.to_dicts()[0]["c"] == value
    with open_(path, query=f"SELECT {sql} AS c WHERE false") as opened:
        assert stage(opened, tmp_path).scan().collect().schema == pl.Schema({"c": dtype})


def test_nanoseconds_and_nan(path: Path) -> None:
    query = "SELECT TIMESTAMP_NS '2026-01-01 00:00:00.123456789' AS t, 'nan'::DOUBLE AS f"
    with open_(path, query=query) as opened:
        row = read(opened)
        assert row.schema == pl.Schema({"t": pl.Datetime("ns"), "f": pl.Float64()})
        assert row["t"].cast(pl.Int64)[0] % 1_000_000_000 == 123456789
        assert str(row["f"][0]) == "nan"


@pytest.mark.parametrize(
    "sql",
    [
        "DATE 'infinity'",
        "TIMESTAMP '-infinity'",
        "DATE '0001-01-01 (BC)'",
        "DATE '10000-01-01'",
        "TIME '24:00:00'",
        "(170141183460469231731687303715884105727)::HUGEINT",
    ],
)
def test_what_nobody_can_hold_is_refused_until_read_as_text(path: Path, sql: str) -> None:
    with open_(path, query=f"SELECT {sql} AS c") as opened, pytest.raises(SourceError, match=r"c(?s:.*)text"):
        read(opened)
    with open_(path, query=f"SELECT {sql} AS c", schema={"c": "text"}) as opened:
        assert read(opened)["c"][0]


@pytest.mark.parametrize(
    ("dataset", "columns"),
    [
        ("numbers", ["n", "x"]),
        ("main.numbers", ["n", "x"]),
        ("other.numbers", ["one"]),
        ("few", ["n", "x"]),
        ("a.b", ["five"]),
    ],
)
def test_tables_views_and_schemas(path: Path, dataset: str, columns: list[str]) -> None:
    with open_(path, dataset=dataset) as opened:
        assert opened.schema.names() == columns
        assert opened.count() == (None if dataset == "few" else read(opened).height)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT nextval('counter')",
        "COPY numbers TO 'out.csv'",
        "SET threads = 1",
        "PRAGMA database_list",
        "INSTALL httpfs",
        "EXPORT DATABASE 'x'",
        "CALL pragma_version()",
    ],
)
def test_nothing_but_this_file_is_read(path: Path, query: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"refused|does not exist"), open_(path, query=query) as opened:
        read(opened)
    assert [file.name for file in tmp_path.iterdir()] == ["s.duckdb"]


def test_a_writer_elsewhere_is_said_to_be_in_the_way(path: Path) -> None:
    program = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(
            SourceUnavailableError, match=f"open for writing in process {writer.pid}(?s:.*)close the file"
        ):
            open_(path, dataset="numbers")
    with open_(path, dataset="numbers") as one, open_(path, dataset="numbers") as two:
        assert one.count() == two.count() == 100_000
    with duckdb.connect(path), pytest.raises(SourceUnavailableError, match="another part of this process"):
        open_(path, dataset="numbers")


def test_a_long_query_is_interrupted(path: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    slow = "SELECT a.n, count(*) AS c FROM numbers a JOIN numbers b ON a.x = b.x WHERE a.n * b.n % 3 <> 1 GROUP BY ALL"
    with open_(path, query=slow) as opened:
        threading.Timer(0.3, stop.set).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            stage(opened, tmp_path, name="slow", stop=stop)
        assert time.monotonic() - began < 5
        assert opened.schema.names() == ["n", "c"]
    assert [file.name for file in tmp_path.iterdir()] == ["s.duckdb"]


def test_a_new_format_of_the_file_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "s.duckdb").write_bytes(b"\0" * 8 + b"DUCK" + b"\xff" * 4096)
    with pytest.raises(SourceError, match=r"s\.duckdb cannot be opened") as caught:
        open_(tmp_path / "s.duckdb", dataset="numbers")
    assert not isinstance(caught.value, SourceUnavailableError)
