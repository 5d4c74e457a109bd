"""DuckDB's types as ours.

As they are: booleans, integers, floats, decimals, text, blobs, dates, times, timestamps (with zone: instants in UTC),
lists, structs; maps are lists of (key, value).

Otherwise: HUGEINT and UHUGEINT are decimals of 38 digits (a value beyond is refused); TIMESTAMP_S has microseconds;
fixed arrays are lists. Text: UUID, ENUM, JSON, INTERVAL, TIME WITH TIME ZONE, TIME_NS, BIT, BIGNUM, and what else there
is. UNION, and nested values with one of these types inside a map, are JSON text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from export_pipeline.sources.sql import quoted

if TYPE_CHECKING:
    from duckdb import sqltypes

_KEPT: dict[str, pl.DataType] = {
    "boolean": pl.Boolean(),
    "tinyint": pl.Int8(),
    "smallint": pl.Int16(),
    "integer": pl.Int32(),
    "bigint": pl.Int64(),
    "utinyint": pl.UInt8(),
    "usmallint": pl.UInt16(),
    "uinteger": pl.UInt32(),
    "ubigint": pl.UInt64(),
    "float": pl.Float32(),
    "double": pl.Float64(),
    "varchar": pl.String(),
    "blob": pl.Binary(),
    "date": pl.Date(),
    "time": pl.Time(),
    "timestamp": pl.Datetime("us"),
    "timestamp_ms": pl.Datetime("ms"),
    "timestamp_ns": pl.Datetime("ns"),
    "timestamp with time zone": pl.Datetime("us", "UTC"),
}
_CAST: dict[str, tuple[pl.DataType, str]] = {
    "hugeint": (pl.Decimal(38, 0), "DECIMAL(38,0)"),
    "uhugeint": (pl.Decimal(38, 0), "DECIMAL(38,0)"),
    "timestamp_s": (pl.Datetime("us"), "TIMESTAMP"),
}
_TEXT = (pl.String(), "VARCHAR")


class Reading(NamedTuple):
    """How a column is read."""

    dtype: pl.DataType
    cast: str | None
    """The SQL type to cast it to; None: as it is."""


class _Unfit(Exception):
    """A nested type that only JSON text can hold."""


def reading(kind: sqltypes.DuckDBPyType) -> Reading:
    """Return how a column of this type is read."""
    try:
        return _read(kind)
    except _Unfit:
        return Reading(pl.String(), "JSON")


def _read(kind: sqltypes.DuckDBPyType) -> Reading:
    name = str(kind.id)
    if str(kind) == "JSON":
        return Reading(*_TEXT)
    if name in _KEPT:
        return Reading(_KEPT[name], None)
    match name:
        case "decimal":
            parts = dict(kind.children)
            return Reading(pl.Decimal(int(str(parts["precision"])), int(str(parts["scale"]))), None)
        case "list" | "array":
            inner = _read(_child(kind, "child"))
            fixed = name == "array"
            sql = inner.cast or str(_child(kind, "child"))
            return Reading(pl.List(inner.dtype), f"{sql}[]" if fixed or inner.cast else None)
        case "struct":
            fields = {field: _read(child) for field, child in kind.children if not isinstance(child, list | int)}
            children = dict(kind.children)
            body = ", ".join(f"{quoted(field)} {r.cast or children[field]}" for field, r in fields.items())
            changed = any(r.cast for r in fields.values())
            if len({field.lower() for field in fields} - {""}) < len(fields):
                raise _Unfit  # a struct without names
            return Reading(
                pl.Struct({field: r.dtype for field, r in fields.items()}), f"STRUCT({body})" if changed else None
            )
        case "map":
            key, value = _read(_child(kind, "key")), _read(_child(kind, "value"))
            if key.cast or value.cast:
                raise _Unfit  # DuckDB casts no maps
            return Reading(pl.List(pl.Struct({"key": key.dtype, "value": value.dtype})), None)
        case "union":
            raise _Unfit
        case _:
            return Reading(*_CAST.get(name, _TEXT))


def _child(kind: sqltypes.DuckDBPyType, name: str) -> sqltypes.DuckDBPyType:
    child = dict(kind.children)[name]
    if isinstance(child, list | int):
        raise TypeError(f"no type: {child!r}")
    return child


def expression(name: str, cast: str | None) -> str:
    """Return the SQL that reads a column."""
    column = quoted(name)
    if cast is None:
        return column
    read = f"CAST(to_json({column}) AS VARCHAR)" if cast == "JSON" else f"CAST({column} AS {cast})"
    return f"{read} AS {column}"
