"""The options of one sheet: its look and its rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import polars as pl
from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from export_pipeline.errors import ConfigError
from export_pipeline.formats.excel.charts import Chart
from export_pipeline.formats.excel.conditions import AnyRule
from export_pipeline.formats.excel.formulas import Formula, Total, check_names
from export_pipeline.formats.excel.images import Image
from export_pipeline.formats.excel.names import going_on, headers, letters, valid_sheet_name
from export_pipeline.formats.excel.pivots.options import PivotTable, check_pivots
from export_pipeline.formats.excel.places import known
from export_pipeline.formats.excel.printing import PrintSetup
from export_pipeline.formats.excel.protection import Protection
from export_pipeline.formats.excel.styles import (
    Border,
    CellAddress,
    CellStyle,
    Color,
    ColumnOptions,
    FormatCode,
    HeaderStyle,
    NumberFormats,
    TableStyle,
    Width,
)
from export_pipeline.formats.excel.validations import LISTS, AnyValidation
from export_pipeline.options import Options
from export_pipeline.tables import Table

MAX_ROWS = 1_048_576
"""Rows of a sheet, with its header."""


class SheetOptions(Options):
    """One sheet: header, looks, formulas, rules, printing. What is said of rows holds on each sheet they go on in."""

    also: ClassVar[Mapping[str, str]] = {"pivots": "pivot_tables"}

    sheet_name: Annotated[str, AfterValidator(valid_sheet_name)] = "Data"
    """Name of the sheet; rows past 1,048,576 go on in `Data (2)` and so on, each with its own header."""
    header: bool = True
    """Write the column names as the first row."""
    header_style: HeaderStyle = HeaderStyle()
    """The look of the header row."""
    data_style: CellStyle = CellStyle()
    """The look of the cells below it."""
    borders: bool | Border = False
    """Lines around all cells: `true`, `thin` ... or `{line: medium, color: 1F4E78}`."""
    table: TableStyle = "TableStyleMedium2"
    """Make the rows an Excel table in this style; `none` for plain cells."""
    alternating_rows: bool | Color = True
    """Shade every second row, as the table's style does or in a color."""
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
    columns: dict[str, ColumnOptions] = Field(default_factory=dict)
    """Header text, width, format and look of single columns, by name."""
    first_row: int = Field(1, ge=1, le=1_000)
    """The row of the header (or, without one, of the first data); rows above it have room for a title or a logo."""
    title: str | None = Field(None, min_length=1, max_length=255)
    """A text in A1, above the data: `first_row` must leave room for it."""
    title_style: CellStyle = CellStyle(bold=True, size=16)
    """The look of the title."""
    formulas: list[Formula] = Field(default_factory=list)
    """Formulas in single cells and in whole columns. Data is never a formula."""
    totals: dict[str, Total] = Field(default_factory=dict)
    """A row below the data, by column: `sum`, `average`, `count`, `min`, `max`, a label or a formula."""
    conditional_formatting: list[AnyRule] = Field(default_factory=list)
    """Looks that depend on values; the first rule counts most."""
    data_validation: list[AnyValidation] = Field(default_factory=list)
    """What people may type into cells."""
    print: PrintSetup | None = None
    """Paper, margins, lines and repeated rows of printed pages."""
    protection: Protection | None = None
    """Protect the cells against changes; no encryption."""
    images: list[Image] = Field(default_factory=list, max_length=20)
    """Pictures such as a logo."""
    pivot_tables: list[PivotTable] = Field(default_factory=list, max_length=50)
    """Pivot tables of the rows, on sheets behind them; `pivots` for short. The rows must fit onto one sheet."""
    charts: list[Chart] = Field(default_factory=list, max_length=100)
    """Charts over the sheet's columns, or over pivot tables."""
    tab_color: Color | None = None
    """Color of the sheet's tab."""
    zoom: int = Field(100, ge=10, le=400)
    """Size on the screen in percent."""
    gridlines: bool = True
    """Show the lines between cells on the screen."""

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
        if self.title is not None and self.first_row == 1:
            raise ValueError("the title needs room above the data: set first_row, such as 3")
        placed = [formula.cell or formula.column for formula in self.formulas]
        twice = next((place for place in placed if placed.count(place) > 1), None)
        if twice:
            raise ValueError(f"two formulas stand in {twice}")
        if self.data_validation and self.sheet_name.casefold() == LISTS.casefold():
            raise ValueError(f"the sheet's name {self.sheet_name!r} is that of the hidden sheet of lists; take another")
        return self

    @model_serializer(mode="wrap")
    def _given(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Dump what was given only: some options mean another thing where they are said than where they are not."""
        given = {info.alias or name for name, info in type(self).model_fields.items() if name in self.model_fields_set}
        return {name: value for name, value in dump(self).items() if name in given}

    def check_sheet(self, schema: pl.Schema) -> None:
        """Refuse options that name columns which are not there, or cells that hold data: ConfigError."""
        names = self.all_names(schema)
        widths = self.column_widths if isinstance(self.column_widths, dict) else {}
        for option, given in (("column_formats", self.column_formats), ("column_widths", widths)):
            known(option, list(given), names)
        known("columns", list(self.columns), names)
        known("totals", list(self.totals), names)
        for formula in self.formulas:
            check_names("formulas", formula.formula, names)
            if formula.cell is not None:
                self._check_cell(formula, len(names))
        for name, total in self.totals.items():
            total.check(name, schema.get(name))
            if total.function is not None and name not in schema:
                raise ConfigError(f"excel: totals: {name!r} is a formula; its {total.function} is known to Excel only",
                                  cure="Give the total as a formula: {formula: =SUM({" + name + "})}.")  # fmt: skip
            if total.formula is not None:
                check_names("totals", total.formula, names)
        for rule in self.conditional_formatting:
            rule.check("conditional_formatting", names)
        for validation in self.data_validation:
            validation.check("data_validation", names)
        for chart in self.charts:
            chart.check(schema, self.pivot_tables)

    def check_pivot_tables(self, schema: pl.Schema, *, errors: bool) -> None:
        """Refuse pivot tables that cannot be made: ConfigError. `errors`: floats may be error values in cells."""
        names, texts = self.all_names(schema), self.header_texts(schema)
        check_pivots(
            self.pivot_tables,
            schema,
            dict(zip(names, texts, strict=True)) if texts is not None else None,
            named=texts == headers(texts or [], table=True),
            errors=errors,
            taken=[*going_on(self.sheet_name), *([LISTS] if self.data_validation else [])],
        )

    @property
    def rows_of_its_own(self) -> Table | None:
        """The rows of this sheet, where they are not the export's."""
        return None

    def all_names(self, schema: pl.Schema) -> list[str]:
        """Return the columns of the data and, behind them, those that are formulas only."""
        return [*schema, *(formula.column for formula in self.added(schema) if formula.column is not None)]

    def added(self, schema: pl.Schema) -> list[Formula]:
        """Return the formulas that are new columns."""
        return [formula for formula in self.formulas if formula.column is not None and formula.column not in schema]

    def header_texts(self, schema: pl.Schema) -> list[str] | None:
        """Return the text of each header cell; None for no header."""
        given = {name: column.header for name, column in self.columns.items() if column.header}
        names = [given.get(name, name) for name in self.all_names(schema)]
        return headers(names, table=self.table != "none") if self.header else None

    def codes(self, schema: pl.Schema) -> list[str | None]:
        """Return the number format of each column, None for General."""
        given: dict[str, str | None] = {
            f.column: f.number_format for f in self.formulas if f.column and f.number_format
        }
        given |= self.column_formats
        given |= {name: column.number_format for name, column in self.columns.items() if column.number_format}
        given = {name: None if code == "General" else code for name, code in given.items()}
        kinds = dict(schema)
        return [
            given.get(name, self.number_formats.code(kinds[name]) if name in kinds else None)
            for name in self.all_names(schema)
        ]

    def looks(self, schema: pl.Schema) -> list[CellStyle]:
        """Return the style of each column's cells, with the lines that hold for all."""
        own = {formula.column: formula.style for formula in self.formulas if formula.column}
        own |= {name: column.style for name, column in self.columns.items() if column.style}
        return [self.lined(own.get(name) or self.data_style) for name in self.all_names(schema)]

    def lined(self, style: CellStyle) -> CellStyle:
        """Return a style with the lines that hold for all cells, where it has none of its own."""
        if self.borders is False or style.border is not None:
            return style
        return style.replace(border=Border() if self.borders is True else self.borders)

    def width(self, name: str) -> float | None:
        """Return the width that is asked for; None for auto."""
        column = self.columns.get(name)
        if column is not None and column.width is not None:
            return column.width
        if isinstance(self.column_widths, dict):
            return self.column_widths.get(name)
        return None if self.column_widths == "auto" else float(self.column_widths)

    @property
    def calculates(self) -> bool:
        """Whether Excel has something to compute when it opens the file."""
        return bool(self.formulas) or any(total.label is None for total in self.totals.values())

    def _check_cell(self, formula: Formula, columns: int) -> None:
        """Refuse a cell of the data: rows stream by, nothing can be put among them."""
        cell = formula.cell or ""
        column, row = re.sub(r"\d", "", cell), int(re.sub("[A-Z]", "", cell))
        inside = (len(column), column) <= (len(letters(columns - 1)), letters(columns - 1))
        if row > self.first_row or (row == self.first_row and (inside or not self.header)):
            raise ConfigError(
                f"excel: formulas: {cell} is among the rows of the data",
                cure=f"Use the header's row right of the data ({letters(columns + 1)}{self.first_row}), rows above it "
                "(first_row makes room), totals for the row below, or column for each row.",
            )
        if cell == "A1" and self.title is not None:
            raise ConfigError("excel: formulas: A1 holds the title", cure="Put the formula into another cell.")
        if "{" in formula.formula and self.totals and self.table == "none" and re.search(r"\{[^\d\"]", formula.formula):
            raise ConfigError(
                f"excel: formulas: {cell} would count the row of totals, too",
                cure="Keep the table, whose columns end above the totals, or leave totals out.",
            )
