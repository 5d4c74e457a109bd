"""Dates as text by a moment.js pattern (``YYYY-MM-DD_HHmm``), for one date: file names and messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from export_pipeline.errors import ConfigError

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")

# The order of the alternatives is moment's own: the longest token that moment knows wins.
_TOKEN = re.compile(
    r"(\[[^\[]*\])|(\\)?([Hh]mm(?:ss)?|Mo|MM?M?M?|Do|DDDo|DD?D?D?|ddd?d?|do?|w[ow]?|W[oW]?|Qo?|N{1,5}|YYYYYY|YYYYY|YYYY|YY"
    r"|y{2,4}|yo?|gg(?:ggg?)?|GG(?:GGG?)?|e|E|a|A|hh?|HH?|kk?|mm?|ss?|S{1,9}|x|X|zz?|ZZ?|LTS|LT|LL?L?L?|l{1,4}|.)",
    re.DOTALL,
)
_LONG = {
    "LT": "h:mm A", "LTS": "h:mm:ss A", "L": "MM/DD/YYYY", "LL": "MMMM D, YYYY", "LLL": "MMMM D, YYYY h:mm A",
    "LLLL": "dddd, MMMM D, YYYY h:mm A", "l": "M/D/YYYY", "ll": "MMM D, YYYY", "lll": "MMM D, YYYY h:mm A",
    "llll": "ddd, MMM D, YYYY h:mm A",
}  # fmt: skip


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _sunday(when: datetime) -> int:
    """Return the day of the week counted from Sunday, 0."""
    return when.isoweekday() % 7


def _week(when: datetime) -> tuple[int, int]:
    """Return year and week as English calendars count: weeks start on Sunday, week 1 holds January 1st."""
    saturday = when.date() + timedelta(days=6 - _sunday(when))
    return saturday.year, (saturday.timetuple().tm_yday + 6) // 7


def _offset(when: datetime, colon: str) -> str:
    minutes = int((when.utcoffset() or timedelta()).total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{colon}{rest:02d}"


def _hour12(when: datetime) -> int:
    return (when.hour + 11) % 12 + 1


def _half(when: datetime) -> str:
    return "AM" if when.hour < 12 else "PM"


def _milliseconds(when: datetime) -> int:
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


_TEXT: Mapping[str, Callable[[datetime], str]] = {
    "M": lambda t: f"{t.month}", "MM": lambda t: f"{t.month:02d}", "Mo": lambda t: _ordinal(t.month),
    "MMM": lambda t: MONTHS[t.month - 1][:3], "MMMM": lambda t: MONTHS[t.month - 1],
    "Q": lambda t: f"{(t.month + 2) // 3}", "Qo": lambda t: _ordinal((t.month + 2) // 3),
    "D": lambda t: f"{t.day}", "DD": lambda t: f"{t.day:02d}", "Do": lambda t: _ordinal(t.day),
    "DDD": lambda t: f"{t.timetuple().tm_yday}", "DDDD": lambda t: f"{t.timetuple().tm_yday:03d}",
    "DDDo": lambda t: _ordinal(t.timetuple().tm_yday),
    "d": lambda t: f"{_sunday(t)}", "do": lambda t: _ordinal(_sunday(t)), "e": lambda t: f"{_sunday(t)}",
    "dd": lambda t: WEEKDAYS[_sunday(t)][:2], "ddd": lambda t: WEEKDAYS[_sunday(t)][:3],
    "dddd": lambda t: WEEKDAYS[_sunday(t)], "E": lambda t: f"{t.isoweekday()}",
    "w": lambda t: f"{_week(t)[1]}", "ww": lambda t: f"{_week(t)[1]:02d}", "wo": lambda t: _ordinal(_week(t)[1]),
    "W": lambda t: f"{t.isocalendar().week}", "WW": lambda t: f"{t.isocalendar().week:02d}",
    "Wo": lambda t: _ordinal(t.isocalendar().week),
    "YY": lambda t: f"{t.year % 100:02d}", "YYYY": lambda t: f"{t.year:04d}", "YYYYY": lambda t: f"{t.year:05d}",
    "YYYYYY": lambda t: f"+{t.year:06d}", "y": lambda t: f"{t.year}", "yo": lambda t: _ordinal(t.year),
    "gg": lambda t: f"{_week(t)[0] % 100:02d}", "gggg": lambda t: f"{_week(t)[0]:04d}",
    "GG": lambda t: f"{t.isocalendar().year % 100:02d}", "GGGG": lambda t: f"{t.isocalendar().year:04d}",
    "A": _half, "a": lambda t: _half(t).lower(),
    "H": lambda t: f"{t.hour}", "HH": lambda t: f"{t.hour:02d}", "h": lambda t: f"{_hour12(t)}",
    "hh": lambda t: f"{_hour12(t):02d}", "k": lambda t: f"{t.hour or 24}", "kk": lambda t: f"{t.hour or 24:02d}",
    "m": lambda t: f"{t.minute}", "mm": lambda t: f"{t.minute:02d}", "s": lambda t: f"{t.second}",
    "ss": lambda t: f"{t.second:02d}",
    "Hmm": lambda t: f"{t.hour}{t.minute:02d}", "Hmmss": lambda t: f"{t.hour}{t.minute:02d}{t.second:02d}",
    "hmm": lambda t: f"{_hour12(t)}{t.minute:02d}", "hmmss": lambda t: f"{_hour12(t)}{t.minute:02d}{t.second:02d}",
    "X": lambda t: f"{_milliseconds(t) // 1000}", "x": lambda t: f"{_milliseconds(t)}",
    "Z": lambda t: _offset(t, ":"), "ZZ": lambda t: _offset(t, ""),
    **{"S" * n: lambda t, n=n: f"{t.microsecond:06d}000"[:n] for n in range(1, 10)},  # type: ignore[misc]
}  # fmt: skip


def moment(pattern: str, when: datetime) -> str:
    """Return the date as the text that moment.js (locale en) makes of it; ``[text]`` in brackets is kept as it is.

    A date without a zone is read as UTC.

    Raises:
        ConfigError: The pattern has a token whose meaning depends on a locale or an era (``z``, ``N``, ``ggggg``).

    >>> moment("YYYY-MM-DD [at] HH:mm", datetime(2026, 3, 1, 6, 5))
    '2026-03-01 at 06:05'
    """
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    out: list[str] = []
    for bracketed, escaped, token in _TOKEN.findall(pattern):
        if bracketed:
            out.append(bracketed[1:-1])
        elif escaped:
            out.append(token)
        elif token in _LONG:
            out.append(moment(_LONG[token], when))
        elif token in _TEXT:
            out.append(_TEXT[token](when))
        elif set(token) <= set("NzgGy"):
            raise ConfigError(
                f"the date token {token!r} in {pattern!r} is not supported",
                cure="write text in brackets: [text]; years are YYYY, offsets Z",
            )
        else:
            out.append(token)
    return "".join(out)
