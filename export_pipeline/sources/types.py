"""The types that a person may name for a column, and how values become them: exactly, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

import polars as pl
import pyarrow as pa
from pydantic import AfterValidator

from export_pipeline.errors import ConfigError, SourceError, did_you_mean
from export_pipeline.schemas import NAMES, name_of
from export_pipeline.snapshots.arrow import plain
from export_pipeline.times import zone

_HOURS = r"(T.*[+-]\d\d)$"
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_ZONED = re.compile(r"datetime with zone\(\s*(\S+)\s*\)")


def dtype_named(name: str) -> pl.DataType:
    """Return the type with this name. Raises `ConfigError` for an unknown one.

    >>> dtype_named("decimal(18,2)")
    Decimal(precision=18, scale=2)
    >>> dtype_named("datetime with zone(Europe/Berlin)")
    Datetime(time_unit='us', time_zone='Europe/Berlin')
    """
    text = " ".join(name.lower().split())
    if text in NAMES:
        return NAMES[text]
    if match := _DECIMAL.fullmatch(text):
        precision, scale = int(match[1]), int(match[2])
        if not 1 <= precision <= 38 or scale > precision:
            raise ConfigError(f"{name!r} is no decimal: it has 1 to 38 digits, and no more of them behind the point")
        return pl.Decimal(precision, scale)
    if match := _ZONED.fullmatch(" ".join(name.split())):
        return pl.Datetime("us", zone(match[1]).key)
    hint = did_you_mean(name, [*NAMES, "decimal(18,2)", "datetime with zone(Europe/Berlin)"])
    raise ConfigError(f"unknown column type {name!r} ({hint})")


def _named(name: str) -> str:
    dtype_named(name)
    return name


ColumnType = Annotated[str, AfterValidator(_named)]
"""The name of a column type."""


def misfits(before: pl.Series, after: pl.Series) -> pl.Series:
    """Return where a value got lost: it was there before and is null after."""
    return after.is_null() & before.is_not_null()


_WORDS = {"true": True, "false": False, "t": True, "f": False, "yes": True, "no": False, "1": True, "0": False}
_USUAL = {spelled: word == "true" for word in ("true", "false") for spelled in (word, word.title(), word.upper())}


def by_arrow(text: pl.Series, dtype: pl.DataType) -> pl.Series | None:
    """Return texts as dates or times where all of them are ISO 8601; Arrow reads them ten times as fast as Polars."""
    match dtype:
        case pl.Date():
            arrow: pa.DataType = pa.date32()
        case pl.Datetime() if dtype.time_zone in (None, "UTC"):
            arrow = pa.timestamp(dtype.time_unit, dtype.time_zone)
        case _:
            return None
    try:
        return pl.Series(text.name, text.to_arrow().cast(arrow), dtype=dtype)
    except pa.ArrowInvalid:
        return None


def _usual(text: pl.Series, dtype: pl.DataType) -> pl.Series | None:
    """Return texts as values of a type where all of them are written in the usual way, None elsewhere."""
    match dtype:
        case pl.Int64() | pl.Float64():
            made: pl.Series | None = text.cast(dtype, strict=False)
        case pl.Boolean():
            made = text.replace_strict(_USUAL, default=None, return_dtype=pl.Boolean())
        case _:
            made = by_arrow(text, dtype)
    return made if made is not None and made.null_count() == text.null_count() else None


def _whole(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    return text.cast(dtype, strict=False)


def _decimal(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    # Polars rounds what has more decimals than the type: such a value must not become another one.
    assert isinstance(dtype, pl.Decimal)  # noqa: S101
    shape = rf"^[+-]?[0-9]*(?:\.[0-9]{{0,{dtype.scale}}}0*)?$"
    exact = text.str.contains(shape) & text.str.contains("[0-9]")
    return pl.select(pl.when(exact).then(text.str.strip_prefix("+").cast(dtype, strict=False))).to_series()


def _boolean(text: pl.Series, _dtype: pl.DataType) -> pl.Series:
    return text.str.to_lowercase().replace_strict(_WORDS, default=None, return_dtype=pl.Boolean())


def _date(text: pl.Series, _dtype: pl.DataType) -> pl.Series:
    return text.str.to_date("%Y-%m-%d", strict=False)


def _time(text: pl.Series, _dtype: pl.DataType) -> pl.Series:
    whole = pl.select(pl.when(text.str.len_bytes() == 5).then(text + ":00").otherwise(text)).to_series()
    return whole.str.to_time("%H:%M:%S%.f", strict=False)


def _datetime(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Read ISO 8601: ``T`` or a space between, seconds and their fraction if there are any, ``Z`` or an offset."""
    assert isinstance(dtype, pl.Datetime)  # noqa: S101
    iso = text.str.replace(" ", "T", literal=True).str.replace(r"^([0-9]{4}-[0-9]{2}-[0-9]{2})$", "${1}T00:00:00")
    short = iso.str.contains(r"T\d\d:\d\d(?:Z|[+-]\d\d(?::?\d\d)?)?$")
    if short.any():
        iso = pl.select(pl.when(short).then(iso.str.replace(r"(T\d\d:\d\d)", "${1}:00")).otherwise(iso)).to_series()
    aware = iso.str.contains(r"T.*(?:Z|[+-]\d\d(?::?\d\d)?)$")
    unit = dtype.time_unit
    if dtype.time_zone is None:
        naive = pl.select(pl.when(~aware).then(iso)).to_series()
        return naive.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit=unit, strict=False).cast(dtype)
    offset = iso.str.replace(r"Z$", "+0000").str.replace(r"([+-]\d\d):(\d\d)$", "$1$2").str.replace(_HOURS, "${1}00")
    with_offset = pl.select(pl.when(aware).then(offset)).to_series()
    instants = with_offset.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit=unit, strict=False)
    found = instants.dt.convert_time_zone(dtype.time_zone)
    if dtype.time_zone == "UTC" or bool(aware.all()):  # a time without offset is of no known zone
        return found
    naive = pl.select(pl.when(~aware).then(iso)).to_series()
    local = naive.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit=unit, strict=False)
    zoned = local.dt.replace_time_zone(dtype.time_zone, ambiguous="earliest", non_existent="null")
    return pl.select(pl.coalesce(found, zoned)).to_series()


