"""Excel workbooks: a styled sheet that streams, at the speed of the text formats.

::

    values.py    what a sheet holds of each type            strings.py, names.py    Excel's rules for text and names
    cells.py     rows as XML, by one Polars expression       blocks.py               ... deflated in Polars' threads
    writing.py   sheets, one after the other                 package.py, crc.py      the zip file
    workbook.py  everything but the rows, by openpyxl        styles.py               options of the look
    charts.py    charts over the rows
    reader/      an independent reader, for verification
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, ClassVar, Literal, Self

import polars as pl
from pydantic import AfterValidator, Field, PrivateAttr, field_validator, model_validator

from export_pipeline.errors import ConfigError, FormatError, did_you_mean
from export_pipeline.formats.base import About, Format
from export_pipeline.formats.excel.blocks import Packer
from export_pipeline.formats.excel.cells import Column, Rows
from export_pipeline.formats.excel.charts import Chart
from export_pipeline.formats.excel.names import MAX_COLUMNS, headers, valid_sheet_name
from export_pipeline.formats.excel.package import Package
from export_pipeline.formats.excel.styles import CellAddress, FormatCode, HeaderStyle, NumberFormats, TableStyle
from export_pipeline.formats.excel.values import NonFinite, held, losses
from export_pipeline.formats.texts import refuse_non_finite, refuse_objects
from export_pipeline.verification import Loss

MAX_ROWS = 1_048_576
"""Rows of a sheet, with its header."""

Width = Annotated[float, Field(gt=0, le=255)]


class Excel(Format):
    """Excel workbook (.xlsx): styled header, table, fixed header row, filter; many rows go on in further sheets.

    Cells keep their types; text is never a formula. Times with a zone are written as the wall clock of that zone,
    because Excel has no zones.
    """

    tag: ClassVar[str] = "excel"
    extension: ClassVar[str] = ".xlsx"
    media_type: ClassVar[str] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    sheet_name: Annotated[str, AfterValidator(valid_sheet_name)] = "Data"
    """Name of the sheet; rows past 1,048,576 go on in `Data (2)` and so on, each with its own header."""
    header: bool = True
    """Write the column names as the first row."""
    header_style: HeaderStyle = HeaderStyle()
    """The look of the header row."""
    table: TableStyle = "TableStyleMedium2"
    """Make the rows an Excel table in this style; `none` for plain cells."""
    alternating_rows: bool = True
    """Shade every second row."""
    autofilter: bool = True
    """Filter buttons in the header row."""
    freeze_panes: bool | CellAddress = True
    """Keep the header row in view; a cell such as `B2` keeps the rows above it and the columns left of it."""
    column_widths: Literal["auto"] | Width | dict[str, Width] = "auto"
    """Widths in characters: `auto` from header and first rows, one number for all, or numbers by column."""
    number_formats: NumberFormats = NumberFormats()
    """How values show, by type."""
    column_formats: dict[str, FormatCode] = Field(default_factory=dict)
    """How values show, by column: Excel's format codes."""
    non_finite: NonFinite = "empty"
    """NaN and infinities: an empty cell, text, an error value (#NUM!, #DIV/0!), or `error`: refuse them."""
    charts: tuple[Chart, ...] = ()
    """Charts over the sheet's columns."""
    compact: bool = False
    """Leave out the addresses of cells: smaller and faster, but some programs (MS Access) cannot read it."""

    _max_rows: int = PrivateAttr(default=MAX_ROWS)

    @field_validator("table", mode="before")
    @classmethod
    def _no_table(cls, value: object) -> object:
        return "none" if value is None or value is False else value

    @model_validator(mode="after")
    def _header_is_there(self) -> Self:
        """Refuse what stands on a header where there is none; by default it is left out."""
        given = {"table": self.table != "none", "autofilter": self.autofilter, "header_style": True}
        wrong = next((option for option in given if option in self.model_fields_set and given[option]), None)
        if not self.header and wrong:
            raise ValueError(f"{wrong} needs the header; leave it out, or do not turn the header off")
        return self

    def check(self, schema: pl.Schema) -> None:
        """Refuse too many columns, types that have no cells, and formats of columns that are not there."""
        if len(schema) > MAX_COLUMNS:
            raise FormatError(
                f"there are {len(schema):,} columns; a sheet has {MAX_COLUMNS:,}",
                cure="Keep fewer columns, or write Parquet or CSV.",
            )
        refuse_objects(schema, "a sheet")
        for chart in self.charts:
            chart.check(schema)
        widths = self.column_widths if isinstance(self.column_widths, dict) else {}
        for option, names in (("column_formats", list(self.column_formats)), ("column_widths", list(widths))):
            for name in names:
                if name not in schema:
                    raise ConfigError(f"excel: {option} names an unknown column {name!r}; {did_you_mean(name, schema)}")

    def losses(self, schema: pl.Schema) -> list[Loss]:
        """Return what cells cannot hold, and which headers are changed."""
        changed = [
            Loss(column=name, why=f"the header is {text!r}: a table cannot have the name as it is")
            for name, text in zip(schema, self._headers(schema) or list(schema), strict=True)
            if name != text
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
        from export_pipeline.formats.excel.workbook import Look, column_styles
        from export_pipeline.formats.excel.writing import write

        schema = rows.collect_schema()
        look = Look(
            sheet_name=self.sheet_name,
            headers=self._headers(schema),
            formats=self._codes(schema),
            header_style=self.header_style,
            table=None if self.table == "none" else self.table,
            autofilter=self.autofilter,
            alternating_rows=self.alternating_rows,
            freeze=self._freeze(),
            about=about,
            names=schema.names(),
            charts=self.charts,
        )
        styles = column_styles(look)
        columns = [Column(dtype, style) for dtype, style in zip(schema.dtypes(), styles, strict=True)]
        cells = Rows(columns, non_finite=self.non_finite, refs=not self.compact)
        packer = Packer(columns, cells, cap=self._max_rows - look.first + 1, first=look.first)
        write(packer.blocks(rows), Package(sink), look, schema.names(), self.column_widths)

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows of all sheets."""
        from export_pipeline.formats.excel.reader import read

        return read(path, schema, headers=self._headers(schema), formats=self._codes(schema))

    def _headers(self, schema: pl.Schema) -> list[str] | None:
        return headers(schema, table=self.table != "none") if self.header else None

    def _codes(self, schema: pl.Schema) -> list[str | None]:
        """Return the number format of each column, None for General."""
        given = {name: None if code == "General" else code for name, code in self.column_formats.items()}
        return [given.get(name, self.number_formats.code(dtype)) for name, dtype in schema.items()]

    def _freeze(self) -> str | None:
        if isinstance(self.freeze_panes, str):
            return self.freeze_panes
        return "A2" if self.freeze_panes and self.header else None
