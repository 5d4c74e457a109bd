"""Small frames of every type and random filters for them, with an evaluator in plain Python that shares no code."""

from __future__ import annotations

import functools
import math
import re
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import strategies as st

BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EQUAL = ["eq", "ne", "in", "not_in"]
ORDER = ["gt", "ge", "lt", "le", "between", "within"]
TEXT = ["contains", "not_contains", "starts_with", "ends_with", "matches", "imatches"]
FOLDED = ["ieq", "ine", "iin", "inot_in", "icontains", "inot_contains", "istarts_with", "iends_with"]
NULLS = ["is_null", "is_not_null"]


def single(value: float) -> float:
    """Return a number as 32 bits hold it."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def utc(value: datetime) -> int:
    """Return nanoseconds since 1970, by which points in time are compared exactly."""
    value = value if value.tzinfo else value.replace(tzinfo=UTC)
    return (value - EPOCH) // timedelta(microseconds=1) * 1000


@dataclass(frozen=True)
class Column:
    """A column: its type, the values it may hold, what filters may ask for, and how both compare."""

    dtype: pl.DataType
    values: Sequence[Any]
    asked: Sequence[Any]
    between: Sequence[Any] = ()
    """Values that lie between those that the column can hold: only order can be asked for."""
    operators: Sequence[str] = (*EQUAL, *ORDER, *NULLS)
    held: Callable[[Any], Any] = lambda value: value
    """A value as the column holds it, comparable with `wanted`."""
    wanted: Callable[[Any], Any] = lambda value: value


def local(value: datetime) -> int:
    """Return what a time in a filter means: local in the export's zone, if it has no offset."""
    return utc(value if value.tzinfo else value.replace(tzinfo=BERLIN))


_WORDS = ["", "a", "A", "ab", "aB", "b", "ba", "é", "É", "a%b", "a_b", "ß", "K", "5", "05", "Straße", "a\0b"]
_TIMES = [datetime(2026, 10, 24, 23, 59, 59, 999_000), datetime(2026, 10, 25, 0, 30), datetime(2026, 10, 25, 1, 30),
          datetime(2026, 3, 29, 1), datetime(1969, 12, 31, 23), datetime(2026, 1, 1)]  # fmt: skip
_ZONED = [value.replace(tzinfo=UTC) for value in _TIMES]
_ASKED = [*_ZONED, *_TIMES, datetime(2026, 3, 29, 2, 30)]

