"""What a sheet looks like, resolved against its columns: where its header, its rows and each column stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from export_pipeline.formats.about import About
from export_pipeline.formats.excel.names import letters
from export_pipeline.formats.excel.strings import escaped_text

if TYPE_CHECKING:
    import polars as pl

    from export_pipeline.formats.excel.images import Picture
    from export_pipeline.formats.excel.properties import WorkbookProperties
    from export_pipeline.formats.excel.reader import Layout
    from export_pipeline.formats.excel.results import Result
    from export_pipeline.formats.excel.sheet import SheetOptions
    from export_pipeline.formats.excel.styles import CellStyle
    from export_pipeline.formats.excel.values import NonFinite


@dataclass(frozen=True)
class Placed:
    """A sheet of a workbook."""

    look: Look
    nth: int
    """Of the sheets that the rows of this look go on in; counted from 1."""
    rows: int
    widths: Sequence[float]
    """Of the columns, in characters."""


@dataclass(frozen=True)
class Look:
    """What a sheet looks like; everything but its rows."""

    options: SheetOptions
    names: Sequence[str]
    """Columns of the data and, behind them, those that are formulas only."""
    headers: Sequence[str] | None
    """Texts of the header row; None for no header."""
    looks: Sequence[CellStyle]
    """Style of each column's cells."""
    formats: Sequence[str | None]
    """Number format of each column; None for General."""
    about: About
    workbook: WorkbookProperties
    table: str | None
    """Name of a table style; None for no table."""
    lists: int = 0
    """Columns of the hidden sheet of lists that the sheets before this one take."""
    pictures: Sequence[Picture] = ()
    hashes: dict[str, str] = field(default_factory=dict)
    """What stands for the password of a protected sheet."""

    @property
    def first(self) -> int:
        """Row number of the first row of data."""
        return self.options.first_row + (self.headers is not None)

    def last(self, rows: int) -> int:
        """Return the row number of the last of so many rows of data. One empty row stands for none."""
        return self.first + max(rows, 1) - 1

    def area(self, rows: int, *, header: bool = False, totals: bool = False) -> str:
        """Return the cells of all columns; with the header above them, and the totals below."""
        top = self.options.first_row if header else self.first
        below = self.last(rows) + (totals and bool(self.options.totals))
        return f"A{top}:{letters(len(self.names) - 1)}{below}"

    def column(self, name: str, rows: int) -> str:
        """Return the cells of one column's data."""
        at = letters(self.names.index(name))
        return f"{at}{self.first}:{at}{self.last(rows)}"


def look_of(
    sheet: SheetOptions, schema: pl.Schema, about: About, workbook: WorkbookProperties, *, lists: int = 0
) -> Look:
    """Return what a sheet looks like with these columns; `lists` are the long lists of the sheets before it."""
    from export_pipeline.formats.excel.images import load

    return Look(
        options=sheet,
        names=sheet.all_names(schema),
        headers=sheet.header_texts(schema),
        looks=sheet.looks(schema),
        formats=sheet.codes(schema),
        about=about,
        workbook=workbook,
        table=None if sheet.table == "none" or not sheet.header else sheet.table,
        lists=lists,
        pictures=load(sheet.images, about),
        hashes=sheet.protection.hashes(about.name) if sheet.protection else {},
    )


def layout_of(sheet: SheetOptions, schema: pl.Schema, non_finite: NonFinite) -> Layout:
    """Return where a reader finds the rows of a sheet, and what is around and in them."""
    from export_pipeline.formats.excel.reader import Layout

    return Layout(
        headers=sheet.header_texts(schema),
        formats=sheet.codes(schema),
        first=sheet.first_row + sheet.header,
        totals=bool(sheet.totals),
        blanks=any(look.covers for look in sheet.looks(schema)),
        formulas=formulas_of(sheet, schema),
        results=results_of(sheet, schema, non_finite),
    )


def formulas_of(sheet: SheetOptions, schema: pl.Schema) -> list[tuple[str, ...] | None]:
    """Return the formula of each column's rows, as XML, between whose texts the number of the row stands."""
    from export_pipeline.formats.excel.formulas import pieces

    names = sheet.all_names(schema)
    given = {formula.column: formula.formula for formula in sheet.formulas if formula.column}
    made = [pieces(given[name], names) if name in given else None for name in names]
    return [tuple(map(escaped_text, parts)) if parts else None for parts in made]


def results_of(sheet: SheetOptions, schema: pl.Schema, non_finite: NonFinite) -> list[Result | None]:
    """Return what each column's formula comes to, where that is known and not the column's own values."""
    from export_pipeline.formats.excel.results import results

    given = {formula.column: formula.formula for formula in sheet.formulas if formula.column}
    made = results(given, schema, non_finite)
    return [made.get(name) for name in sheet.all_names(schema)]
