"""Casts to declared types, and which values they would change.

Texts become dates and times where they are ISO 8601. Polars would guess what others mean (01/02/2026, 26-01-02), by the
first text of each batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from export_pipeline.errors import FormatError
from export_pipeline.formats.iso import iso
from export_pipeline.formats.texts import cut

_DATE, _TIME, _OFFSET = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?", r"(?:Z|[+-]\d\d:?\d\d)"
_MOMENT = f"{_DATE}(?:[T ]{_TIME})?"
_DIGITS = {"ms": 3, "us": 6}
"""Digits of a second, by unit."""


def cast(column: pl.Expr, given: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """Return the cast column, null where a value has no form in the wanted type."""
    if isinstance(given, pl.String):
        match wanted:
            case pl.Date():
                return _like(column, _DATE).str.to_date("%Y-%m-%d", strict=False)
            case pl.Time():
                whole = pl.when(column.str.len_bytes() == len("12:30")).then(column + ":00").otherwise(column)
                return _like(whole, _TIME).str.to_time("%H:%M:%S%.f", strict=False)
            case pl.Datetime():
                return _moments(column, wanted)
            case pl.Boolean():
                return pl.when(column.is_in(["true", "false"])).then(column == "true")
    if isinstance(wanted, pl.String):
        if isinstance(given, pl.Datetime):
            return iso(column)
        if given.is_temporal():
            return column.dt.to_string("iso" if isinstance(given, pl.Duration) else "iso:strict")
    return column.cast(wanted, strict=False)


def _like(column: pl.Expr, shape: str) -> pl.Expr:
    return pl.when(column.str.contains(f"^{shape}$")).then(column)


def _moments(column: pl.Expr, wanted: pl.Datetime) -> pl.Expr:
    """Return the moments that texts are; one without an offset is what clocks of the zone showed once."""
    utc = pl.Datetime(wanted.time_unit, "UTC")
    local = _like(column, _MOMENT).str.strptime(utc, strict=False).dt.replace_time_zone(None)
    if wanted.time_zone is None:
        return local
    instants = _like(column, _MOMENT + _OFFSET).str.strptime(utc, strict=False)
    shown = local.dt.replace_time_zone(wanted.time_zone, ambiguous="null", non_existent="null")
    return pl.coalesce(instants.dt.convert_time_zone(wanted.time_zone), shown)


def can_cast(given: pl.DataType, wanted: pl.DataType) -> bool:
    """Return whether there is such a cast, and one back: Polars says so of values only."""
    try:
        _changed(_sample(given), wanted)
    except pl.exceptions.PolarsError:
        return False
    return not isinstance(wanted, pl.Object)


def _sample(dtype: pl.DataType) -> pl.Series:
    """Return a column with a value."""
    match dtype:
        case pl.Enum():
            values: list[Any] = dtype.categories[:1].to_list()
        case pl.String() | pl.Categorical() | pl.Binary():
            values = ["0"]
        case pl.Null():
            values = [None]
        case _:
            values = [0]
    return pl.Series(values).cast(dtype)


def _changed(column: pl.Series, wanted: pl.DataType) -> pl.Series:
    """Return which values a cast would change."""
    given = column.dtype
    made = _run(column, wanted)
    changed = column.is_not_null() & made.is_null()
    if given.is_temporal() and isinstance(wanted, pl.String):
        return changed  # ISO 8601 has all of them
    if isinstance(given, pl.String) and (wanted.is_float() or wanted.is_temporal() or wanted.is_decimal()):
        return changed | _cut_off(column, made)
    return changed | _run(made, given).ne_missing(column)


def _run(column: pl.Series, wanted: pl.DataType) -> pl.Series:
    return column.to_frame("x").select(cast(pl.col("x"), column.dtype, wanted)).to_series()


def _cut_off(texts: pl.Series, made: pl.Series) -> pl.Series:
    """Return which texts have digits that are not in what they were read as, or became infinite."""
    if made.dtype.is_float():
        return (made.is_infinite() & ~texts.str.contains("(?i)inf")).fill_null(value=False)
    places = texts.str.extract(r"\.(\d*[1-9])").str.len_bytes().cast(pl.Int64).fill_null(0)
    exponents = texts.str.extract(r"[eE]([+-]?\d+)").cast(pl.Int64, strict=False).fill_null(0)
    match made.dtype:
        case pl.Decimal():
            return places - exponents > made.dtype.scale
        case pl.Datetime(time_unit="ns"):  # beyond the years 1677 to 2262 Polars wraps around
            years = _run(texts, pl.Datetime("us", made.dtype.time_zone)).dt.year()
            return ((made.dt.year() - years).abs() > 1).fill_null(value=False)
        case pl.Datetime():
            return places > _DIGITS[made.dtype.time_unit]
        case _:
            return places < 0


def refuse_lossy(frame: pl.DataFrame, start: int, casts: Mapping[str, pl.DataType], written: Mapping[str, str]) -> None:
    """Refuse the first value that a cast would change: FormatError with column, row and value.

    `written` has the types as the export writes them.
    """
    for name, wanted in casts.items():
        column = frame[name]
        try:
            wrong = _changed(column, wanted)
        except pl.exceptions.PolarsError:  # bytes that are no text: Polars does not say which
            wrong = pl.Series([_fails(column[at : at + 1], wanted) for at in range(len(column))], dtype=pl.Boolean)
        if wrong.any():
            at = wrong.arg_max() or 0
            raise FormatError(
                f"column {name!r}, row {start + at + 1:,}: {_shown(column[at])} does not fit into {written[name]}",
                cure="Declare a type that holds it, or change the value before.",
            )


def _fails(value: pl.Series, wanted: pl.DataType) -> bool:
    try:
        return bool(_changed(value, wanted).any())
    except pl.exceptions.PolarsError:
        return True


def _shown(value: Any) -> str:
    return cut(repr(value) if isinstance(value, (str, bytes)) else str(value))
