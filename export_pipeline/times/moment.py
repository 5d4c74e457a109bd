"""Dates as text by a moment.js pattern (``YYYY-MM-DD_HHmm``), for one date: file names and messages."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from export_pipeline.times.patterns import MONTHS, WEEKDAYS, parts_of


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _sunday(when: datetime) -> int:
    """Return the day of the week counted from Sunday, 0."""
    return when.isoweekday() % 7


def _week(when: datetime) -> tuple[int, int]:
    """Return year and week as English calendars count: weeks start on Sunday, week 1 holds January 1st."""
    left = 6 - _sunday(when)  # days to Saturday, which decides the year; December 31st, 9999 has none
    saturday = when.timetuple().tm_yday + left
    days = 366 if calendar.isleap(when.year) else 365
    return (when.year + 1, 1) if saturday > days else (when.year, (saturday + 6) // 7)


def _offset(when: datetime, colon: str) -> str:
    seconds = int((when.utcoffset() or timedelta()).total_seconds())
    hours, rest = divmod((abs(seconds) + 30) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02d}{colon}{rest:02d}"


def _hour12(when: datetime) -> int:
    return (when.hour + 11) % 12 + 1


def _half(when: datetime) -> str:
    return "AM" if when.hour < 12 else "PM"


def _milliseconds(when: datetime) -> int:
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


TEXT: Mapping[str, Callable[[datetime], str]] = {
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
    "YYYYYY": lambda t: f"+{t.year:06d}", "Y": lambda t: f"{t.year:04d}", "yo": lambda t: _ordinal(t.year),
    **{"y" * n: lambda t, n=n: f"{t.year:0{n}d}" for n in range(1, 5)},  # type: ignore[misc]
    **dict.fromkeys(("N", "NN", "NNN", "NNNNN"), lambda _: "AD"), "NNNN": lambda _: "Anno Domini",
    "gg": lambda t: f"{_week(t)[0] % 100:02d}", "gggg": lambda t: f"{_week(t)[0]:04d}",
    "ggggg": lambda t: f"{_week(t)[0]:05d}", "GG": lambda t: f"{t.isocalendar().year % 100:02d}",
    "GGGG": lambda t: f"{t.isocalendar().year:04d}", "GGGGG": lambda t: f"{t.isocalendar().year:05d}",
    "A": _half, "a": lambda t: _half(t).lower(),
    "H": lambda t: f"{t.hour}", "HH": lambda t: f"{t.hour:02d}", "h": lambda t: f"{_hour12(t)}",
    "hh": lambda t: f"{_hour12(t):02d}", "k": lambda t: f"{t.hour or 24}", "kk": lambda t: f"{t.hour or 24:02d}",
    "m": lambda t: f"{t.minute}", "mm": lambda t: f"{t.minute:02d}", "s": lambda t: f"{t.second}",
    "ss": lambda t: f"{t.second:02d}",
    "Hmm": lambda t: f"{t.hour}{t.minute:02d}", "Hmmss": lambda t: f"{t.hour}{t.minute:02d}{t.second:02d}",
    "hmm": lambda t: f"{_hour12(t)}{t.minute:02d}", "hmmss": lambda t: f"{_hour12(t)}{t.minute:02d}{t.second:02d}",
    "eHHmm": lambda t: f"{_sunday(t)}{t.hour:02d}{t.minute:02d}",
    "X": lambda t: f"{_milliseconds(t) // 1000}", "x": lambda t: f"{_milliseconds(t)}",
    "Z": lambda t: _offset(t, ":"), "ZZ": lambda t: _offset(t, ""),
    "z": lambda t: t.tzname() or "UTC",
    **{"S" * n: lambda t, n=n: f"{t.microsecond:06d}000"[:n] for n in range(1, 10)},  # type: ignore[misc]
}  # fmt: skip


def moment(pattern: str, when: datetime) -> str:
    """Return the date as the text that moment.js (locale en) makes of it; ``[text]`` in brackets is kept as it is.

    A date without a zone is read as UTC.

    Raises:
        ConfigError: The pattern has a token that is not supported (``zz``).

    >>> moment("YYYY-MM-DD [at] HH:mm", datetime(2026, 3, 1, 6, 5))
    '2026-03-01 at 06:05'
    """
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return "".join(TEXT[part.text](when) if part.is_token else part.text for part in parts_of(pattern))
