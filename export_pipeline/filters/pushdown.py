"""What of a filter a database may answer before the rows are read.

A pushed clause must keep every row that the filter keeps. Under ``not`` that turns around, so two clauses are made of
every part: `upper` keeps at least its rows, `lower` at most. ``not`` swaps them and counts unknown as false.

Where a database compares in another way than the filter does, the upper clause is widened or left out:

- DuckDB places NaN above all numbers, here it counts as missing.
- SQLite keeps any value in any column. Numbers come before all texts and texts before all blobs there, so the other
  classes are let through by a comparison that an index can answer. Texts are compared byte by byte, whatever the
  column's collation; their order, decimals, booleans and patterns are not asked for. Times are texts in ISO 8601 with
  any separator and offset, so whole days around the value are asked for.
- Letters are folded by no database as they are here; patterns are in another dialect everywhere: never asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from export_pipeline.filters.base import Bounds
from export_pipeline.filters.kinds import (
    BOOLEAN,
    DATE,
    DATETIME,
    DECIMAL,
    FLOAT,
    INTEGER,
    TEXT,
    Kind,
)
from export_pipeline.filters.operators import Operator

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

ALL = Bounds(None, None)
"""Nothing is asked: at most all rows, at least none."""

MOST_VALUES = 500
"""Longer lists are not pushed down: databases limit the bound values of a statement."""

_DAY = timedelta(days=1)
_EXACT_FLOAT = 2.0**53


def all_of(parts: Sequence[Bounds]) -> Bounds:
    """Return the bounds of rows that every part keeps."""
    from sqlalchemy import and_

    upper = [part.upper for part in parts if part.upper is not None]
    lower = [part.lower for part in parts if part.lower is not None]
    return Bounds(and_(*upper) if upper else None, and_(*lower) if len(lower) == len(parts) else None)


def any_of(parts: Sequence[Bounds]) -> Bounds:
    """Return the bounds of rows that one of the parts keeps."""
    from sqlalchemy import or_

    upper = [part.upper for part in parts if part.upper is not None]
    lower = [part.lower for part in parts if part.lower is not None]
    return Bounds(or_(*upper) if len(upper) == len(parts) else None, or_(*lower) if lower else None)


def none_of(part: Bounds) -> Bounds:
    """Return the bounds of rows that the part does not keep; where it is unknown, it does not."""
    from sqlalchemy import false, func, not_

    def surely_not(clause: ColumnElement[bool] | None) -> ColumnElement[bool] | None:
        return None if clause is None else not_(func.coalesce(clause, false()))

    return Bounds(surely_not(part.lower), surely_not(part.upper))


def _bound(value: Any) -> Any:
    """Return a bound value without a type: some dialects would cast it to one, which the largest numbers do not fit."""
    from sqlalchemy import literal
    from sqlalchemy.types import NullType

    return literal(value, NullType())


_DUCKDB = {INTEGER, FLOAT, DECIMAL, TEXT, BOOLEAN, DATE, DATETIME}
"""Not times of day: DuckDB has three types of them that it does not compare with one another."""


def _duckdb(operator: Operator, kind: Kind, column: Any, values: Sequence[Any]) -> Bounds:
    from sqlalchemy import String, and_, cast, collate, func, not_, or_

    if kind not in _DUCKDB or operator.clause is None:
        return ALL
    if kind is TEXT:
        # an ENUM has an order of its own, a UUID or JSON is read as text, a column's collation may fold letters
        column = collate(cast(column, String), "BINARY")
    clause = operator.clause(column, [_bound(value) for value in values])
    if kind is FLOAT and operator.key == "is_null":
        clause = or_(clause, func.isnan(column))
        return Bounds(clause, clause)
    lower = and_(clause, not_(func.isnan(column))) if kind is FLOAT and operator.above else clause
    return Bounds(clause, lower if operator.exact else None)


_STORED: Mapping[str, Sequence[str]] = {
    INTEGER.name: ("integer", "null"),
    FLOAT.name: ("integer", "real", "null"),
    TEXT.name: ("text", "null"),
}
"""The storage classes of SQLite in which values of a kind are compared as they are here."""


def _sqlite(operator: Operator, kind: Kind, column: Any, values: Sequence[Any]) -> Bounds:
    from sqlalchemy import and_, collate, func, literal_column, or_

    numbers, texts_and_blobs = column < literal_column("''"), column >= literal_column("''")
    if kind in {DATE, DATETIME} and operator.key in _WINDOWS:
        first, last = _WINDOWS[operator.key](values)
        days = [column >= _bound(_days(first, -1))] if first is not None else []
        days += [column < _bound(_days(last, 2))] if last is not None else []
        return Bounds(or_(and_(*days), numbers), None)
    if operator.clause is None or kind.name not in _STORED or (kind is TEXT and operator.needs == "order"):
        return ALL
    if kind is FLOAT and any(abs(value) >= _EXACT_FLOAT for value in values):
        return ALL  # integers beyond it are compared exactly there, but read as rounded numbers
    asked = collate(column, "BINARY") if kind is TEXT and values else column
    clause = operator.clause(asked, [_bound(value) for value in values])
    others = (numbers, column >= literal_column("x''")) if kind is TEXT else (texts_and_blobs,)
    lower = and_(clause, func.typeof(column).in_(_STORED[kind.name]))
    return Bounds(or_(clause, *others), lower if operator.exact else None)


def _days(value: date, days: int) -> str:
    """Return the text of a day near a value: texts of times with any offset and separator compare rightly with it."""
    day = value.date() if isinstance(value, datetime) else value
    try:
        return str(day + days * _DAY)
    except OverflowError:
        return "0000" if days < 0 else ":"  # before and after every digit


_WINDOWS: Mapping[str, Callable[[Sequence[Any]], tuple[Any, Any]]] = {
    "eq": lambda v: (v[0], v[0]),
    "in": lambda v: (min(v), max(v)),
    "between": lambda v: (v[0], v[1]),
    "within": lambda v: (v[0], v[1]),
    "gt": lambda v: (v[0], None),
    "ge": lambda v: (v[0], None),
    "lt": lambda v: (None, v[0]),
    "le": lambda v: (None, v[0]),
}
"""The earliest and the latest value that an operator can find."""

_DIALECTS: Mapping[str, Callable[[Operator, Kind, Any, Sequence[Any]], Bounds]] = {
    "duckdb": _duckdb,
    "sqlite": _sqlite,
}


def compare(dialect: str, operator: Operator, kind: Kind, column: Any, values: Sequence[Any]) -> Bounds:
    """Return the bounds of one comparison of a column with values of its type."""
    asked = _DIALECTS.get(dialect)
    return ALL if asked is None or len(values) > MOST_VALUES else asked(operator, kind, column, values)
