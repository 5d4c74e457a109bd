"""The operators of ``where``, one row each.

Adding an operator is adding a row; validation, JSON Schema, sentences, the engines and the pushdown follow. A row
without an SQL clause is not pushed down; the whole filter is applied again to what was read anyway.
"""

from __future__ import annotations

import operator as python
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.filters.kinds import FLOAT, Kind, Rounding
from export_pipeline.options import snake

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

Takes = Literal["one", "many", "two", "pattern", "nothing"]


@dataclass(frozen=True)
class Operands:
    """The values beside an operator, in the column's type."""

    kind: Kind
    values: Sequence[Any]
    literals: Sequence[Any]
    """The same values as the engine wants them: plain, or typed literals."""


@dataclass(frozen=True)
class Operator:
    """One way to compare a column with values."""

    key: str
    label: str
    """What a menu shows."""
    words: str
    """The English sentence."""
    takes: Takes
    needs: str
    """What the column must be able to do (`Kind.traits`); empty: nothing."""
    express: Callable[[nw.Expr, Operands], nw.Expr]
    clause: Callable[[Any, Sequence[Any]], ColumnElement[bool]] | None = None
    """The SQL clause for a column and bound values. None: not pushed down."""
    exact: bool = True
    """Whether the clause selects the same rows; if not, it selects more."""
    above: bool = False
    """Whether engines, which place NaN above all numbers, would find it with this operator."""
    rounds: tuple[Rounding, ...] = (None,)
    """Where a value goes that lies between two of the column, for each operand."""
    also: tuple[str, ...] = ()
    """Other accepted spellings."""
    join: str = " or "
    """The word between several values in the sentence."""
    single: str = ""
    """The sentence where a list holds only one value."""
    folded: bool = False
    """Whether capitals and small letters are the same."""


def _among(column: nw.Expr, operands: Operands) -> nw.Expr:
    # A list has one type for all its values: times of another zone or unit in it would silently never be found.
    if operands.literals is operands.values:
        return column.is_in(list(operands.values))
    return nw.any_horizontal(*[column == literal for literal in operands.literals], ignore_nulls=False)


def _missing(column: nw.Expr, operands: Operands) -> nw.Expr:
    return column.is_null() | column.is_nan() if operands.kind is FLOAT else column.is_null()


def _instr(column: Any, text: Any) -> Any:
    from sqlalchemy import func

    return func.instr(column, text)


def _sql_within(column: Any, values: Sequence[Any]) -> Any:
    from sqlalchemy import and_

    return and_(column >= values[0], column < values[1])


def _sql_not_in(column: Any, values: Sequence[Any]) -> Any:
    from sqlalchemy import and_

    return and_(*[column != value for value in values])


def _sql_in(column: Any, values: Sequence[Any]) -> Any:
    return column.in_(list(values))


def _compare(key: str, sign: str, label: str, rounding: Rounding, above: bool, *also: str) -> Operator:
    test: Callable[[Any, Any], Any] = getattr(python, key)
    return Operator(
        key,
        label,
        f"{{field}} {sign} {{value}}",
        "one",
        "order",
        lambda c, o: test(c, o.literals[0]),
        lambda c, v: test(c, v[0]),
        rounds=(rounding,),
        above=above,
        also=(sign, *also),
    )