_FROM_TEXT: dict[type[pl.DataType], Callable[[pl.Series, pl.DataType], pl.Series]] = {
    pl.Int64: _whole,
    pl.Float64: _whole,
    pl.Decimal: _decimal,
    pl.Boolean: _boolean,
    pl.Date: _date,
    pl.Time: _time,
    pl.Datetime: _datetime,
}


def from_text(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return texts as values of a type; null where a text is none. Blank texts are missing values, but for text."""
    if isinstance(dtype, pl.String):
        return text
    if isinstance(dtype, pl.Binary):
        return text.cast(pl.Binary)
    stripped = text.str.strip_chars()
    return _FROM_TEXT[type(dtype)](stripped, dtype).alias(text.name)


def convert(values: pl.Series, dtype: pl.DataType, what: str, before: int = 0) -> pl.Series:
    """Return the values as a type.

    Raises `SourceError` that names row and column of the first value that does not fit; `before` is the number of rows
    that came before these.
    """
    if values.dtype == dtype:
        return values
    if values.dtype == pl.String:
        usual = _usual(values, dtype)
        if usual is not None:
            return usual
        after = from_text(values, dtype)
        lost = misfits(values, after) & (values.str.strip_chars() != "")
    else:
        try:
            after = values.cast(dtype, strict=False)
            back = values if dtype == pl.String() else after.cast(plain(values.dtype), strict=False)
        except pl.exceptions.PolarsError as error:
            raise ConfigError(f"{what}: column {values.name!r} is {values.dtype} and cannot become {dtype}") from error
        lost = misfits(values, after) | (back.ne_missing(values) & values.is_not_null())
    if lost.any():
        row = lost.arg_max() or 0
        raise unfit(what, values.name, before + row + 1, values[row], dtype)
    return after


def unfit(what: str, column: str, row: int, value: object, dtype: pl.DataType) -> SourceError:
    """Return the error for a value that is not of its column's type."""
    return SourceError(
        f"{what}: row {row:,}, column {column!r}: {_shown(value)} is no {name_of(dtype)}",
        cure=f"Correct the value, or give the column another type, for example  schema: {{{column}: text}}",
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


__all__ = ["ColumnType", "convert", "dtype_named", "from_text", "misfits", "unfit"]
