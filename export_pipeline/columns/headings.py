"""Values as names of columns: readable, the same for the same values, and never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal

import polars as pl

NULL = "(null)"
EMPTY = "(empty)"


def headings(found: pl.DataFrame) -> list[str]:
    """Return the text of each row of values; the texts of several columns are joined by ``_``."""
    columns = [_texts(found[name].to_list()) for name in found.columns]
    return ["_".join(parts) for parts in zip(*columns, strict=True)]


def unique(names: Iterable[str], *, taken: Iterable[str] = ()) -> list[str]:
    """Return the names, with `` (2)``, `` (3)`` ... behind those that an earlier one or a taken one has.

    >>> unique(["a", "b", "a"], taken=["b"])
    ['a', 'b (2)', 'a (2)']
    """
    names = list(names)
    used = set(taken)
    out: list[str] = []
    for place, name in enumerate(names):
        free, count = name, 1
        # A name with a number must not take away one that a later value has by itself.
        while free in used or (count > 1 and free in names[place + 1 :]):
            count += 1
            free = f"{name} ({count})"
        used.add(free)
        out.append(free)
    return out


def _texts(values: Sequence[object]) -> list[str]:
    moments = [value for value in values if isinstance(value, datetime)]
    say = _moments(moments) if moments else _text
    return [NULL if value is None else say(value) or EMPTY for value in values]


def _text(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value)
        case Decimal():
            return f"{value:f}"
        case bytes():
            return value.hex()
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)


def _moments(moments: Sequence[datetime]) -> Callable[[object], str]:
    """Return how all of these moments are written: no longer than needed, with the offset where two look alike."""
    form = "%Y-%m-%d %H:%M:%S.%f"
    if all(moment.time() == time() for moment in moments):
        form = "%Y-%m-%d"
    elif not any(moment.second or moment.microsecond for moment in moments):
        form = "%Y-%m-%d %H:%M"
    elif not any(moment.microsecond for moment in moments):
        form = "%Y-%m-%d %H:%M:%S"
    # Two moments of one zone are equal to Python if the clock shows the same, also where it was put back in between.
    if len({moment.strftime(form) for moment in moments}) < len({(moment, moment.utcoffset()) for moment in moments}):
        form += "%z"
    return lambda value: value.strftime(form) if isinstance(value, datetime) else ""
