"""What Excel counts as a number: cells that totals and pivot tables compute with."""

from __future__ import annotations

import polars as pl

from export_pipeline.formats.excel.cells import many_digits
from export_pipeline.formats.excel.values import DAY, DIGITS, EPOCH, in_days, outside, serial


def numbers(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return the numbers that the cells of a (rendered) column hold; null where a cell is empty or a text.

    Integers and decimals stay exact; dates and times become Excel's serials.
    """
    if dtype.is_integer():
        # What has 16 digits is text in the sheet, and no number to Excel.
        return pl.when(column.is_between(-DIGITS, DIGITS, closed="none")).then(column).cast(pl.Int64)
    if isinstance(dtype, pl.Decimal):
        return pl.when(~many_digits(column.cast(pl.String), dtype)).then(column)
    if isinstance(dtype, pl.Date):
        return pl.when(~outside(column, dtype)).then(column.to_physical() + EPOCH)
    if isinstance(dtype, pl.Datetime):
        return pl.when(~outside(column, dtype)).then(serial(column))
    if isinstance(dtype, pl.Duration):
        return in_days(column.to_physical(), DAY)
    if isinstance(dtype, pl.Time):
        return in_days(column.to_physical(), DAY * 1000)
    if isinstance(dtype, pl.Float32):
        column = column.cast(pl.String)  # the digits in the cell, not the double nearest to the single
    column = column.cast(pl.Float64)
    return pl.when(column.is_finite()).then(column)
