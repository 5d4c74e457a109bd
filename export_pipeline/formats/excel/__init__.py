"""Excel workbooks: a styled sheet that streams, at the speed of the text formats.

::

    values.py    what a sheet holds of each type            strings.py, names.py    Excel's rules for text and names
    numeric.py   what of it Excel computes with             pivots/                 pivot tables, computed on the way
    results.py   what formulas of columns come to           tidy.py                 parts of openpyxl in one spelling
    cells.py     rows as XML, by one Polars expression       blocks.py               ... deflated in Polars' threads
    writing.py   sheets, one after the other                 package.py, crc.py      the zip file
    workbook.py  everything but the rows, by openpyxl        look.py                 options, resolved against columns
    edges.py     title, header and totals around the rows    sheets.py               several sheets, own rows
    reader/      an independent reader, for verification     sheet.py                options of a sheet, made of:
    template/    rows in a workbook that there is already    styles, formulas, conditions, validations, printing,
    pivots/      pivot tables, computed as rows stream by    protection, images, tables; properties of the workbook
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, ClassVar, Self, cast

import polars as pl
from pydantic import Field, model_validator

from export_pipeline.errors import ConfigError, FormatError
from export_pipeline.formats.about import About
from export_pipeline.formats.base import Format
from export_pipeline.formats.excel.blocks import Packer
from export_pipeline.formats.excel.cells import Column, Rows
from export_pipeline.formats.excel.formulas import partials, tallies
from export_pipeline.formats.excel.images import load
from export_pipeline.formats.excel.look import Look, formulas_of, layout_of, look_of, results_of
from export_pipeline.formats.excel.names import MAX_COLUMNS
from export_pipeline.formats.excel.package import Package
from export_pipeline.formats.excel.pivots.gathering import Gatherer
from export_pipeline.formats.excel.properties import WorkbookProperties
from export_pipeline.formats.excel.sheet import MAX_ROWS, SheetOptions
from export_pipeline.formats.excel.sheets import Sheet, check_sheets
from export_pipeline.formats.excel.template import Template, contradictions
from export_pipeline.formats.excel.validations import long_lists
from export_pipeline.formats.excel.values import NonFinite, held, losses
from export_pipeline.formats.sink import Sink
from export_pipeline.formats.texts import refuse_non_finite, refuse_objects
from export_pipeline.tables import Table
from export_pipeline.verification import Loss, Meter, Proof

__all__ = ["MAX_ROWS", "Excel"]


class Excel(SheetOptions, Format):
    """Excel workbook (.xlsx): styled header, table, fixed header row, filter; many rows go on in further sheets.

    Cells keep their types; text is never a formula. Times with a zone are written as the wall clock of that zone,
    because Excel has no zones: `columns: {timezone: ...}` chooses it.
    """

    tag: ClassVar[str] = "excel"
    extension: ClassVar[str] = ".xlsx"
    media_type: ClassVar[str] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    never: ClassVar[Mapping[str, str]] = {
        "compression": "a workbook is a zip file itself; for few eyes only: seal: {pgp: [partner.asc]}",
        "password": "seal: {pgp: [partner.asc]} encrypts the file, protection keeps its cells from changes",
    }

    workbook: WorkbookProperties = WorkbookProperties()
    """What the workbook says about itself."""
    non_finite: NonFinite = "empty"
    """NaN and infinities: an empty cell, text, an error value (#NUM!, #DIV/0!), or `error`: refuse them."""
    compact: bool = False
    """Leave out the addresses of cells: smaller and faster, but some programs (MS Access) cannot read it."""

    sheets: list[Sheet] = Field(default_factory=list, max_length=200)
    """Several sheets with options of their own: `[{name: Runs}, {name: Hosts, rows: {source: hosts}}]`. One of them has
    no `rows`: it holds the export's. Looks that are given beside `sheets` hold for each that has no own."""
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
        wrong = contradictions(self, {"template", "non_finite", "seal"}) if self.template else []
        if wrong:
            raise ValueError(
                f"{wrong[0]} is of a new workbook, but there is a template: change it there, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _addresses_are_there(self) -> Self:
        if self.compact and any(formula.column for sheet in self._sheets for formula in sheet.formulas):
            raise ValueError("formulas in columns need the addresses of cells: leave out compact")
        return self

    @model_validator(mode="after")
    def _sheets_fit(self) -> Self:
        check_sheets(self)
        return self

    @property
    def _sheets(self) -> list[SheetOptions]:
        """The sheets with all their options, in the order of their tabs."""
        return [sheet.completed(self) for sheet in self.sheets] or [self]

    @property
    def _main(self) -> SheetOptions:
        """The sheet of the export's rows."""
        return next(sheet for sheet in self._sheets if sheet.rows_of_its_own is None)

    def tables(self) -> dict[str, Table]:
        """Return the rows of the sheets that have their own."""
        return {sheet.sheet_name: sheet.rows for sheet in self.sheets if sheet.rows is not None}

    def check(self, schema: pl.Schema) -> None:
        """Refuse too many columns, types that have no cells, and formats of columns that are not there."""
        self._check(self._main, schema)

    def check_tables(self, schema: pl.Schema, tables: Mapping[str, pl.Schema]) -> None:  # noqa: ARG002
        """Refuse the same of sheets with rows of their own, by their names."""
        for sheet in self._sheets:
            if sheet.sheet_name in tables:
                try:
                    self._check(sheet, tables[sheet.sheet_name])
                except (ConfigError, FormatError) as error:
                    raise type(error)(f"sheet {sheet.sheet_name!r}: {error.message}", cure=error.cure) from error

    def _check(self, sheet: SheetOptions, schema: pl.Schema) -> None:
        if not schema:
            raise FormatError("there is no column to write", cure="Keep at least one column.")
        if len(schema) > MAX_COLUMNS:
            raise FormatError(
                f"there are {len(schema):,} columns; a sheet has {MAX_COLUMNS:,}",
                cure="Keep fewer columns, or write Parquet or CSV.",
            )
        refuse_objects(schema, "a sheet")
        if self.template:
            return
        if len(sheet.all_names(schema)) > MAX_COLUMNS:
            raise FormatError(f"with its formulas the sheet has more than {MAX_COLUMNS:,} columns")
        sheet.check_sheet(schema)
        sheet.check_pivot_tables(schema, errors=self.non_finite == "error_value")

    def ready(self, schema: pl.Schema, about: About) -> None:
        """Refuse a template that is missing, broken, or has no place for these columns; pictures that are none, and
        what a seal lacks."""
        super().ready(schema, about)
        for sheet in (self, *self.sheets):
            load(sheet.images, about)
        if self.template:
            self.template.load(self.render(schema.to_frame().lazy()).collect_schema(), about)

    def losses(self, schema: pl.Schema) -> list[Loss]:
        """Return what cells cannot hold, and which headers are changed."""
        if self.template:
            return list(losses(schema, self.non_finite))
        return self._losses(self._main, schema)

    def table_losses(self, tables: Mapping[str, pl.Schema]) -> list[Loss]:
        """Return the same of sheets with rows of their own."""
        return [
            loss.replace(why=f"sheet {sheet.sheet_name!r}: {loss.why}")
            for sheet in self._sheets
            if sheet.sheet_name in tables
            for loss in self._losses(sheet, tables[sheet.sheet_name])
        ]

    def _losses(self, sheet: SheetOptions, schema: pl.Schema) -> list[Loss]:
        named = {name: column.header for name, column in sheet.columns.items() if column.header}
        changed = [
            Loss(column=name, why=f"the header is {text!r}: a table cannot have the name as it is")
            for name, text in zip(schema, sheet.header_texts(schema) or list(schema), strict=False)
            if text not in (name, named.get(name, name))
        ]
        return [*changed, *losses(schema, self.non_finite), *self._unknown(sheet, schema)]

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
        self._encode([(self._main, rows)], sink, about)

    def _fill(
        self,
        rows: pl.LazyFrame,
        rendered: pl.LazyFrame,
        meter: Meter,
        tables: Mapping[str, pl.LazyFrame],
        sink: Sink,
        about: About,
    ) -> tuple[Meter, tuple[Proof, ...]]:
        """Write sheet after sheet, each past a meter of its own."""
        if not tables:
            return super()._fill(rows, rendered, meter, tables, sink, about)
        meters: dict[str, Meter] = {}
        parts: list[tuple[SheetOptions, pl.LazyFrame]] = []
        for sheet in self._sheets:
            if sheet.rows_of_its_own is None:
                parts.append((sheet, meter.tap(rendered)))
                continue
            own = self.render(tables[sheet.sheet_name])
            meters[sheet.sheet_name] = meter.beside(own.collect_schema())
            parts.append((sheet, meters[sheet.sheet_name].tap(own)))
        self._encode(parts, cast("BinaryIO", sink), about)
        return meter, tuple(Proof.of(name, one) for name, one in meters.items())

    def _encode(self, parts: Sequence[tuple[SheetOptions, pl.LazyFrame]], sink: BinaryIO, about: About) -> None:
        from export_pipeline.formats.excel.workbook import column_styles
        from export_pipeline.formats.excel.writing import Filling, write

        looks: list[Look] = []
        for sheet, rows in parts:
            lists = sum(len(long_lists(look.options.data_validation)) for look in looks)
            looks.append(look_of(sheet, rows.collect_schema(), about, self.workbook, lists=lists))
        write(
            [
                Filling(look, self._packer(look, styles, rows.collect_schema()), rows)
                for look, styles, (_, rows) in zip(looks, column_styles(looks), parts, strict=True)
            ],
            Package(sink),
        )

    def _packer(self, look: Look, styles: Sequence[int], schema: pl.Schema) -> Packer:
        """Return what makes blocks of the rows of a sheet."""
        formulas, results = formulas_of(look.options, schema), results_of(look.options, schema, self.non_finite)
        columns = [
            Column(
                schema.get(name) or (result.dtype if result else pl.Null()),
                style,
                of.covers,
                formula,
                name in schema,
                result,
            )
            for name, style, of, formula, result in zip(look.names, styles, look.looks, formulas, results, strict=True)
        ]
        totals = [
            part
            for name, tally in tallies(look).items()
            for part in partials(pl.col(str(look.names.index(name))), schema[name], tally.function)
        ]
        cells = Rows(columns, non_finite=self.non_finite, refs=not self.compact)
        cap = self._max_rows - look.first + 1 - bool(look.options.totals)
        asked = look.options.pivot_tables
        pivots = Gatherer(asked, schema) if asked else None
        return Packer(columns, cells, cap=cap, first=look.first, totals=totals, pivots=pivots)

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows of all sheets that hold the export's; of a template, those in their place."""
        if self.template:
            return self.template.read(path, schema)
        from export_pipeline.formats.excel.reader import read

        main, names = self._main, [sheet.sheet_name for sheet in self._sheets]
        summaries = {table.on for sheet in self._sheets for table in sheet.pivot_tables}
        return read(path, main.sheet_name, schema, layout_of(main, schema, self.non_finite), names, summaries)

    def read_table(self, path: Path, part: str, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows of the sheets that hold a table of their own."""
        from export_pipeline.formats.excel.reader import read

        (sheet,) = (sheet for sheet in self._sheets if sheet.sheet_name == part)
        return read(path, part, schema, layout_of(sheet, schema, self.non_finite))

    def _unknown(self, sheet: SheetOptions, schema: pl.Schema) -> Iterator[Loss]:
        """Yield which columns of formulas have no values before a program calculates them."""
        if not sheet.formulas:
            return
        rendered = self.render(pl.LazyFrame(schema=schema)).collect_schema()
        for name, result in zip(sheet.all_names(schema), results_of(sheet, rendered, self.non_finite), strict=True):
            if name not in schema:
                what = (
                    "a formula shows its value"
                    if result is None
                    else "a formula whose value is an error, or not the same in each program, shows it"
                )
                yield Loss(column=name, why=f"{what} once a program calculates it")
