"""Ranges of time, absolute or relative to a logical time: ``2026-03-01``, ``-7d``, ``7 days``, ``previous month``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.options import snake
from export_pipeline.times.durations import unit_of
from export_pipeline.times.zones import to_utc


class Range(NamedTuple):
    """A stretch of time that holds its start and not its end; both are instants in UTC. No start: since ever."""

    start: datetime | None
    end: datetime


@dataclass(frozen=True)
class RangeSpec:
    """A range as it is written: a named `period`, the `last` complete units, or a `start` and an `end`."""

    period: str | None = None
    last: str | None = None
    start: str | None = None
    end: str | None = None


def _months_after(day: date, months: int) -> date:
    """Return the same day of a later or earlier month, the last day of that month where it has no such day."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    try:
        following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
        return date(year, month + 1, min(day.day, (following - timedelta(days=1)).day))
    except ValueError:
        raise ConfigError(f"{months} months from {day} is outside the years 1 to 9999") from None


def _days_after(day: date, days: int) -> date:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        raise ConfigError(f"{days} days from {day} is outside the years 1 to 9999") from None


class _Calendar(NamedTuple):
    """A calendar unit: the first day of the one that holds a day, and the day that lies so many of them later."""

    first: Callable[[date], date]
    after: Callable[[date, int], date]


_CALENDAR: Mapping[str, _Calendar] = {
    "day": _Calendar(lambda day: day, _days_after),
    "week": _Calendar(lambda day: day - timedelta(days=day.weekday()), lambda day, n: _days_after(day, 7 * n)),
    "month": _Calendar(lambda day: day.replace(day=1), _months_after),
    "quarter": _Calendar(
        lambda day: day.replace(month=day.month - (day.month - 1) % 3, day=1), lambda day, n: _months_after(day, 3 * n)
    ),
    "year": _Calendar(lambda day: day.replace(month=1, day=1), lambda day, n: _months_after(day, 12 * n)),
}
_CLOCK = {unit: timedelta(**{f"{unit}s": 1}) for unit in ("second", "minute", "hour")}

PERIODS: Mapping[str, tuple[str, int]] = {
    "today": ("day", 0),
    "yesterday": ("day", -1),
    **{f"this {unit}": (unit, 0) for unit in list(_CALENDAR)[1:]},
    **{f"previous {unit}": (unit, -1) for unit in list(_CALENDAR)[1:]},
}
"""The named periods: the calendar unit, and how many of it before the one that holds the logical time."""

