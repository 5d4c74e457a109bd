"""Every kind of source, made of the same rows: what the contract tests run over."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.feather
from pyarrow import ipc

from export_pipeline.sources import FilesSource, Source, Stores, StoreSource

SCHEMA = pl.Schema(
    {
        "id": pl.Int64(),
        "agent": pl.String(),
        "started_at": pl.Datetime("us"),
        "day": pl.Date(),
        "ms": pl.Float64(),
        "ok": pl.Boolean(),
        "note": pl.String(),
    }
)
ROWS = pl.DataFrame(
    {
        "id": [-9223372036854775808, 9223372036854775807, 0, 9007199254740993],
        "agent": ["00123", "agent-é😀", 'a,b;"c"\n d', None],
        "started_at": [
            datetime(2026, 3, 29, 2, 30),
            datetime(1, 1, 1),
            datetime(9999, 12, 31, 23, 59, 59, 999999),
            None,
        ],
        "day": [datetime(1899, 12, 31), datetime(2024, 2, 29), None, datetime(2026, 1, 1)],
        "ms": [0.1, -0.0, 1e22, None],
        "ok": [True, False, None, True],
        "note": ["=1+1", None, "x", "2026-01-01"],
    },
    schema=SCHEMA,
)
"""Rows with what readers get wrong: ends of int64, leading zeros, quotes and line ends, nulls, far dates."""


@dataclass(frozen=True)
class Made:
    """A source, and the stores it is in."""

    source: Source
    stores: Stores
    paths: tuple[Path, ...]

    def open(self, **changes: Any) -> Any:
        """Open it with some options changed."""
        return self.source.replace(**changes).open(self.stores) if changes else self.source.open(self.stores)


Make = Callable[[Path, pl.DataFrame], Made]
_SQL = {
    pl.Int64(): "BIGINT",
    pl.String(): "TEXT",
    pl.Datetime("us"): "TIMESTAMP",
    pl.Date(): "DATE",
    pl.Float64(): "DOUBLE",
    pl.Boolean(): "BOOLEAN",
}


def _files(path: Path) -> Made:
    return Made(FilesSource(files=[str(path)]), Stores(), (path,))


def _parquet(folder: Path, rows: pl.DataFrame) -> Made:
    rows.write_parquet(folder / "rows.parquet")
    return _files(folder / "rows.parquet")


def _csv(folder: Path, rows: pl.DataFrame) -> Made:
    rows.write_csv(folder / "rows.csv")
    return _files(folder / "rows.csv")


def _csv_gz(folder: Path, rows: pl.DataFrame) -> Made:
    (folder / "rows.csv.gz").write_bytes(gzip.compress(rows.write_csv().encode()))
    return _files(folder / "rows.csv.gz")


def _tsv(folder: Path, rows: pl.DataFrame) -> Made:
    rows.write_csv(folder / "rows.tsv", separator="\t")
    return _files(folder / "rows.tsv")


def _ndjson(folder: Path, rows: pl.DataFrame) -> Made:
    rows.write_ndjson(folder / "rows.ndjson")
    return _files(folder / "rows.ndjson")


def _json(folder: Path, rows: pl.DataFrame) -> Made:
    rows.write_json(folder / "rows.json")
    return _files(folder / "rows.json")


def _feather(folder: Path, rows: pl.DataFrame) -> Made:
    pyarrow.feather.write_feather(rows.to_arrow(), str(folder / "rows.feather"))
    return _files(folder / "rows.feather")


def _arrow_stream(folder: Path, rows: pl.DataFrame) -> Made:
    table = rows.to_arrow()
    with pa.OSFile(str(folder / "rows.arrows"), "wb") as file, ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return _files(folder / "rows.arrows")


def _create(rows: pl.DataFrame) -> str:
    columns = ", ".join(f'"{name}" {_SQL[dtype]}' for name, dtype in rows.schema.items())
    return f"CREATE TABLE rows ({columns})"


def _stores(folder: Path, kind: str, path: Path) -> Stores:
    data = {
        "stores": {"s": {kind: {"path": path.name, "datasets": {"rows": {"time": "started_at", "agent": "agent"}}}}}
    }
    return Stores.model_validate(data).within(folder)


def _duckdb(folder: Path, rows: pl.DataFrame) -> Made:
    with duckdb.connect(folder / "s.duckdb") as connection:
        connection.execute(_create(rows))
        connection.register("given", rows.to_arrow())
        connection.execute("INSERT INTO rows SELECT * FROM given")
    path = folder / "s.duckdb"
    return Made(StoreSource(store="s", dataset="rows"), _stores(folder, "duckdb", path), (path,))


def _sqlite(folder: Path, rows: pl.DataFrame) -> Made:
    path = folder / "s.sqlite"
    plain = rows.with_columns(
        pl.col("started_at").dt.strftime("%Y-%m-%d %H:%M:%S%.6f"),
        pl.col("day").cast(pl.String),
        pl.col("ok").cast(pl.Int8),
    )
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(_create(rows))
    connection.executemany(f"INSERT INTO rows VALUES ({', '.join('?' * rows.width)})", plain.iter_rows())
    connection.commit()
    connection.close()
    return Made(StoreSource(store="s", dataset="rows"), _stores(folder, "sqlite", path), (path,))


def _query(make: Make) -> Make:
    def made(folder: Path, rows: pl.DataFrame) -> Made:
        table = make(folder, rows)
        return Made(StoreSource(store="s", query="SELECT * FROM rows"), table.stores, table.paths)

    return made


KINDS: dict[str, Make] = {
    "parquet": _parquet,
    "csv": _csv,
    "csv.gz": _csv_gz,
    "tsv": _tsv,
    "ndjson": _ndjson,
    "json": _json,
    "feather": _feather,
    "arrow stream": _arrow_stream,
    "duckdb": _duckdb,
    "duckdb query": _query(_duckdb),
    "sqlite": _sqlite,
    "sqlite query": _query(_sqlite),
}
TYPED = ("parquet", "feather", "arrow stream", "duckdb", "duckdb query", "sqlite", "sqlite query")
"""Those that know their types without rows."""
HEADED = ("csv", "csv.gz", "tsv")
"""Those that know only their names without rows."""
