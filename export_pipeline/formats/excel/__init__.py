"""Excel workbooks: a styled sheet that streams, at the speed of the text formats.

::

    values.py    what a sheet holds of each type            strings.py, names.py    Excel's rules for text and names
    results.py   what formulas of columns come to           tidy.py                 parts of openpyxl in one spelling
    cells.py     rows as XML, by one Polars expression       blocks.py               ... deflated in Polars' threads
    writing.py   sheets, one after the other                 package.py, crc.py      the zip file
    workbook.py  everything but the rows, by openpyxl        look.py                 options, resolved against columns
    edges.py     title, header and totals around the rows    sheet.py                options of a sheet, made of:
    reader/      an independent reader, for verification     styles, formulas, conditions, validations, printing,
                                                             protection, images, tables; properties of the workbook
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar, Self

import polars as pl
from pydantic import model_validator

from export_pipeline.errors import FormatError
from export_pipeline.formats.base import About, Format
from export_pipeline.formats.excel.blocks import Packer
from export_pipeline.formats.excel.cells import Column, Rows
from export_pipeline.formats.excel.formulas import partials, pieces, tallies
from export_pipeline.formats.excel.images import load
from export_pipeline.formats.excel.look import Look
from export_pipeline.formats.excel.names import MAX_COLUMNS
from export_pipeline.formats.excel.package import Package
from export_pipeline.formats.excel.properties import WorkbookProperties
from export_pipeline.formats.excel.results import Result, results
from export_pipeline.formats.excel.sheet import MAX_ROWS, SheetOptions
from export_pipeline.formats.excel.strings import escaped_text
from export_pipeline.formats.excel.values import NonFinite, held, losses
from export_pipeline.formats.texts import refuse_non_finite, refuse_objects
from export_pipeline.verification import Loss

__all__ = ["MAX_ROWS", "Excel"]


class Excel(SheetOptions, Format):
    """Excel workbook (.xlsx): styled header, table, fixed header row, filter; many rows go on in further sheets.

    Cells keep their types; text is never a formula. Times with a zone are written as the wall clock of that zone,
    because Excel has no zones.
    """

    tag: ClassVar[str] = "excel"
    extension: ClassVar[str] = ".xlsx"
    media_type: ClassVar[str] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    workbook: WorkbookProperties = WorkbookProperties()
    """What the workbook says about itself."""
    non_finite: NonFinite = "empty"
    """NaN and infinities: an empty cell, text, an error value (#NUM!, #DIV/0!), or `error`: refuse them."""
    compact: bool = False
    """Leave out the addresses of cells: smaller and faster, but some programs (MS Access) cannot read it."""

    @model_validator(mode="after")
    def _addresses_are_there(self) -> Self:
        if self.compact and any(formula.column for formula in self.formulas):
            raise ValueError("formulas in columns need the addresses of cells: leave out compact")
        return self

    def check(self, schema: pl.Schema) -> None:
        """Refuse too many columns, types that have no cells, and formats of columns that are not there."""
        if len(schema) > MAX_COLUMNS:
            raise FormatError(
                f"there are {len(schema):,} columns; a sheet has {MAX_COLUMNS:,}",
                cure="Keep fewer columns, or write Parquet or CSV.",
            )
        refuse_objects(schema, "a sheet")
        if len(self.all_names(schema)) > MAX_COLUMNS:
            raise FormatError(f"with its formulas the sheet has more than {MAX_COLUMNS:,} columns")
        self.check_sheet(schema)

    def losses(self, schema: pl.Schema) -> list[Loss]:
        """Return what cells cannot hold, and which headers are changed."""
        changed = [
            Loss(column=name, why=f"the header is {text!r}: a table cannot have the name as it is")
            for name, text in zip(schema, self.header_texts(schema) or list(schema), strict=False)
            if text not in (name, self.columns[name].header if name in self.columns else name)
        ]
        return [*changed, *losses(schema, self.non_finite), *self._unknown(schema)]

    def render(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the rows as cells hold them."""
        schema = rows.collect_schema()  # by place: a name such as ^x$ would be a pattern
        return rows.select(
            held(pl.nth(n), dtype, self.non_finite).alias(name) for n, (name, dtype) in enumerate(schema.items())
        )

    def inspect(self, frame: pl.DataFrame, start: int) -> None:
        """Refuse NaN and infinities where that is asked for."""
        if self.non_finite == "error":
            refuse_non_finite(frame, start)

    def encode(self, rows: pl.LazyFrame, sink: BinaryIO, about: About) -> None:
        """Write the workbook; the sheet grows in one pass while Polars' threads make and deflate its XML."""
        from export_pipeline.formats.excel.workbook import column_styles
        from export_pipeline.formats.excel.writing import write

        schema = rows.collect_schema()
        look = Look(
            options=self,
            names=self.all_names(schema),
            headers=self.header_texts(schema),
            looks=self.looks(schema),
            formats=self.codes(schema),
            about=about,
            workbook=self.workbook,
            table=None if self.table == "none" or not self.header else self.table,
            pictures=load(self.images, about),
            hashes=self.protection.hashes(about.name) if self.protection else {},
        )
        formulas, results = self._pieces(schema), self._results(schema)
        columns = [
            Column(
                schema.get(name) or (result.dtype if result else pl.Null()),
                style,
                of.covers,
                formula,
                name in schema,
                result.expression if result else None,
            )
            for name, style, of, formula, result in zip(
                look.names, column_styles(look), look.looks, formulas, results, strict=True
            )
        ]
        totals = [
            part
            for name, tally in tallies(look).items()
            for part in partials(pl.col(str(look.names.index(name))), schema[name], tally.function)
        ]
        cells = Rows(columns, non_finite=self.non_finite, refs=not self.compact)
        cap = self._max_rows - look.first + 1 - bool(self.totals)
        packer = Packer(columns, cells, cap=cap, first=look.first, totals=totals)
        write(packer.blocks(rows), Package(sink), look)

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows of all sheets."""
        from export_pipeline.formats.excel.reader import Layout, read

        layout = Layout(
            headers=self.header_texts(schema),
            formats=self.codes(schema),
            first=self.first_row + self.header,
            totals=bool(self.totals),
            blanks=any(look.covers for look in self.looks(schema)),
            formulas=self._pieces(schema),
            results=self._results(schema),
        )
        return read(path, schema, layout)

    def _pieces(self, schema: pl.Schema) -> list[tuple[str, ...] | None]:
        """Return the formula of each column's rows, as XML, between whose texts the number of the row stands."""
        names = self.all_names(schema)
        given = {formula.column: formula.formula for formula in self.formulas if formula.column}
        made = [pieces(given[name], names) if name in given else None for name in names]
        return [tuple(map(escaped_text, parts)) if parts else None for parts in made]

    def _results(self, schema: pl.Schema) -> list[Result | None]:
        """Return what each column's formula comes to, where that is known and not the column's own values."""
        given = {formula.column: formula.formula for formula in self.formulas if formula.column}
        made = results(given, schema, self.non_finite)
        return [made.get(name) for name in self.all_names(schema)]

    def _unknown(self, schema: pl.Schema) -> Iterator[Loss]:
        """Yield which columns of formulas have no values before a program calculates them."""
        if not self.formulas:
            return
        rendered = self.render(pl.LazyFrame(schema=schema)).collect_schema()
        for name, result in zip(self.all_names(schema), self._results(rendered), strict=True):
            if name not in schema:
                what = (
                    "a formula shows its value"
                    if result is None
                    else "a formula whose value is an error, or not the same in each program, shows it"
                )
                yield Loss(column=name, why=f"{what} once a program calculates it")
