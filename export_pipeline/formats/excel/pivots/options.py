"""The options of a pivot table, and what is refused of them before a row is read."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import polars as pl
from pydantic import AfterValidator, Field, model_validator

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.formats.excel.names import valid_sheet_name
from export_pipeline.formats.excel.pivots.functions import FUNCTIONS, Function
from export_pipeline.formats.excel.places import known
from export_pipeline.formats.excel.strings import units
from export_pipeline.formats.excel.styles import CellAddress, FormatCode
from export_pipeline.options import Options
from export_pipeline.schemas import name_of

_CURE_KEYS = "Use a column of texts, numbers, dates, or true and false."


def _pivot_style(name: str) -> str:
    if name != "none" and not re.fullmatch(r"PivotStyle(Light|Medium|Dark)(1\d?|2[0-8]?|[3-9])", name):
        raise ValueError(f"{name!r} is no style of pivot tables; choose one of PivotStyleLight1 to 28, "
                         "PivotStyleMedium1 to 28, PivotStyleDark1 to 28, or none")  # fmt: skip
    return name


def _name(text: str) -> str:
    if not text.strip() or units(text) > 255 or not text.isprintable():
        raise ValueError(f"{text[:40]!r} is no name of a pivot table; it has 1 to 255 characters that can be seen")
    return text


class PivotValue(Options):
    """Numbers of a pivot table: a function of a column."""

    short: ClassVar[str | None] = "column"

    column: str
    """The column that is computed with."""
    function: Function = "sum"
    """`count` counts cells with a value, `count_numbers` those with a number; `std` and `var` are of a sample."""
    label: str | None = Field(None, min_length=1, max_length=255)
    """Its caption; null: such as `Sum of cost`."""
    number_format: FormatCode | None = None
    """How the numbers show; null: as the column's, General for counts."""

    def caption(self, header: str) -> str:
        """Return the label, by default one made of the function and the column's header."""
        return self.label or f"{FUNCTIONS[self.function][0]} of {header}"

    def check(self, option: str, schema: pl.Schema) -> None:
        """Refuse a function that the column's type does not have."""
        dtype = schema[self.column]
        summed = dtype.is_numeric() or isinstance(dtype, pl.Duration)
        if self.function == "count" or summed:
            return
        if dtype.is_temporal() and self.function in ("min", "max", "count_numbers"):
            return
        fitting = "count, min or max" if dtype.is_temporal() else "count"
        raise ConfigError(
            f"excel: {option}: {self.column!r} is of type {name_of(dtype)}: it has no {self.function}",
            cure=f"Take {fitting}.",
        )


