"""Text of cells as values of a type."""

from __future__ import annotations

import re

import polars as pl

_DAY = 86_400_000_000
_EPOCH = 25_569
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_MOMENT = "%Y-%m-%dT%H:%M:%S%.f"


def text_of(escaped: str) -> str:
    """Return the text that Excel's escapes (_x000D_) stand for."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), escaped)


SPECIAL = "[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]|_x"
"""What a text has to have in it to mean something else than it says."""


def plain(texts: pl.Series) -> pl.Series:
    """Return texts without the escapes of XML and of Excel; ValueError for what is no XML."""
    if not texts.str.contains(SPECIAL).any():
        return texts
    if texts.str.contains("[<>\x00-\x08\x0b-\x1f\ufffe\uffff]").any():
        raise ValueError("a text holds a character that XML does not allow")
    entities = texts.str.contains("&", literal=True)
    if entities.any():
        if not texts.filter(entities).str.contains("^(?:[^&]|&(?:amp|lt|gt);)*$").all():
            raise ValueError("a text holds an entity that is none")
        texts = texts.str.replace_many(list(_ENTITIES), list(_ENTITIES.values()))
    escapes = texts.str.contains(_ESCAPE.pattern)
    if escapes.any():
        places = escapes.fill_null(value=False).arg_true()
        texts = texts.clone().scatter(places, [text_of(text) for text in texts.gather(places)])
    return texts


def number(text: pl.Expr, kind: str, dtype: pl.DataType) -> pl.Expr:
    """Return what cells of a kind ('n' number, 'b' boolean, 'e' error) mean in a column of this type."""
    if kind == "e" and dtype.is_float():
        return text.replace_strict({"#NUM!": "nan", "#DIV/0!": "inf"}).cast(dtype)
    if kind == "b" and isinstance(dtype, pl.Boolean):
        return text.replace_strict({"0": False, "1": True}, return_dtype=pl.Boolean)
    if kind == "n" and dtype.is_numeric():
        return text.cast(dtype)
    if kind == "n" and isinstance(dtype, pl.Date):
        return (text.cast(pl.Int32) - _EPOCH).cast(pl.Date)
    if kind == "n" and dtype.is_temporal():
        return _moment(text.cast(pl.Float64), dtype)
    raise ValueError(f"a cell of kind {kind} stands in a column of type {dtype}")


def from_text(texts: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return what text cells mean in a column of this type: texts, and what does not fit a number of Excel."""
    if isinstance(dtype, pl.Date):
        return texts.str.to_date("%Y-%m-%d")
    if isinstance(dtype, pl.Datetime):
        return texts.str.to_datetime(_MOMENT, time_unit=dtype.time_unit)
    if isinstance(dtype, pl.String) or dtype.is_numeric():
        return texts.cast(dtype)
    raise ValueError(f"a text stands in a column of type {dtype}")


def _moment(days: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return serials as temporal values."""
    if isinstance(dtype, pl.Time):
        return (days * (_DAY * 1000)).round().cast(pl.Int64).cast(pl.Time)
    # Days and the rest of the day apart: their product with the length of a day would round a second time.
    whole = days.floor()
    micros = whole.cast(pl.Int64) * _DAY + ((days - whole) * _DAY).round().cast(pl.Int64)
    return micros.cast(dtype) if isinstance(dtype, pl.Duration) else (micros - _EPOCH * _DAY).cast(dtype)
