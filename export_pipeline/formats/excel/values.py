"""What a sheet holds of each type, and what it loses.

Excel's numbers are doubles of which 15 digits show; its dates are days since 1900 as such numbers, from 1900-03-01
(serial 61: before that Excel counts a day that never was) to 9999-12-31. What does not fit is written as text and keeps
its value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import polars as pl

from export_pipeline.formats.excel.strings import MAX_TEXT, clipped
from export_pipeline.formats.texts import json_text
from export_pipeline.verification import Loss

NonFinite = Literal["empty", "text", "error_value", "error"]

DAY = 86_400_000_000
"""Microseconds."""
EPOCH = 25_569
"""Serial of 1970-01-01."""
_COUNTED = 2**53
"""A double counts whole numbers up to here."""
FIRST, END = 61, 2_958_466
"""Serials that are dates: from 1900-03-01 up to, not including, 10000-01-01."""
LAST = 2_958_465.99999
"""The latest moment: a serial nearer to midnight shows as the year 10000."""
DIGITS = 10**15
"""Integers from here on have more digits than Excel shows."""

_MAX_BINARY = MAX_TEXT // 4 * 3  # bytes whose base64 text fits a cell
_NESTED = (pl.List, pl.Array, pl.Struct, pl.Map)


def is_nested(dtype: pl.DataType) -> bool:
    """Return whether values of this type are written as JSON text."""
    return isinstance(dtype, _NESTED)


def held(column: pl.Expr, dtype: pl.DataType, non_finite: NonFinite) -> pl.Expr:
    """Return the column as a sheet holds it."""
    if isinstance(dtype, pl.String):
        return _text(column)
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return _text(column.cast(pl.String))
    if is_nested(dtype):
        return _text(json_text(column, dtype))
    if isinstance(dtype, pl.Binary):
        return _text(column.bin.head(_MAX_BINARY).bin.encode("base64"))
    if dtype.is_float():
        return _float(column.cast(pl.Float32) if isinstance(dtype, pl.Float16) else column, non_finite)
    if isinstance(dtype, pl.Datetime):
        return _datetime(column.dt.replace_time_zone(None) if dtype.time_zone else column)
    if isinstance(dtype, pl.Duration):
        return _micros(in_days(column.dt.cast_time_unit("us").to_physical(), DAY)).cast(pl.Duration("us"))
    return column


def losses(schema: Mapping[str, pl.DataType], non_finite: NonFinite) -> Iterator[Loss]:
    """Yield what a sheet loses of these columns."""
    for name, dtype in schema.items():
        why = _why(dtype, non_finite)
        if why:
            yield Loss(column=name, why=why)


def serial(column: pl.Expr) -> pl.Expr:
    """Return naive datetimes in microseconds as Excel's serials (float)."""
    # Each whole second is the double that Excel itself would have.
    return _large(column.to_physical() + EPOCH * DAY, DAY).clip(upper_bound=LAST)


def in_days(ticks: pl.Expr, day: int) -> pl.Expr:
    """Return integers as days (float): the nearest double, always."""
    return pl.when(ticks.abs() < _COUNTED).then(_small(ticks, day)).otherwise(_large(ticks, day))


def _small(ticks: pl.Expr, day: int) -> pl.Expr:
    # By a column, because Polars divides by a number as it multiplies by its inverse, which rounds twice.
    return ticks / (ticks * 0 + day)


def _large(ticks: pl.Expr, day: int) -> pl.Expr:
    """Whole days and the rest apart: from 2185 on there are more microseconds than a double can count."""
    whole = ticks // day
    return whole + _small(ticks - whole * day, day)


def outside(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return whether dates or naive datetimes are none in Excel."""
    unit = DAY if isinstance(dtype, pl.Datetime) else 1
    physical = column.to_physical()
    return (physical < (FIRST - EPOCH) * unit) | (physical >= (END - EPOCH) * unit)


def _text(column: pl.Expr) -> pl.Expr:
    """Cut long texts; an empty text is an empty cell."""
    text = clipped(column)
    return pl.when(text != "").then(text)


def _float(column: pl.Expr, non_finite: NonFinite) -> pl.Expr:
    if non_finite == "empty":
        column = pl.when(column.is_finite()).then(column)
    if non_finite == "error_value":  # there is one error value for both infinities
        column = pl.when(column.is_infinite()).then(column.abs()).otherwise(column)
    return pl.when(column == 0).then(0.0).otherwise(column)  # -0 becomes 0; Polars drops an addition of 0


def _datetime(column: pl.Expr) -> pl.Expr:
    micros = column.dt.cast_time_unit("us")
    kept = (_micros(serial(micros)) - EPOCH * DAY).cast(pl.Datetime("us"))
    return pl.when(outside(micros, pl.Datetime("us"))).then(micros).otherwise(kept)


def _micros(days: pl.Expr) -> pl.Expr:
    """Return the microseconds of serials: whole days and the rest apart, so that only the double itself rounds."""
    whole = days.floor()
    return whole.cast(pl.Int64) * DAY + ((days - whole) * DAY).round().cast(pl.Int64)


def _why(dtype: pl.DataType, non_finite: NonFinite) -> str:
    """Return what is lost of values of this type, in words."""
    empty = f"an empty text becomes an empty cell, and text is cut after {MAX_TEXT:,} UTF-16 units"
    if isinstance(dtype, pl.String):
        return empty
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return f"a category becomes its text; {empty}"
    if is_nested(dtype):
        return f"nested values become JSON text, cut after {MAX_TEXT:,} UTF-16 units"
    if isinstance(dtype, pl.Binary):
        return f"binary becomes base64 text, cut after {_MAX_BINARY:,} bytes"
    if dtype.is_float():
        means = {
            "empty": "NaN and infinities become empty cells",
            "text": "NaN and infinities become text",
            "error_value": "NaN becomes #NUM!, both infinities #DIV/0!",
            "error": "",
        }[non_finite]
        return "; ".join(filter(None, [means, "-0 becomes 0"]))
    if dtype.is_integer() and dtype in WIDE_INTEGERS:
        return "integers from 10^15 on become text: Excel shows 15 digits"
    if isinstance(dtype, pl.Decimal):
        return "decimals of more than 15 digits become text"
    if isinstance(dtype, pl.Date):
        return "dates before 1900-03-01 and after 9999-12-31 become text"
    if isinstance(dtype, pl.Datetime):
        zone = f"times are the wall clock of {dtype.time_zone}; " if dtype.time_zone else ""
        fine = "nanoseconds are cut; " if dtype.time_unit == "ns" else ""
        return f"{zone}{fine}before 1900-03-01 they become text; after June 2079 and in 9999 microseconds are rounded"
    if isinstance(dtype, pl.Duration):
        return "durations become days, rounded to what a double keeps; Excel shows negative ones as ####"
    return ""


WIDE_INTEGERS = (pl.Int64, pl.UInt64, pl.Int128, pl.UInt128)
"""Types that can have 16 digits."""
