"""Excel workbooks: a styled sheet that streams, at the speed of the text formats.

::

    values.py    what a sheet holds of each type            strings.py, names.py    Excel's rules for text and names
    cells.py     rows as XML, by one Polars expression       blocks.py               ... deflated in Polars' threads
    writing.py   sheets, one after the other                 package.py, crc.py      the zip file
    workbook.py  everything but the rows, by openpyxl        look.py                 options, resolved against columns
    edges.py     title, header and totals around the rows    sheet.py                options of a sheet, made of:
    reader/      an independent reader, for verification     styles, formulas, conditions, validations, printing,
    template/    rows in a workbook that there is already    protection, images, tables; properties of the workbook
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
from export_pipeline.formats.excel.sheet import MAX_ROWS, SheetOptions
from export_pipeline.formats.excel.strings import escaped_text
from export_pipeline.formats.excel.template import Template, contradictions
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

    template: Template | None = None
    """A workbook that the rows are put into, in place of a new one. It decides on all looks: `{file: report.xlsx}`."""

    @property
    def suffix(self) -> str:
        """The ending of the file's name; that of a template with macros is .xlsm."""
        return self.template.extension if self.template else self.extension

    @property
    def content_type(self) -> str:
        """The media type; a template decides it."""
        return self.template.media_type if self.template else self.media_type

    @model_validator(mode="after")
    def _template_decides(self) -> Self:
        wrong = contradictions(self, {"template", "non_finite"}) if self.template else []
        if wrong:
            raise ValueError(
                f"{wrong[0]} is of a new workbook, but there is a template: change it there, or leave it out"
            )
        return self

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
        if self.template:
            return
        if len(self.all_names(schema)) > MAX_COLUMNS:
            raise FormatError(f"with its formulas the sheet has more than {MAX_COLUMNS:,} columns")
        self.check_sheet(schema)

    def check_files(self, schema: pl.Schema, about: About) -> None:
        """Refuse a template that is missing, broken, or has no place for these columns."""
        if self.template:
            self.template.load(self.render(schema.to_frame().lazy()).collect_schema(), about)

    def losses(self, schema: pl.Schema) -> list[Loss]:
        """Return what cells cannot hold, and which headers are changed."""
        if self.template:
            return list(losses(schema, self.non_finite))
        changed = [
            Loss(column=name, why=f"the header is {text!r}: a table cannot have the name as it is")
            for name, text in zip(schema, self.header_texts(schema) or list(schema), strict=False)
            if text not in (name, self.columns[name].header if name in self.columns else name)
        ]
        return [*changed, *losses(schema, self.non_finite)]

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
        if self.template:
            self.template.write(rows, sink, about, self.non_finite)
            return
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
        formulas = self._pieces(schema)
        columns = [
            Column(schema.get(name, pl.Null()), style, of.covers, formulas[n], name in schema)
            for n, (name, style, of) in enumerate(zip(look.names, column_styles(look), look.looks, strict=True))
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
        """Yield the rows of all sheets; of a template, those in their place."""
        if self.template:
            return self.template.read(path, schema)
        from export_pipeline.formats.excel.reader import Layout, read

        layout = Layout(
            headers=self.header_texts(schema),
            formats=self.codes(schema),
            first=self.first_row + self.header,
            totals=bool(self.totals),
            blanks=any(look.covers for look in self.looks(schema)),
            formulas=self._pieces(schema),
        )
        return read(path, schema, layout)

    def _pieces(self, schema: pl.Schema) -> list[tuple[str, ...] | None]:
        """Return the formula of each column's rows, as XML, between whose texts the number of the row stands."""
        names = self.all_names(schema)
        given = {formula.column: formula.formula for formula in self.formulas if formula.column}
        made = [pieces(given[name], names) if name in given else None for name in names]
        return [tuple(map(escaped_text, parts)) if parts else None for parts in made]
