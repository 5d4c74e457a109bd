"""Formulas: of single cells, of whole columns, of the row of totals. They come from the config, never from data.

In a formula ``{cost}`` stands for the column's cell in the same row (B2), in single cells and totals for all of its
cells, and ``{row}`` for the number of the row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import polars as pl
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.formats.excel.names import letters
from export_pipeline.formats.excel.numeric import numbers
from export_pipeline.formats.excel.styles import CellAddress, CellStyle, FormatCode
from export_pipeline.options import Options
from export_pipeline.schemas import name_of

if TYPE_CHECKING:
    from export_pipeline.formats.excel.look import Look

MAX_FORMULA = 8_192
MAX_LITERAL = 255
"""Characters of a text in a formula, by Excel's rules."""
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_ARRAY = re.compile(r'\s*[-+]?[\d."]')
"""How a constant array such as {1,2,3} begins, which is no column."""

Function = Literal["sum", "average", "count", "min", "max"]
_CODES = {"sum": 109, "average": 101, "count": 103, "min": 105, "max": 104}
"""Numbers of SUBTOTAL's functions that leave out hidden rows, as Excel's own totals do."""


def _formula(text: str) -> str:
    if not text.startswith("=") or len(text.strip()) < 2:
        raise ValueError(f"{text!r} is no formula; it begins with =, such as =A2*2")
    if len(text) > MAX_FORMULA or re.search("[\x00-\x08\x0b-\x1f\ufffe\uffff]", text):
        raise ValueError(f"the formula {text[:40]!r}... has control characters or more than {MAX_FORMULA:,} characters")
    return text


FormulaText = Annotated[str, AfterValidator(_formula)]


class Formula(Options):
    """A formula in one cell, or in each row of a column."""

    formula: FormulaText
    """The formula in English, with commas: `={price}*{count}`, `=SUM({cost})`."""
    column: str | None = None
    """In each row of this column. A column of the data keeps its values as the known results; another name is a new
    column behind the data, with its results where they are certain; the others Excel computes on opening."""
    cell: CellAddress | None = None
    """In this cell of each sheet, above the data or right of its header."""
    number_format: FormatCode | None = None
    """How the result shows."""
    style: CellStyle | None = None
    """The look of the cell or of the new column's cells."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.column is None) == (self.cell is None):
            raise ValueError("say where the formula stands: either column: name or cell: L1")
        return self


def _function(value: object) -> object:
    """Tell those who wrote a text of their own in place of a function how to."""
    if isinstance(value, str) and value not in _CODES:
        way = "formula" if value.startswith("=") else "label"
        raise ValueError(f"{value!r} is none of {', '.join(_CODES)}; for a {way} write {{{way}: {value!r}}}")
    return value


class Total(Options):
    """What stands below a column."""

    short: ClassVar[str | None] = "function"

    function: Annotated[Function | None, BeforeValidator(_function)] = None
    """`sum`, `average`, `count` (of cells with a value), `min` or `max` of the rows that a filter shows."""
    label: str | None = Field(None, max_length=255)
    """A text in place of a number."""
    formula: FormulaText | None = None
    """A formula of one's own, such as `=SUM({cost})/COUNT({cost})`."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(part is not None for part in (self.function, self.label, self.formula)) != 1:
            raise ValueError("a total is one of function (sum, average, count, min, max), label and formula")
        return self

    def text(self, look: Look, name: str, rows: int, number: int) -> str | None:
        """Return its formula on sheet `number`, which holds so many rows; None for a label."""
        if self.function is not None:
            return f"SUBTOTAL({_CODES[self.function]},{whole(look, name, rows, number)})"
        if self.formula is not None:
            return filled(self.formula, look.names, lambda n: whole(look, look.names[n], rows, number))
        return None

    def check(self, name: str, dtype: pl.DataType | None) -> None:
        """Refuse a function that the column's type does not have."""
        if self.function in (None, "count") or dtype is None:
            return
        if dtype.is_numeric() or isinstance(dtype, pl.Duration):
            return
        if dtype.is_temporal() and self.function in ("min", "max"):
            return
        raise ConfigError(
            f"excel: totals: {name!r} is of type {name_of(dtype)}: it has no {self.function}; take count, or a label"
        )


class Tally:
    """The totals of one column, gathered block by block."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self._count = 0
        self._value: float | None = None

    def add(self, part: tuple[int, float | int | None]) -> None:
        """Add what `partial` found in one block."""
        count, value = part
        self._count += count
        if value is None:
            return
        if self._value is None:
            self._value = value
        elif self.function in ("min", "max"):
            self._value = (min if self.function == "min" else max)(self._value, value)
        else:
            self._value += value

    @property
    def result(self) -> float | int | None:
        """What Excel computes; None where that is an error (the average of nothing)."""
        if self.function == "count":
            return self._count
        if self.function == "average":
            return float(self._value) / self._count if self._count and self._value is not None else None
        return 0 if self._value is None else self._value


def partials(column: pl.Expr, dtype: pl.DataType, function: Function) -> tuple[pl.Expr, pl.Expr]:
    """Return how many cells of a block count, and their sum, least or greatest number, as Excel sees it."""
    if function == "count":
        return column.count(), pl.lit(None, dtype=pl.Float64)
    column = numbers(column, dtype)
    if dtype.is_integer() and function in ("sum", "average"):
        return column.count(), column.cast(pl.Int128).sum()
    if isinstance(dtype, pl.Decimal):
        column = column.cast(pl.Float64)
    wanted = {"sum": column.sum(), "average": column.sum(), "min": column.min(), "max": column.max()}
    return column.count(), wanted[function]


def tallies(look: Look) -> dict[str, Tally]:
    """Return what gathers the totals of one sheet, by column."""
    return {name: Tally(total.function) for name, total in look.options.totals.items() if total.function is not None}


def filled(formula: str, names: Sequence[str], put: Callable[[int], str], row: str = "") -> str:
    """Return the formula without its =, with what `put` makes of each column (counted from 0) and the row's number."""

    def of(found: re.Match[str]) -> str:
        name = found[1]
        if name == "row" and row:
            return row
        return put(names.index(name)) if name in names else found[0]

    return _PLACEHOLDER.sub(of, formula[1:])


def pieces(formula: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the parts of a row's formula; the number of the row stands between each two of them."""
    return tuple(filled(formula, names, lambda n: f"{letters(n)}\0", "\0").split("\0"))


def check_names(option: str, formula: str, names: Collection[str]) -> None:
    """Refuse a formula that names an unknown column: ConfigError."""
    for name in _PLACEHOLDER.findall(formula):
        if name not in names and name != "row" and not _ARRAY.match(name):
            raise ConfigError(f"excel: {option} names an unknown column {name!r}; {did_you_mean(name, names)}")


def whole(look: Look, name: str, rows: int, number: int) -> str:
    """Return all cells of a column on sheet `number`: by the table's name, which grows with it, else by address."""
    if look.table is None or look.headers is None:
        return look.column(name, rows)
    header = look.headers[look.names.index(name)]
    escaped = re.sub(r"([\[\]#'@])", r"'\1", header)
    return f"Table{number}[{escaped}]"