COLUMNS: Mapping[str, Column] = {
    "big": Column(pl.Int64(), [-(2**63), -1, 0, 1, 2, 2**53 + 1], [-1, 0, 1, 2, 2**53, 2**53 + 1], [0.5, -0.5]),
    "small": Column(pl.UInt8(), [0, 1, 2, 254, 255], [0, 1, 2, 254, 255], [1.5]),
    "huge": Column(pl.UInt64(), [0, 1, 2**63, 2**64 - 1], [0, 1, 2**63, 2**64 - 1]),
    "double": Column(pl.Float64(), [math.nan, -math.inf, -1.5, 0.0, 0.1, 1.0, 1e300, math.inf],
                     [-1.5, 0, 0.1, 1, 1e300, math.inf, -math.inf]),
    "single": Column(pl.Float32(), [math.nan, -math.inf, -1.5, 0.0, 0.1, 1.0, math.inf],
                     [-1.5, 0, 0.1, 1, 0.10000001, math.inf], held=single, wanted=single),
    "money": Column(pl.Decimal(10, 2), [Decimal("-1.50"), Decimal("0.00"), Decimal("0.10"), Decimal("99999999.99")],
                    [Decimal("-1.5"), 0, 0.1, "0.10", Decimal("99999999.99")], [Decimal("0.095"), "-1.501"],
                    wanted=lambda value: Decimal(str(value))),
    "text": Column(pl.String(), _WORDS, _WORDS, operators=(*EQUAL, *ORDER, *TEXT, *FOLDED, *NULLS)),
    "label": Column(pl.Categorical(), _WORDS, _WORDS, operators=(*EQUAL, *ORDER, *TEXT, *FOLDED, *NULLS)),
    "state": Column(pl.Enum(["b", "a", "B"]), ["b", "a", "B"], ["a", "b", "B", "zz"],
                    operators=(*EQUAL, *ORDER, *TEXT, *FOLDED, *NULLS)),
    "flag": Column(pl.Boolean(), [True, False], [True, False, "true"], operators=(*EQUAL, *NULLS),
                   wanted=lambda value: value is True or value == "true"),
    "day": Column(pl.Date(), [date(2026, 3, 29), date(2026, 3, 30), date(1969, 12, 31), date(1, 1, 1)],
                  [date(2026, 3, 29), "2026-03-30", date(9999, 12, 31)],
                  held=str, wanted=str),
    "naive": Column(pl.Datetime("us"), _TIMES, _ASKED, held=utc, wanted=local),
    "zoned": Column(pl.Datetime("us", "Europe/Berlin"), _ZONED, _ASKED, held=utc, wanted=local),
    "coarse": Column(pl.Datetime("ms", "UTC"), _ZONED, _ASKED, [datetime(2026, 10, 25, 0, 30, 0, 500)],
                     held=utc, wanted=local),
    "fine": Column(pl.Datetime("ns"), [utc(_TIMES[1]), utc(_TIMES[1]) + 1, utc(_TIMES[2]) - 1, -1], _ASKED,
                   wanted=local),
    "clock": Column(pl.Time(), [time(0), time(6, 30), time(23, 59, 59, 999_999)], [time(6, 30), "06:30:00", time(23)],
                    held=lambda value: value.isoformat(),
                    wanted=lambda value: value.isoformat() if isinstance(value, time) else value),
    "length": Column(pl.Duration("us"), [timedelta(), timedelta(minutes=5), -timedelta(hours=1)],
                     [timedelta(minutes=5), "300s", -timedelta(hours=1)],
                     wanted=lambda value: timedelta(minutes=5) if value == "300s" else value),
    "nothing": Column(pl.Null(), [None], [1, "a"], operators=(*EQUAL, *ORDER, *TEXT, *NULLS)),
    "raw": Column(pl.Binary(), [b"", b"a"], [], operators=NULLS),
}  # fmt: skip

PATTERNS = ["^a", "b$", "[ab]+", "^$", "a.b", "%", r"\d", "ß|é"]


def frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the rows as a frame of all columns, with their number."""
    series = []
    for name, column in COLUMNS.items():
        values = [row[name] for row in rows]
        if name == "fine":
            series.append(pl.Series(name, values, dtype=pl.Int64).cast(column.dtype))
        else:
            series.append(pl.Series(name, values, dtype=column.dtype))
    return pl.DataFrame([pl.Series("row", list(range(len(rows))), dtype=pl.Int64), *series])


def rows(names: Collection[str], least: int = 1) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return lists of rows with values in these columns; about every fifth one is missing."""
    one = {name: st.sampled_from([*COLUMNS[name].values] * 4 + [None] * len(COLUMNS[name].values)) for name in names}
    empty = dict.fromkeys(COLUMNS)
    return st.lists(st.fixed_dictionaries(one).map(lambda row: empty | row), min_size=least, max_size=12)


@functools.cache
def values_for(name: str, operator: str) -> Sequence[Any]:
    """Return values that a column may be compared with by an operator, each in some form."""
    column = COLUMNS[name]
    if operator in NULLS:
        return [None]
    if operator in {"matches", "imatches"}:
        return PATTERNS
    asked = [*column.asked, *(column.between if operator in ORDER else ())]
    if operator in {"between", "within"}:
        order = column.wanted if name != "nothing" else str
        return [[low, high] for low in asked[:6] for high in asked[:6] if order(low) <= order(high)]
    if operator in {"in", "not_in", "iin", "inot_in"}:
        return [[asked[0]], asked[:2], asked[1:], asked[-1]]
    return asked


