"""What a column holds, and how a value written in a filter becomes a value of it.

A value is written as JSON can hold it: a number, a text, true or false; dates, times and decimals are texts.
`Kind.read` turns it into the value that engines compare with, in the column's own type, and refuses what the column
cannot hold; `Kind.write` turns it back. Reading what was written gives the same value, so a bound filter can be stored
and bound again.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl

from export_pipeline.errors import ConfigError
from export_pipeline.times import format_duration, format_instant, parse_duration, parse_instant
from export_pipeline.times.ranges import is_absolute

Scalar = bool | int | float | str
Value = bool | int | float | str | Decimal | date | datetime | time | timedelta
Rounding = Literal["down", "up"] | None
"""Where a value between two that the column can hold goes: ``> 2.5`` means ``> 2`` for whole numbers. None: refused."""

_WIDE = Context(prec=100)
_MODES = {"down": ROUND_FLOOR, "up": ROUND_CEILING}
_NANOSECONDS = (datetime(1677, 9, 22, tzinfo=UTC), datetime(2262, 4, 11, tzinfo=UTC))


class Unfit(Exception):
    """A value does not fit a column; the message says why, without naming either."""


def _number(value: Scalar) -> Decimal:
    if isinstance(value, bool):
        raise Unfit("is no number")
    try:
        number = Decimal(value.strip() if isinstance(value, str) else repr(value))
    except InvalidOperation:
        raise Unfit("is no number") from None
    if not number.is_finite():
        raise Unfit("is no finite number")
    return number


def _round(number: Decimal, step: Decimal, rounding: Rounding, why: str) -> Decimal:
    """Return the nearest multiple of a power of ten in the direction of `rounding`."""
    if number.adjusted() > 80:
        raise Unfit("is out of range")
    try:
        rounded = number.quantize(step, rounding=_MODES[rounding or "down"], context=_WIDE)
    except InvalidOperation:
        raise Unfit("is out of range") from None
    if rounded != number and rounding is None:
        raise Unfit(why)
    return rounded


def _int(value: Scalar, dtype: pl.DataType, _zone: ZoneInfo, rounding: Rounding) -> int:
    whole = int(_round(_number(value), Decimal(1), rounding, "is no whole number"))
    bits, signed = int(str(dtype).lstrip("UInt")), not str(dtype).startswith("U")
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if not low <= whole <= high:
        raise Unfit(f"is out of its range, {low} to {high}")
    return whole


def _float(value: Scalar, dtype: pl.DataType, _zone: ZoneInfo, _rounding: Rounding) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (ValueError, OverflowError):
        raise Unfit("is no number") from None
    if math.isnan(number):
        raise Unfit("is no number")
    if dtype == pl.Float32:
        try:
            return float(struct.unpack("<f", struct.pack("<f", number))[0])
        except OverflowError:
            raise Unfit("is out of its range") from None
    return number


def _decimal(value: Scalar, dtype: pl.DataType, _zone: ZoneInfo, rounding: Rounding) -> Decimal:
    assert isinstance(dtype, pl.Decimal)  # noqa: S101
    scale, precision = dtype.scale, dtype.precision or 38
    number = _round(_number(value), Decimal(1).scaleb(-scale), rounding, f"has more than {scale} decimals")
    if number.adjusted() >= precision - scale and number:
        raise Unfit(f"is out of its range, {precision - scale} digits before the point")
    return number


def _text(value: Scalar, _dtype: pl.DataType, _zone: ZoneInfo, _rounding: Rounding) -> str:
    if not isinstance(value, str):
        raise Unfit("is no text: write it in quotes")
    return value


def _bool(value: Scalar, _dtype: pl.DataType, _zone: ZoneInfo, _rounding: Rounding) -> bool:
    known = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.strip().lower() not in known:
        raise Unfit("is neither true nor false")
    return known[value.strip().lower()]


def _date(value: Scalar, _dtype: pl.DataType, _zone: ZoneInfo, _rounding: Rounding) -> date:
    try:
        return datetime.strptime(str(value).strip(), "%Y-%m-%d").date()
    except ValueError:
        raise Unfit("is no date such as 2026-03-01") from None


def _datetime(value: Scalar, dtype: pl.DataType, zone: ZoneInfo, rounding: Rounding) -> datetime:
    assert isinstance(dtype, pl.Datetime)  # noqa: S101
    if not isinstance(value, str) or not is_absolute(value):
        raise Unfit("is no date or time such as 2026-03-01T06:00; relative ones belong in a time_range with this field")
    try:
        when = parse_instant(value, datetime(1970, 1, 1, tzinfo=UTC), zone)
    except ConfigError:
        raise Unfit("is no date or time of the calendar") from None
    if dtype.time_unit == "ns" and not _NANOSECONDS[0] <= when <= _NANOSECONDS[1]:
        raise Unfit("is out of its range, 1677-09-22 to 2262-04-11")
    past = timedelta(microseconds=when.microsecond % 1000 if dtype.time_unit == "ms" else 0)
    if past and rounding is None:
        raise Unfit("is finer than a millisecond")
    return when - past + (timedelta(milliseconds=1) if past and rounding == "up" else timedelta())


def _time(value: Scalar, _dtype: pl.DataType, _zone: ZoneInfo, _rounding: Rounding) -> time:
    try:
        found = time.fromisoformat(str(value).strip())
    except ValueError:
        raise Unfit("is no time of day such as 06:30") from None
    if found.tzinfo is not None or isinstance(value, bool | int | float):
        raise Unfit("is no time of day such as 06:30")
    return found


def _duration(value: Scalar, dtype: pl.DataType, _zone: ZoneInfo, rounding: Rounding) -> timedelta:
    assert isinstance(dtype, pl.Duration)  # noqa: S101
    text = str(value).strip()
    try:
        length = -parse_duration(text[1:]) if text.startswith("-") else parse_duration(text)
    except ConfigError as error:
        raise Unfit(f"is no length of time such as 5m: {error.message}") from None
    past = timedelta(microseconds=length.microseconds % 1000 if dtype.time_unit == "ms" else 0)
    if past and rounding is None:
        raise Unfit("is finer than a millisecond")
    return length - past + (timedelta(milliseconds=1) if past and rounding == "up" else timedelta())


def _any(value: Scalar, _dtype: pl.DataType, _zone: ZoneInfo, _rounding: Rounding) -> Scalar:
    return value


@dataclass(frozen=True)
class Kind:
    """What a family of column types holds: how to say it, what can be asked of it, how values are read and written."""

    name: str
    types: tuple[type[pl.DataType], ...]
    traits: frozenset[str]
    """What operators may need: `equal`, `order`, `text`."""
    read: Callable[[Scalar, pl.DataType, ZoneInfo, Rounding], Any]
    write: Callable[[Any], Scalar] = lambda value: value


_EQUAL, _ORDER = frozenset({"equal"}), frozenset({"equal", "order"})
_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.UInt128)

INTEGER = Kind("whole numbers", _INTEGERS, _ORDER, _int)
FLOAT = Kind("numbers", (pl.Float32, pl.Float64), _ORDER, _float, lambda v: v if math.isfinite(v) else str(v))
DECIMAL = Kind("decimal numbers", (pl.Decimal,), _ORDER, _decimal, str)
TEXT = Kind("text", (pl.String, pl.Categorical, pl.Enum), _ORDER | {"text"}, _text)
BOOLEAN = Kind("true and false", (pl.Boolean,), _EQUAL, _bool)
DATE = Kind("dates", (pl.Date,), _ORDER, _date, str)
DATETIME = Kind("points in time", (pl.Datetime,), _ORDER, _datetime, format_instant)
TIME = Kind("times of day", (pl.Time,), _ORDER, _time, lambda v: v.isoformat())
DURATION = Kind(
    "lengths of time",
    (pl.Duration,),
    _ORDER,
    _duration,
    lambda v: format_duration(v) if v >= timedelta() else f"-{format_duration(-v)}",
)
NOTHING = Kind("only missing values", (pl.Null,), _ORDER | {"text"}, _any)
OTHER = Kind("values that filters cannot compare", (), frozenset(), _any)

KINDS = (INTEGER, FLOAT, DECIMAL, TEXT, BOOLEAN, DATE, DATETIME, TIME, DURATION, NOTHING)


def kind_of(dtype: pl.DataType) -> Kind:
    """Return what a column of this type holds."""
    return next((kind for kind in KINDS if isinstance(dtype, kind.types)), OTHER)