_PLAIN = (
    Operator(
        "eq", "is", "{field} is {value}", "one", "equal",
        lambda c, o: c == o.literals[0], lambda c, v: c == v[0],
        also=("=", "==", "is", "equals"),
    ),
    Operator(
        "ne", "is not", "{field} is not {value}", "one", "equal",
        lambda c, o: c != o.literals[0], lambda c, v: c != v[0],
        above=True, also=("!=", "<>", "neq", "is_not", "not_equals"),
    ),
    _compare("gt", ">", "is greater than", "down", True, "after", "greater_than"),
    _compare("ge", ">=", "is at least", "up", True, "gte", "at_least"),
    _compare("lt", "<", "is less than", "up", False, "before", "less_than"),
    _compare("le", "<=", "is at most", "down", False, "lte", "at_most"),
    Operator(
        "in", "is one of", "{field} is {value}", "many", "equal",
        _among, _sql_in,
        also=("one_of", "any_of"),
    ),
    Operator(
        "not_in", "is none of", "{field} is neither {value}", "many", "equal",
        lambda c, o: ~_among(c, o), _sql_not_in,
        above=True, also=("nin", "none_of"), join=" nor ", single="{field} is not {value}",
    ),
    Operator(
        "between", "is between", "{field} is between {value}", "two", "order",
        lambda c, o: (c >= o.literals[0]) & (c <= o.literals[1]), lambda c, v: c.between(*v),
        rounds=("up", "down"), join=" and ",
    ),
    Operator(
        "within", "is from, and before", "{field} is from {value}", "two", "order",
        lambda c, o: (c >= o.literals[0]) & (c < o.literals[1]), _sql_within,
        rounds=("up", "up"), join=" and before ",
    ),
    Operator(
        "contains", "contains", "{field} contains {value}", "one", "text",
        lambda c, o: c.str.contains(o.values[0], literal=True), lambda c, v: _instr(c, v[0]) > 0,
        also=("includes",),
    ),
    Operator(
        "not_contains", "does not contain", "{field} does not contain {value}", "one", "text",
        lambda c, o: ~c.str.contains(o.values[0], literal=True), lambda c, v: _instr(c, v[0]) == 0,
        also=("does_not_contain",),
    ),
    Operator(
        "starts_with", "starts with", "{field} starts with {value}", "one", "text",
        lambda c, o: c.str.starts_with(o.values[0]), lambda c, v: _instr(c, v[0]) == 1,
        also=("startswith", "prefix"),
    ),
    Operator(
        "ends_with", "ends with", "{field} ends with {value}", "one", "text",
        lambda c, o: c.str.ends_with(o.values[0]), lambda c, v: _instr(c, v[0]) > 0, exact=False,
        also=("endswith", "suffix"),
    ),
)  # fmt: skip

_FOLDED = tuple(
    replace(
        row,
        key=f"i{row.key}",
        label=f"{row.label} (any case)",
        words=f"{row.words} in any case",
        single=f"{row.single} in any case" if row.single else "",
        needs="text",
        clause=None,  # databases fold letters by rules of their own
        folded=True,
        also=(),
    )
    for row in _PLAIN
    if row.key not in {"gt", "ge", "lt", "le", "between", "within"}
)

_PATTERNS = (
    Operator(
        "matches", "matches the pattern", "{field} matches {value}", "pattern", "text",
        lambda c, o: c.str.contains(o.values[0]),
        also=("regex", "regexp", "=~", "~"),
    ),
    Operator(
        "imatches", "matches the pattern (any case)", "{field} matches {value} in any case", "pattern", "text",
        lambda c, o: c.str.contains(f"(?i){o.values[0]}"),
    ),
)  # fmt: skip

_PRESENCE = (
    Operator(
        "is_null", "is missing", "{field} is missing", "nothing", "",
        _missing, lambda c, _: c.is_(None),
        also=("null", "is_missing", "is_empty"),
    ),
    Operator(
        "is_not_null", "is present", "{field} is present", "nothing", "",
        lambda c, o: ~_missing(c, o), lambda c, _: c.is_not(None),
        above=True, also=("not_null", "is_present", "exists"),
    ),
)  # fmt: skip

OPERATORS: Mapping[str, Operator] = {row.key: row for row in (*_PLAIN, *_FOLDED, *_PATTERNS, *_PRESENCE)}
"""Every operator by its key."""

SPELLINGS: Mapping[str, str] = {word: row.key for row in OPERATORS.values() for word in (row.key, *row.also)}
"""Every accepted spelling of an operator."""


def operator_named(name: str) -> Operator:
    """Return the operator of this name or sign.

    Raises:
        ConfigError: There is none; the nearest name is suggested.
    """
    key = SPELLINGS.get(name) or SPELLINGS.get(snake(name.strip()).replace(" ", "_").replace("-", "_"))
    if key is None:
        raise ConfigError(f"unknown operator {name!r} ({did_you_mean(name, OPERATORS)})")
    return OPERATORS[key]
