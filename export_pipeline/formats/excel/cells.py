"""Rows of a frame as rows of a sheet: one Polars expression makes the XML of a whole row.

A column has one usual form and some odd ones (a date before 1900, an integer of 16 digits, a text with an ampersand).
What is odd is decided by the value alone, so that the same row has the same bytes wherever batches begin and end; but
only where a batch has nulls or odd values does the expression look for them. Expressions are kept by that pattern.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import polars as pl

from export_pipeline.formats.excel.names import letters
from export_pipeline.formats.excel.strings import SPECIAL, escaped, spaced
from export_pipeline.formats.excel.values import DAY, DIGITS, EPOCH, WIDE_INTEGERS, NonFinite, in_days, outside, serial

if TYPE_CHECKING:
    from export_pipeline.formats.excel.results import Result

_NUMBER = ("><v>", "</v></c>")
_BOOLEAN = (' t="b"><v>', "</v></c>")
_ERROR = (' t="e"><v>', "</v></c>")
_TEXT = (' t="inlineStr"><is><t>', "</t></is></c>")
_SPACED = (' t="inlineStr"><is><t xml:space="preserve">', "</t></is></c>")

_ROW = "row"
"""The column of row numbers, as text."""
NUMBER = "number"
"""The column of row numbers, as numbers, that the results of formulas are made of."""

Form = tuple[str, str]
Odd = tuple[pl.Expr, Form, pl.Expr]
"""Condition, form, text."""


@dataclass(frozen=True)
class Column:
    """A column of rendered rows and the style of its cells (0: none). The first is named "0", the next "1", ..."""

    dtype: pl.DataType
    style: int
    blank: bool = False
    """Whether cells without a value are written, too, because their style shows."""
    formula: tuple[str, ...] | None = None
    """The formula in each row: texts between which the number of the row stands."""
    data: bool = True
    """Whether the rows have this column; else it is a formula alone, behind them."""
    result: Result | None = None
    """What a formula alone comes to; None: that is not known."""

    @property
    def valued(self) -> bool:
        """Whether its cells have values."""
        return self.data or self.result is not None


@dataclass(frozen=True)
class _Cell:
    """How the cells of a column are written."""

    form: Form
    text: pl.Expr
    odd: Sequence[Odd] = ()
    is_odd: pl.Expr | None = None
    """A quick way to see that there may be an odd value; else the conditions themselves."""


class Rows:
    """The XML of rows; `refs` writes the address of each cell (A2), which some readers need. `left`: place of the first
    column, counted from 0; `height`: of each row, in points."""

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        non_finite: NonFinite = "empty",
        refs: bool = True,
        left: int = 0,
        height: float | None = None,
    ) -> None:
        self._opened = '">' if height is None else f'" ht="{height:g}" customHeight="1">'
        self._columns, self._refs, self._left = columns, refs, left
        self._cells = [_made(pl.col(str(n)), column, non_finite) for n, column in enumerate(columns)]
        known = {str(n): column.result for n, column in enumerate(columns) if column.result is not None}
        self._results = {name: result.expression for name, result in known.items()}
        self._steps = next((result.steps for result in known.values()), ())
        self._made: dict[tuple[bool, ...], pl.Expr] = {}
        self._tails = self._shared_tails()
        self._flags = list(self._pattern())

    def xml(self, frame: pl.DataFrame, first: int) -> memoryview:
        """Return the XML of all rows of the frame; `first` is the row number of the first, counted from 1."""
        if self._results:
            frame = with_results(frame, first, self._results, self._steps)
        flags = tuple(frame.select_seq(self._flags).row(0))
        expression = self._made.get(flags)
        if expression is None:
            expression = self._made[flags] = self._expression(flags)
        if self._refs:
            numbers = pl.int_range(first, first + frame.height, dtype=pl.UInt32, eager=True).cast(pl.String)
            row = pl.col(_ROW)
            frame = frame.with_columns(numbers.alias(_ROW)).with_columns_seq(
                pl.concat_str(row, pl.lit(tail)).alias(name) for tail, name in self._tails.items()
            )
        made = frame.select(expression.alias(_ROW)).to_series().rechunk()
        array = made.to_arrow(compat_level=pl.CompatLevel.oldest())  # one buffer of text and one of offsets
        offsets = memoryview(array.buffers()[1]).cast("q")
        return memoryview(array.buffers()[2])[offsets[array.offset] : offsets[array.offset + len(array)]]

    def _pattern(self) -> Iterator[pl.Expr]:
        """Yield for each column whether a frame has nulls and odd values in it."""
        for n, cell in enumerate(self._cells):
            nulls = pl.col(str(n)).has_nulls() if self._columns[n].valued else pl.lit(value=False)
            yield nulls.alias(f"null {n}")
            if cell.odd:
                found = cell.is_odd if cell.is_odd is not None else reduce(pl.Expr.or_, (odd[0] for odd in cell.odd))
                yield found.any().fill_null(value=False).alias(f"odd {n}")

    def _expression(self, flags: tuple[bool, ...]) -> pl.Expr:
        """Return the expression of a row. Neighbouring literals are one: the fewer parts, the faster."""
        given, row = iter(flags), pl.col(_ROW)
        parts, literal = ([pl.lit('<row r="'), row], self._opened) if self._refs else ([], "<row>")
        for n, (column, cell) in enumerate(zip(self._columns, self._cells, strict=True)):
            nulls, odd = next(given), bool(cell.odd) and next(given)
            before, after = cell.form
            style = f' s="{column.style}"' if column.style else ""
            if nulls or odd:
                made = self._whole(n, cell.form, style, cell.text)
                for condition, form, text in reversed(cell.odd if odd else ()):
                    made = pl.when(condition).then(self._whole(n, form, style, text)).otherwise(made)
                parts += [pl.lit(literal), made.fill_null(self._empty(n, column, style))]
                literal = ""
            elif self._refs:
                tail = f'"{style}{before}'
                parts += [pl.lit(f'{literal}<c r="{letters(self._left + n)}'), pl.col(self._tails[tail]), cell.text]
                literal = after
            else:
                parts += [pl.lit(f"{literal}<c{style}{before}"), cell.text]
                literal = after
        return pl.concat_str(*parts, pl.lit(f"{literal}</row>"))

    def _empty(self, n: int, column: Column, style: str) -> pl.Expr:
        """Return the cell of a null: none where its address says so and nothing of it shows."""
        style = style if column.blank or column.formula else ""
        if not self._refs:
            return pl.lit(f"<c{style}></c>")
        if not (column.blank or column.formula):
            return pl.lit("")
        formula = [pl.lit("<f>"), *_row_formula(column.formula), pl.lit("</f>")] if column.formula else []
        return pl.concat_str(
            pl.lit(f'<c r="{letters(self._left + n)}'), pl.col(_ROW), pl.lit(f'"{style}>'), *formula, pl.lit("</c>")
        )

    def _whole(self, n: int, form: Form, style: str, text: pl.Expr) -> pl.Expr:
        """Return one cell as a text of its own; null where the value is null."""
        before, after = form
        if not self._refs:
            return pl.concat_str(pl.lit(f"<c{style}{before}"), text, pl.lit(after))
        opening = pl.lit(f'<c r="{letters(self._left + n)}')
        return pl.concat_str(opening, pl.col(_ROW), pl.lit(f'"{style}{before}'), text, pl.lit(after))

    def _shared_tails(self) -> dict[str, str]:
        """Return what follows the letters of an address, made once for all columns that share it -> its column."""
        if not self._refs:
            return {}
        tails = dict.fromkeys(
            f'"{f" s={chr(34)}{column.style}{chr(34)}" if column.style else ""}{cell.form[0]}'
            for column, cell in zip(self._columns, self._cells, strict=True)
        )
        return {tail: f"tail {n}" for n, tail in enumerate(tails)}


def with_results(
    frame: pl.DataFrame, first: int, results: Mapping[str, pl.Expr], steps: Sequence[pl.Expr]
) -> pl.DataFrame:
    """Return the rows, of which the first is row `first`, with the results of formulas."""
    numbers = pl.int_range(first, first + frame.height, dtype=pl.UInt32, eager=True).cast(pl.Float64)
    made = frame.with_columns(numbers.alias(NUMBER))
    for step in steps:
        made = made.with_columns_seq(step)
    made = made.with_columns(expression.alias(name) for name, expression in results.items())
    return made.select(*frame.columns, *(name for name in results if name not in frame.columns))


def number_of(column: pl.Expr, dtype: pl.DataType, non_finite: NonFinite) -> tuple[pl.Expr, pl.Expr] | None:
    """Return the numbers that cells of a type hold, and which of them hold a text or an error; None for other types."""
    cell = _cell(column, dtype, non_finite)
    if cell.form is not _NUMBER:
        return None
    odd = reduce(pl.Expr.or_, (condition for condition, _, _ in cell.odd), pl.lit(value=False))
    exact = dtype.is_integer() or isinstance(dtype, pl.Float64)
    return (column if exact else cell.text).cast(pl.Float64), odd


def _made(column: pl.Expr, of: Column, non_finite: NonFinite) -> _Cell:
    """Return how cells of a column are written: as their type is, or with a formula before the value it has."""
    if of.formula is None:
        return _cell(column, of.dtype, non_finite)
    formula = pl.concat_str(_row_formula(of.formula))
    if not of.valued:
        return _Cell(("><f>", "</f></c>"), formula)
    plain = _cell(column, of.dtype, non_finite)

    def computed(form: Form, text: pl.Expr) -> tuple[Form, pl.Expr]:
        before = ' t="str">' if "inlineStr" in form[0] else form[0].removesuffix("<v>")
        return (f"{before}<f>", "</v></c>"), pl.concat_str(formula, pl.lit("</f><v>"), text)

    form, text = computed(plain.form, plain.text)
    odd = [(condition, *computed(form, text)) for condition, form, text in plain.odd]
    return _Cell(form, text, odd, plain.is_odd)


def _row_formula(parts: Sequence[str]) -> list[pl.Expr]:
    """Return the parts of a formula and the number of the row between them."""
    made = [pl.lit(parts[0])]
    for part in parts[1:]:
        made += [pl.col(_ROW), pl.lit(part)]
    return made


def _cell(column: pl.Expr, dtype: pl.DataType, non_finite: NonFinite) -> _Cell:
    """Return how cells of this (rendered) type are written."""
    text = column.cast(pl.String)
    if dtype.is_integer():
        wide = (column >= DIGITS) | (column <= -DIGITS) if dtype.is_signed_integer() else column >= DIGITS
        return _Cell(_NUMBER, text, [(wide, _TEXT, text)] if dtype in WIDE_INTEGERS else [])
    if dtype.is_float():
        if non_finite == "error_value":
            error = pl.when(column.is_nan()).then(pl.lit("#NUM!")).otherwise(pl.lit("#DIV/0!"))
            return _Cell(_NUMBER, text, [(~column.is_finite(), _ERROR, error)])
        return _Cell(_NUMBER, text, [(~column.is_finite(), _TEXT, text)])
    if isinstance(dtype, pl.Decimal):
        return _Cell(_NUMBER, text, [(many_digits(text, dtype), _TEXT, text)], _large(column))
    if isinstance(dtype, pl.Boolean):
        return _Cell(_BOOLEAN, column.cast(pl.UInt8).cast(pl.String))
    if isinstance(dtype, pl.Date):
        days = (column.to_physical() + EPOCH).cast(pl.String)
        return _Cell(_NUMBER, days, [(outside(column, dtype), _TEXT, column.dt.to_string("%Y-%m-%d"))])
    if isinstance(dtype, pl.Datetime):
        iso = column.dt.to_string("%Y-%m-%dT%H:%M:%S%.f")
        return _Cell(_NUMBER, serial(column).cast(pl.String), [(outside(column, dtype), _TEXT, iso)])
    if isinstance(dtype, pl.Duration):
        return _Cell(_NUMBER, in_days(column.to_physical(), DAY).cast(pl.String))
    if isinstance(dtype, pl.Time):
        return _Cell(_NUMBER, in_days(column.to_physical(), DAY * 1000).cast(pl.String))
    if isinstance(dtype, pl.Null):
        return _Cell(_TEXT, text)
    xml = escaped(text)
    odd: list[Odd] = [(spaced(text), _SPACED, xml), (pl.lit(value=True), _TEXT, xml)]
    return _Cell(_TEXT, text, odd, text.str.contains(SPECIAL))


def _large(column: pl.Expr) -> pl.Expr:
    """Return whether a decimal may have more than 15 digits."""
    physical = column.to_physical()
    return (physical >= DIGITS) | (physical <= -DIGITS)


def many_digits(text: pl.Expr, dtype: pl.Decimal) -> pl.Expr:
    """Return whether a decimal has more than 15 digits, not counting zeros at the end of its fraction."""
    digits = text.str.strip_chars_end("0") if dtype.scale else text
    return digits.str.replace_all("[-.]", "").str.strip_chars_start("0").str.len_bytes() > 15