class PivotFilter(Options):
    """A filter above a pivot table."""

    short: ClassVar[str | None] = "column"

    column: str
    """The column that is chosen from."""
    value: bool | int | float | str | None = None
    """The value that is chosen; dates as `2024-05-31`. Null: all."""

    def chosen(self, column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
        """Return which rows of the (rendered) column have the value. ConfigError where it is none of the type."""
        value = self.value
        if isinstance(dtype, pl.Boolean) and isinstance(value, bool):
            return column == value
        if dtype.is_numeric() and isinstance(value, (int, float)) and not isinstance(value, bool):
            return column.cast(pl.Float64) == float(value) if isinstance(value, float) else column == value
        if isinstance(dtype, (pl.Date, pl.Datetime)) and isinstance(value, str):
            try:
                moment = dt.datetime.fromisoformat(value).replace(tzinfo=None)
            except ValueError:
                moment = None
            if moment is not None:
                return column.cast(pl.Datetime("us")) == moment
        elif not (dtype.is_numeric() or dtype.is_temporal() or isinstance(dtype, pl.Boolean)) and isinstance(
            value, str
        ):
            return column.cast(pl.String).str.to_lowercase() == value.lower()
        raise ConfigError(f"excel: pivot_tables: the filter's value {value!r} is none of {self.column!r}, "
                          f"which holds {dtype}", cure="Dates are written as 2024-05-31.")  # fmt: skip


class PivotTable(Options):
    """A pivot table of the sheet's rows. Its values are in the file; Excel computes them anew when it opens it."""

    name: Annotated[str, AfterValidator(_name)]
    """Its name, which charts refer to."""
    sheet: Annotated[str, AfterValidator(valid_sheet_name)] | None = None
    """The sheet that it stands on; null: one of its own, of its name. Several may stand on one sheet."""
    at: CellAddress | None = None
    """The cell of its upper left corner; null: A1, or right of the one before it on the same sheet."""
    rows: Annotated[tuple[str, ...], Field(min_length=1, max_length=16)]
    """Columns whose values become rows."""
    columns: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    """Columns whose values become columns."""
    values: Annotated[tuple[PivotValue, ...], Field(min_length=1, max_length=64)]
    """What is computed: `{column: cost, function: sum}`; a column alone is summed."""
    filters: Annotated[tuple[PivotFilter, ...], Field(max_length=16)] = ()
    """Columns to choose from, above it: a column, or `{column: status, value: failed}`."""
    layout: Literal["compact", "outline", "tabular"] = "compact"
    """All columns of rows in one, or each in its own, with totals above (`outline`) or below (`tabular`)."""
    subtotals: bool = True
    """Totals of all but the innermost columns of rows and of columns."""
    row_totals: bool = True
    """A column of totals at the right, if values become columns."""
    column_totals: bool = True
    """A row of totals at the bottom."""
    style: Annotated[str, AfterValidator(_pivot_style)] = "PivotStyleLight16"
    """Excel's style of it, such as `PivotStyleMedium9`; `none` for none."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.sheet is None:
            try:
                valid_sheet_name(self.name)
            except ValueError as error:
                raise ValueError(f"{error}; give the pivot table another name, or a sheet: {{sheet: ...}}") from None
        axes = self.axes
        twice = next((name for name in axes if axes.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} is used twice among rows, columns and filters; a column has one place there")
        return self

    @property
    def axes(self) -> tuple[str, ...]:
        """The columns whose values are chosen from or have rows and columns."""
        return (*self.rows, *self.columns, *(one.column for one in self.filters))

    @property
    def on(self) -> str:
        """The name of its sheet."""
        return self.sheet or self.name

    def captions(self, headers: dict[str, str]) -> list[str]:
        """Return the caption of each value; `headers` are the columns' texts by name."""
        return [value.caption(headers[value.column]) for value in self.values]

    def check(self, schema: pl.Schema, headers: dict[str, str], errors: bool) -> None:
        """Refuse columns that are not there or do not fit: ConfigError. `errors`: floats may be error values."""
        option = f"pivot_tables {self.name!r}"
        used = (*self.axes, *(value.column for value in self.values))
        known(option, used, headers)
        added = next((name for name in used if name not in schema), None)
        if added is not None:
            raise ConfigError(
                f"excel: {option}: {added!r} is a formula, whose results are known to Excel only",
                cure="Compute it before the export writes it, or leave it out of the pivot table.",
            )
        for name in self.axes:
            if isinstance(schema[name], (pl.Time, pl.Duration)):
                raise ConfigError(f"excel: {option}: {name!r} holds {name_of(schema[name])}, which cannot have "
                                  "rows, columns or a filter", cure=_CURE_KEYS)  # fmt: skip
        counted = {value.column for value in self.values if value.function == "count"}
        for name in used:
            if errors and schema[name].is_float() and (name in self.axes or name not in counted):
                raise ConfigError(
                    f"excel: {option}: {name!r} may hold error values, which spread over a pivot table",
                    cure="Choose another non_finite than error_value: empty, text or error.",
                )
        for value in self.values:
            value.check(option, schema)
        for chosen in self.filters:
            if chosen.value is not None:
                chosen.chosen(pl.lit(None), schema[chosen.column])
        self._check_captions(option, headers)

    def _check_captions(self, option: str, headers: dict[str, str]) -> None:
        captions, taken = self.captions(headers), {text.casefold() for text in headers.values()}
        for caption in captions:
            if caption.casefold() in taken or units(caption) > 255:
                raise ConfigError(
                    f"excel: {option}: two values or columns are called {caption[:60]!r}, or over 255 characters long",
                    cure="Give the value a label of its own: {column: ..., function: ..., label: ...}.",
                )
            taken.add(caption.casefold())


def check_pivots(
    tables: Sequence[PivotTable],
    schema: pl.Schema,
    headers: dict[str, str] | None,
    *,
    named: bool,
    errors: bool,
    taken: Sequence[str],
) -> None:
    """Refuse pivot tables that cannot be made of these columns or stand in each other's place: ConfigError.

    `named` says whether each header is a name that Excel accepts; `taken` are names of other sheets.
    """
    if not tables:
        return
    if headers is None or not named:
        why = "has no header" if headers is None else "has headers that are empty, long, or equal but for case"
        raise ConfigError(
            f"excel: pivot_tables need a name for each column, but the sheet {why}",
            cure="Keep the header and the table, which makes names of headers: leave out header: false, table: none.",
        )
    places = set[tuple[str, str]]()
    for n, table in enumerate(tables):
        if any(table.name.casefold() == other.name.casefold() for other in tables[:n]):
            raise ConfigError(f"excel: two pivot_tables are called {table.name!r}", cure="Give each its own name.")
        if table.on.casefold() in {name.casefold() for name in taken}:
            raise ConfigError(
                f"excel: pivot_tables {table.name!r} would stand on the sheet {table.on!r}, which holds other things",
                cure="Give it a sheet of its own: {sheet: Summary}.",
            )
        if table.at is not None and (table.on.casefold(), table.at) in places:
            raise ConfigError(
                f"excel: two pivot_tables stand at {table.at} of the sheet {table.on!r}",
                cure="Give one another cell, or leave out at: it then stands right of the one before it.",
            )
        places.add((table.on.casefold(), table.at or ""))
        table.check(schema, headers, errors)


def check_drawn(kind: str, name: str, values: Sequence[str], tables: Sequence[PivotTable]) -> None:
    """Refuse a chart of a pivot table that is not there, or that the chart cannot draw: ConfigError."""
    table = next((one for one in tables if one.name.casefold() == name.casefold()), None)
    if table is None:
        names = [one.name for one in tables]
        raise ConfigError(
            f"excel: charts: there is no pivot table {name!r}" + (f"; {did_you_mean(name, names)}" if names else ""),
            cure=None if names else "Describe it in pivot_tables.",
        )
    if len(table.rows) > 1 and (table.layout != "tabular" or table.subtotals):
        raise ConfigError(
            f"excel: charts: the pivot table {table.name!r} has several columns of rows, and totals or captions stand "
            "between its rows, which a chart would draw as rows",
            cure="Give it layout: tabular and subtotals: false, or draw one with one column in its rows.",
        )
    if kind == "pie" and (table.columns or len(values or table.values) > 1):
        raise ConfigError(
            f"excel: charts: a pie draws one series; the pivot table {table.name!r} has more",
            cure="Name one of its values, choose another kind, or draw a pivot table without columns.",
        )
