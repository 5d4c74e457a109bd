"""Families of column types: what a measure, a group or an order can be made of."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import narwhals as nw
import polars as pl

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.schemas import name_of


class Family(StrEnum):
    """Types that behave alike; the value is the word for them in messages."""

    INTEGER = "whole numbers"
    FLOAT = "floating point numbers"
    DECIMAL = "decimals"
    BOOLEAN = "booleans"
    TEXT = "text"
    DATE = "dates"
    DATETIME = "dates with time"
    TIME = "times of day"
    DURATION = "durations"
    BINARY = "binary"
    NESTED = "lists and structs"


NUMBERS = frozenset({Family.INTEGER, Family.FLOAT, Family.DECIMAL})
ORDERED = frozenset(Family) - {Family.BINARY, Family.NESTED}
FLAT = frozenset(Family) - {Family.NESTED}

_FAMILIES: dict[type[pl.DataType], Family] = {
    pl.Boolean: Family.BOOLEAN,
    pl.String: Family.TEXT,
    pl.Categorical: Family.TEXT,
    pl.Enum: Family.TEXT,
    pl.Date: Family.DATE,
    pl.Datetime: Family.DATETIME,
    pl.Time: Family.TIME,
    pl.Duration: Family.DURATION,
    pl.Binary: Family.BINARY,
    pl.Decimal: Family.DECIMAL,
    pl.Null: Family.INTEGER,  # a column without a single value: summed to 0, averaged to null
}


def family(kind: pl.DataType) -> Family:
    """Return the family of a type."""
    if kind.is_integer():
        return Family.INTEGER
    if kind.is_float():
        return Family.FLOAT
    return _FAMILIES.get(type(kind), Family.NESTED)


def settled(kind: pl.DataType) -> pl.DataType:
    """Return the type in which values are grouped and compared: categories as their text, nothing as Int64."""
    if isinstance(kind, pl.Categorical):
        return pl.String()
    return pl.Int64() if isinstance(kind, pl.Null) else kind


def settle(value: nw.Expr, kind: pl.DataType) -> nw.Expr:
    """Return the value in its `settled` type, NaN as null."""
    if isinstance(kind, pl.Categorical):
        # By their text: the order and the codes of categories depend on which came first.
        return value.cast(nw.String())
    if isinstance(kind, pl.Null):
        return value.cast(nw.Int64())
    return value.fill_nan(None) if kind.is_float() else value


def settle_key(value: nw.Expr, kind: pl.DataType) -> nw.Expr:
    """Return the value as a key of groups: as `settle`, and minus zero is zero."""
    value = settle(value, kind)
    # They are equal, but which of the two stood for both would be chance.
    return nw.when(value == 0).then(value.abs()).otherwise(value) if kind.is_float() else value


def kind_of(schema: pl.Schema, column: str, place: str, fits: Iterable[Family] = frozenset(Family)) -> pl.DataType:
    """Return the type of a column that `place` names.

    Raises:
        ConfigError: There is no such column, or its type is none that fits.
    """
    if column not in schema:
        raise ConfigError(f"{place}: unknown column {column!r} ({did_you_mean(column, schema.names())})")
    kind = schema[column]
    fits = frozenset(fits)
    if family(kind) not in fits:
        words = ", ".join(sorted(one.value for one in fits))
        raise ConfigError(
            f"{place}: column {column!r} is {name_of(kind)}, which does not fit here", cure=f"fits: {words}"
        )
    return kind


def spare(taken: Iterable[str], wish: str) -> str:
    """Return a name for a column in passing that none of the taken ones has."""
    names = set(taken)
    while wish in names:
        wish = f"_{wish}"
    return wish