@st.composite
def comparisons(draw: st.DrawFn, names: Sequence[str]) -> dict[str, Any]:
    """Return ``{where: ...}`` with values that the column can be compared with."""
    name = draw(st.sampled_from(names))
    operator = draw(st.sampled_from(COLUMNS[name].operators))
    given = {"field": name, "operator": operator}
    return {
        "where": given if operator in NULLS else given | {"value": draw(st.sampled_from(values_for(name, operator)))}
    }


@functools.cache
def filters(names: tuple[str, ...] = tuple(COLUMNS)) -> st.SearchStrategy[Any]:
    """Return filters as they are written in files, nested."""
    return st.recursive(
        comparisons(names),
        lambda inner: st.one_of(
            st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=3)),
            st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=3)),
            st.builds(lambda part: {"not": part}, inner),
        ),
        max_leaves=6,
    )


def columns_of(given: Mapping[str, Any]) -> set[str]:
    """Return the columns of a written filter."""
    ((tag, body),) = given.items()
    if tag == "where":
        return {body["field"]}
    return set().union(*map(columns_of, body if isinstance(body, list) else [body]))


def operators_of(given: Mapping[str, Any]) -> list[str]:
    """Return the operators of a written filter."""
    ((tag, body),) = given.items()
    if tag == "where":
        return [body["operator"]]
    return [key for part in (body if isinstance(body, list) else [body]) for key in operators_of(part)]


@st.composite
def cases(draw: st.DrawFn, names: Sequence[str] = tuple(COLUMNS)) -> tuple[Any, list[dict[str, Any]]]:
    """Return a written filter, and rows with values in its columns."""
    written = draw(filters(tuple(names)))
    return written, draw(rows(sorted(columns_of(written))))


_TESTS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": lambda x, v: x == v,
    "ne": lambda x, v: x != v,
    "gt": lambda x, v: x > v,
    "ge": lambda x, v: x >= v,
    "lt": lambda x, v: x < v,
    "le": lambda x, v: x <= v,
    "in": lambda x, v: x in v,
    "not_in": lambda x, v: x not in v,
    "between": lambda x, v: v[0] <= x <= v[1],
    "within": lambda x, v: v[0] <= x < v[1],
    "contains": lambda x, v: v in x,
    "not_contains": lambda x, v: v not in x,
    "starts_with": lambda x, v: x.startswith(v),
    "ends_with": lambda x, v: x.endswith(v),
    "matches": lambda x, v: re.search(v, x, re.UNICODE) is not None,
}


def keeps(given: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Return whether a filter keeps a row: what is unknown is false."""
    ((tag, body),) = given.items()
    if tag == "and":
        return all(keeps(part, row) for part in body)
    if tag == "or":
        return any(keeps(part, row) for part in body)
    if tag == "not":
        return not keeps(body, row)
    operator, held, column = body["operator"], row[body["field"]], COLUMNS[body["field"]]
    missing: bool = held is None or (isinstance(held, float) and math.isnan(held))
    if operator in NULLS:
        return missing is (operator == "is_null")
    if missing:
        return False
    held, asked = column.held(held), body["value"]
    if operator == "imatches":
        return bool(re.search(asked, held, re.IGNORECASE))
    asked = [asked] if operator.endswith("in") and not isinstance(asked, list) else asked
    wanted = [column.wanted(value) for value in asked] if isinstance(asked, list) else column.wanted(asked)
    if operator in FOLDED:
        held = held.lower()
        wanted = [value.lower() for value in wanted] if isinstance(wanted, list) else wanted.lower()
    return bool(_TESTS[operator.removeprefix("i") if operator in FOLDED else operator](held, wanted))
