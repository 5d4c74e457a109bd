"""SQLite's columns as ours. It keeps any value in any column, so a type is taken only if the values are of it.

======================================  =========================================================================
declared as                             the column is
======================================  =========================================================================
INTEGER, BIGINT ...                     integer
REAL, DOUBLE, FLOAT                     float
TEXT, VARCHAR ...                       text, as it is; the column with the role `time` as if declared DATETIME
BLOB                                    binary
BOOLEAN                                 boolean, where all values are 0 and 1 or words such as true
DATE, DATETIME, TIMESTAMP               date or datetime, where all values are texts in ISO 8601
DECIMAL(p,s) with at most 15 digits     decimal, where no value has more decimals
nothing, NUMERIC, else, expressions     what the values are: integer, float, binary, ISO 8601 times, else text
======================================  =========================================================================

A column that holds something else than declared is what its values are: integers and floats are float, all other
mixtures are text in which no value is lost (numbers as they print, blobs as UTF-8 or else as ``x'0A'``). A column
without values has its declared type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa

HUGE = f"typeof({{c}}) = 'integer' AND ({{c}} > {2**53} OR {{c}} < -{2**53})"
"""SQL that is true of a whole number that floats cannot hold; ``{c}`` is the column."""
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")


class Declared(NamedTuple):
    """A declared type: what it stands for, and how values are checked to be of it."""

    family: str
    dtype: pl.DataType
    """The type of a column without other values."""
    stored: tuple[str, ...] = ()
    """The storage classes that it may hold."""
    odd: str = ""
    """SQL that is true of a value of these classes that does not fit; ``{c}`` is the column."""


_FAMILIES: tuple[tuple[str, Declared], ...] = (
    ("BOOL", Declared("boolean", pl.Boolean(), ("integer",), "{c} NOT IN (0, 1)")),
    ("DATETIME|TIMESTAMP", Declared("time", pl.Datetime("us"))),
    ("^DATE$", Declared("time", pl.Date())),
    ("INT", Declared("integer", pl.Int64(), ("integer",))),
    ("CHAR|CLOB|TEXT|JSON|UUID", Declared("text", pl.String())),
    ("BLOB", Declared("binary", pl.Binary(), ("blob",))),
    ("REAL|FLOA|DOUB", Declared("float", pl.Float64(), ("real",))),
    ("NUM|DEC", Declared("content", pl.Float64())),
    ("", Declared("content", pl.String())),
)
TIME = Declared("time", pl.String())
"""A text column with the role of the time."""


def declared(name: str) -> Declared:
    """Return what a declared type stands for."""
    upper = name.upper()
    if match := _DECIMAL.search(upper):
        digits, scale = int(match[1]), int(match[2] or 0)
        if scale <= digits <= 15:  # more do not survive in SQLite's floats
            limit = 10 ** (digits - scale)
            odd = f"{{c}} <> round({{c}}, {scale}) OR {{c}} >= {limit} OR {{c}} <= -{limit}"
            return Declared("decimal", pl.Decimal(digits, scale), ("integer", "real"), odd)
    return next(family for pattern, family in _FAMILIES if re.search(pattern, upper))


class Reader(NamedTuple):
    """How a column's values become an Arrow array."""

    dtype: pl.DataType
    make: Callable[[Sequence[Any]], pa.Array]
    exact: bool
    """Whether SQLite compares the values as they are read: then a condition may ask for them."""
    select: str = "{c}"
    """The SQL that reads it."""


def by_content(dtype: pl.DataType, classes: Set[str], *, huge: bool) -> Reader | None:
    """Return the reader for values of these storage classes; None where they are texts that may be times.

    `huge` says that whole numbers are among them that floats cannot hold.
    """
    if not classes:
        return plain_reader(dtype)
    if classes == {"integer"}:
        return plain_reader(pl.Int64())
    if classes <= {"integer", "real"} and not huge:
        return plain_reader(pl.Float64())
    if classes == {"blob"}:
        return plain_reader(pl.Binary())
    return None if classes == {"text"} else MIXED


def plain_reader(dtype: pl.DataType) -> Reader:
    """Return the reader for a column whose values are all of a type."""
    match dtype:
        case pl.Int64():
            return Reader(dtype, lambda values: pa.array(values, pa.int64()), exact=True)
        case pl.Float64():
            return Reader(dtype, lambda values: pa.array(values, pa.float64()), exact=True)
        case pl.Binary():
            return Reader(dtype, lambda values: pa.array(values, pa.binary()), exact=False)
        case pl.Boolean():
            return Reader(dtype, lambda values: pa.array(values, pa.int64()).cast(pa.bool_()), exact=False)
        case pl.Decimal():
            arrow = pa.decimal128(dtype.precision or 38, dtype.scale)
            make = lambda values: pa.array(values, pa.string()).cast(arrow)  # noqa: E731
            return Reader(
                dtype,
                make,
                exact=False,
                select=f"CASE WHEN {{c}} IS NOT NULL THEN printf('%.{dtype.scale}f', {{c}}) END",
            )
        case _:
            return Reader(dtype, lambda values: pa.array(values, pa.string()), exact=True)


def _written(value: Any) -> str | None:
    """Return any value as text from which it can be told again."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return f"x'{value.hex().upper()}'"
    return repr(value)


MIXED = Reader(pl.String(), lambda values: pa.array([_written(value) for value in values], pa.string()), exact=False)
"""Reads whatever there is as text."""
BYTES = Reader(pl.Binary(), lambda values: pa.array(values, pa.binary()), exact=False, select="CAST({c} AS BLOB)")
"""Reads whatever there is as bytes."""
