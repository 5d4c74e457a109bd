"""Workbooks for tests, and what other programs' readers make of them."""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
from python_calamine import CalamineWorkbook

from export_pipeline.formats.excel import Excel
from export_pipeline.verification import Artifact, verify


def written(frame: pl.DataFrame | pl.LazyFrame, folder: Path, form: Excel | None = None) -> Artifact:
    """Write a workbook and verify it."""
    form = form or Excel()
    artifact = form.write(frame.lazy(), folder / "file.xlsx")
    verify(artifact, form)
    return artifact


def capped(rows: int, **options: Any) -> Excel:
    """Return the format with sheets of so many rows, the header included."""
    form = Excel(**options)
    form._max_rows = rows
    return form


def by_openpyxl(path: Path) -> list[list[Any]]:
    """Return the rows of all sheets without their headers, as openpyxl reads them."""
    rows: list[list[Any]] = []
    for sheet in openpyxl.load_workbook(path).worksheets:
        rows += [[plain(value) for value in row] for row in sheet.iter_rows(min_row=2, values_only=True)]
    return rows


def by_calamine(path: Path) -> list[list[Any]]:
    """Return the rows of all sheets without their headers, as calamine reads them."""
    book, rows = CalamineWorkbook.from_path(str(path)), []
    for name in book.sheet_names:
        for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)[1:]:
            rows.append([None if value == "" else plain(value) for value in row])
    return rows


def plain(value: Any) -> Any:
    """Return a value in the form that both readers share: text without escapes, days as moments, seconds rounded."""
    if isinstance(value, str):
        return re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), value)
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, Decimal)):
        return float(value)
    if isinstance(value, dt.datetime):
        return round_ms(value)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day)
    if isinstance(value, dt.time):
        return dt.timedelta(
            hours=value.hour, minutes=value.minute, seconds=value.second, milliseconds=round(value.microsecond / 1000)
        )
    if isinstance(value, dt.timedelta):
        return dt.timedelta(milliseconds=round(value / dt.timedelta(milliseconds=1)))
    return value


def round_ms(value: dt.datetime) -> dt.datetime:
    """Return the moment to the millisecond: readers keep no more."""
    micros = round(value.microsecond / 1000) * 1000 - value.microsecond
    return value + dt.timedelta(microseconds=micros)


def part(path: Path, name: str) -> str:
    """Return a part of the package as text."""
    with zipfile.ZipFile(path) as package:
        return package.read(name).decode()


def sheet(path: Path, number: int = 1) -> str:
    """Return the XML of a sheet."""
    return part(path, f"xl/worksheets/sheet{number}.xml")
