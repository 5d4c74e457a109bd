"""What a CSV file holds of each column: the formats that its options ask for, and the policies for what has no form."""

from __future__ import annotations

import re
from typing import Annotated

import polars as pl
from pydantic import AfterValidator

from export_pipeline.formats.dates import check_pattern, formatted, has_date
from export_pipeline.formats.iso import iso
from export_pipeline.formats.numbers import NumberFormat
from export_pipeline.options import Options

DatePattern = Annotated[str, AfterValidator(check_pattern)]

# Expressions cannot refuse a value: they make it one of these texts, which no data holds and `inspect` refuses by row.
REFUSED = {
    "\x00\x1aexport_pipeline: years": ("is outside of the years 1 to 9999", "Filter these rows out, or null them."),
    "\x00\x1aexport_pipeline: finite": ("is not a finite number", "Choose another `non_finite` than `error`."),
    "\x00\x1aexport_pipeline: formula": ("would be a formula in a spreadsheet", "Use formula_guard: prefix, or off."),
}
_YEARS, _FINITE, FORMULA = REFUSED

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""How texts begin that spreadsheets take for formulas."""


class ColumnFormat(Options):
    """How one column is written, where it differs from the others."""

    date_format: DatePattern | None = None
    """A moment.js pattern for this column of dates or times."""
    number_format: NumberFormat | None = None
    """How the numbers of this column are written; integers get decimals here, too."""
    null_value: str | None = None
    """Text that stands for null in this column. It is a text like others: it cannot be told from an equal one."""


def reads_as_value(text: str) -> bool:
    """Return whether a text could be a number, a date or a time: then it cannot tell null from one."""
    try:
        float(text)
    except ValueError:
        return bool(re.fullmatch(r"[\d:.TZ+-]*\d[\d:.TZ+-]*", text))
    return True


def takes_pattern(dtype: pl.DataType, pattern: str) -> bool:
    """Return whether a date pattern for all columns is meant for this one: times of day have no dates."""
    if isinstance(dtype, pl.Time):
        return not has_date(pattern)
    return isinstance(dtype, (pl.Date, pl.Datetime))


def dates(column: pl.Expr, dtype: pl.DataType, pattern: str) -> pl.Expr:
    """Return dates by a pattern; those outside of the years 1 to 9999 are refused."""
    text = formatted(column, dtype, pattern)
    if isinstance(dtype, pl.Time) or dtype == pl.Datetime("ns"):
        return text  # 64 bits of nanoseconds end before the year 9999
    return pl.when(~column.dt.year().is_between(1, 9999)).then(pl.lit(_YEARS)).otherwise(text)


def numbers(column: pl.Expr, dtype: pl.DataType, form: NumberFormat, *, named: bool, refuse: bool) -> pl.Expr:
    """Return numbers by a format; with `refuse`, NaN and the infinities are refused."""
    text = form.formatted(column, dtype, named=named)
    return pl.when(~column.is_finite()).then(pl.lit(_FINITE)).otherwise(text) if refuse and dtype.is_float() else text


def plain(column: pl.Expr, dtype: pl.DataType, booleans: tuple[str, str]) -> pl.Expr:
    """Return the text that CSV has for a value that needs no format: as Polars' sink writes it."""
    if isinstance(dtype, pl.Boolean):
        return spelled(column, booleans)
    if isinstance(dtype, pl.Datetime):
        return iso(column)
    if isinstance(dtype, pl.Time):
        return column.dt.to_string("%H:%M:%S%.9f")
    if isinstance(dtype, pl.Date):
        return column.dt.to_string("iso:strict")
    return column.cast(pl.String)


def spelled(column: pl.Expr, booleans: tuple[str, str]) -> pl.Expr:
    """Return a column of booleans as their texts."""
    yes, no = map(pl.lit, booleans)
    return pl.when(column).then(yes).when(~column).then(no)


def guarded(column: pl.Expr, *, prefix: bool) -> pl.Expr:
    """Return texts with an apostrophe before what would be a formula, or with it refused."""
    safe = pl.concat_str(pl.lit("'"), column) if prefix else pl.lit(FORMULA)
    return pl.when(column.str.slice(0, 1).is_in(FORMULAS)).then(safe).otherwise(column)