_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?\s*(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_STEP = re.compile(r"([+-])\s*(\d{1,12})\s*([A-Za-z]+)", re.ASCII)
_LAST = re.compile(r"(\d{1,12})\s*([A-Za-z]+)", re.ASCII)
_CURE = "write a date (2026-03-01), a time (2026-03-01T06:00), a step back (-7d), now, or a named period (today)"


def period_name(text: str) -> str:
    """Return the spelling of `PERIODS` for ``previous_month``, ``previousMonth`` or ``last month``; else the text."""
    name = " ".join(snake(text.strip()).replace("_", " ").replace("-", " ").split())
    return re.sub(r"^last (?=[a-z]+$)", "previous ", name)


def is_absolute(text: str) -> bool:
    """Return whether a text is a date or a time, which means the same at every logical time."""
    return _ISO.fullmatch(text.strip()) is not None


def _local(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip().replace(" ", "T", 1).replace(" ", ""))
    except ValueError as error:
        raise ConfigError(f"{text!r} is no date or time: {error}") from None


def parse_instant(text: str | date, logical_time: datetime, where: ZoneInfo) -> datetime:
    """Return the instant, in UTC, that a text names.

    A date is its local midnight; a time without an offset is local. ``now`` is the logical time, ``-7d`` the same local
    time seven days before it, ``-6h`` six hours before it, a named period (``today``, ``previous month``) its start.
    """
    if isinstance(text, date):
        return to_utc(text, where)
    word = text.strip()
    if is_absolute(word):
        return to_utc(_local(word), where)
    if word.lower() == "now":
        return logical_time.astimezone(UTC)
    if step := _STEP.fullmatch(word):
        count, unit = int(step[1] + step[2]), unit_of(step[3], text)
        if unit in _CLOCK:
            return _clock_after(logical_time, unit, count)
        local = logical_time.astimezone(where)
        day = _CALENDAR[unit].after(local.date(), count)
        return to_utc(datetime.combine(day, local.time()), where) if count else logical_time.astimezone(UTC)
    name = period_name(word)
    if name in PERIODS:
        start, _end = _period(name, logical_time, where)
        return start
    raise ConfigError(f"{text!r} is no date, time or step ({did_you_mean(name, PERIODS)})", cure=_CURE)


def _clock_after(when: datetime, unit: str, count: int) -> datetime:
    try:
        return when.astimezone(UTC) + _CLOCK[unit] * count
    except OverflowError:
        raise ConfigError(f"{count} {unit}s from {when.isoformat()} is outside the years 1 to 9999") from None


def _calendar(unit: str, before: int, count: int, when: datetime, where: ZoneInfo) -> tuple[datetime, datetime]:
    """Return `count` whole units; the first one lies `before` units before the one that holds `when`."""
    calendar = _CALENDAR[unit]
    first = calendar.after(calendar.first(when.astimezone(where).date()), -before)
    return to_utc(first, where), to_utc(calendar.after(first, count), where)


def _period(name: str, when: datetime, where: ZoneInfo) -> tuple[datetime, datetime]:
    unit, offset = PERIODS[name]
    return _calendar(unit, -offset, 1, when, where)


def _last(text: str, when: datetime, where: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the last complete units: ``7 days`` end at the logical time's midnight, ``24 hours`` at its full hour."""
    found = _LAST.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"last: {text!r} is no length of time", cure="write a number and a unit: 7 days, 24 hours")
    count, unit = int(found[1]), unit_of(found[2], text)
    if count == 0:
        raise ConfigError(f"last: {text!r} is empty", cure="write today, or a number above 0")
    if unit in _CALENDAR:
        return _calendar(unit, count, count, when, where)
    local = when.astimezone(where)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    end = when.astimezone(UTC) - past % _CLOCK[unit]
    return _clock_after(end, unit, -count), end


def resolve_range(spec: RangeSpec, logical_time: datetime, where: ZoneInfo) -> Range:
    """Return the absolute range that a spec means at a logical time, in a zone.

    A named period is whole (``this month`` ends where the next one starts). Without an end it ends at the logical time.

    Raises:
        ConfigError: The spec names no range, or one that ends before it starts.
    """
    if logical_time.tzinfo is None:
        logical_time = logical_time.replace(tzinfo=UTC)
    if spec.period is not None:
        name = period_name(spec.period)
        if name not in PERIODS:
            raise ConfigError(f"unknown period {spec.period!r} ({did_you_mean(name, PERIODS)})")
        return Range(*_period(name, logical_time, where))
    if spec.last is not None:
        return Range(*_last(spec.last, logical_time, where))
    end = parse_instant(spec.end if spec.end is not None else "now", logical_time, where)
    if spec.start is None:
        return Range(None, end)
    start = parse_instant(spec.start, logical_time, where)
    if start > end:
        raise ConfigError(
            f"the range from {spec.start} to {spec.end or 'now'} ends ({format_instant(end)}) "
            f"before it starts ({format_instant(start)})"
        )
    return Range(start, end)


def first_day(when: datetime, where: ZoneInfo) -> date:
    """Return the first local day that begins at an instant or after it."""
    day = when.astimezone(where).date()
    return day if to_utc(day, where) >= when else _days_after(day, 1)


def format_instant(when: datetime) -> str:
    """Return an instant as ISO 8601 text in UTC: ``2026-03-01T05:00:00Z``."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _written(value: object) -> object:
    """Check the text of an instant as far as it can be without a logical time; dates and times become text."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return format_instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        parse_instant(value, datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))
    return value


Instant = Annotated[str, BeforeValidator(_written)]
"""A field that holds the text of an instant (`parse_instant`), absolute or relative; checked when it is read."""
