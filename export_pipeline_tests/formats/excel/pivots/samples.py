"""Rows for pivot tables, and what openpyxl and SQL make of them."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import polars as pl

from export_pipeline.formats.excel import Excel

N = 20_000
FRAME = pl.DataFrame({"id": range(N)}).select(
    "id",
    agent=pl.format("agent-{}", pl.col("id") % 7),
    status=pl.when(pl.col("id") % 5 > 0).then(pl.format("s{}", pl.col("id") * 31 % 3)),
    day=pl.date(2024, 1, 1) + pl.duration(days=pl.col("id") % 2),
    ok=pl.when(pl.col("id") % 9 > 0).then(pl.col("id") % 2 == 0),
    cost=pl.when(pl.col("id") % 11 > 0).then((pl.col("id") * 37 % 1009) / 7),
    price=(pl.col("id") % 100).cast(pl.Decimal(10, 2)) / 4,
)


def form(*tables: dict[str, Any], **options: Any) -> Excel:
    return Excel.model_validate({"pivot_tables": list(tables), **options})


def page(path: Path, name: str) -> list[list[Any]]:
    """Return the cells of a sheet, dates without their midnight."""
    book = openpyxl.load_workbook(path, read_only=True)  # the other sheets stay closed
    with contextlib.closing(book):
        rows = book[name].iter_rows(values_only=True)
        return [[v.date() if isinstance(v, dt.datetime) else v for v in row] for row in rows]


def sql(query: str, frame: pl.DataFrame = FRAME) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.register("frame", frame.to_arrow())
        return connection.execute(query).fetchall()


def label(value: Any) -> Any:
    return "(blank)" if value is None else value
