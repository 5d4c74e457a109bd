"""Cron expressions of five fields: checked by name, and walked through days that are 23 or 25 hours long.

The fields are minute (0-59), hour (0-23), day of the month (1-31, ``L`` = the last), month (1-12, JAN-DEC) and weekday
(0-7, SUN-SAT; 0 and 7 are Sunday). A field is ``*``, a value, ``low-high``, a step ``/n`` on one of these, or a list of
such. Where both a day of the month and a weekday are given, either of them is enough.

Where the clocks change, runs fall as Dagster's scheduler lets them fall:

- every hour (``*`` in the hour field): by real hours, so a repeated one runs twice and a skipped one not at all;
- else a time that the clocks skip runs at the end of the gap (02:30 becomes 03:00),
- and a time that they repeat runs once, the second time.

Dagster differs by up to an hour, on such a day, in zones that change their clocks around midnight (America/Santiago) or
by half an hour (Australia/Lord_Howe).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from export_pipeline.errors import ConfigError, did_you_mean

MONTHS = tuple(calendar.month_abbr)[1:]
WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
HORIZON = 366 * 9
"""Days to look ahead for one run: the longest wait is from 29 February to the next, eight years around 2100."""


@dataclass(frozen=True)
class Field:
    """One of the five fields: its name, its range and the names that its values have."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str, cron: str) -> int:
        """Return the value that a number or a name stands for."""
        folded = [name.casefold() for name in self.names]
        if text.casefold() in folded:
            return folded.index(text.casefold()) + self.low
        if not re.fullmatch(r"[0-9]{1,3}", text):
            hint = did_you_mean(text, self.names) if self.names and text.isalpha() else f"valid: {self.low}-{self.high}"
            raise ConfigError(f"{text!r} is no {self.name} in the cron {cron!r} ({hint})")
        if not self.low <= int(text) <= self.high:
            raise ConfigError(
                f"{self.name} {text} in the cron {cron!r} is out of range (valid: {self.low}-{self.high})"
            )
        return int(text)

    def values(self, text: str, cron: str) -> set[int]:
        """Return the values of one item of the field's list."""
        span, slash, step_text = text.partition("/")
        if slash and not re.fullmatch(r"[0-9]{1,3}", step_text):
            raise ConfigError(f"the step {step_text!r} of the {self.name} in the cron {cron!r} is no number")
        step = int(step_text) if slash else 1
        if not 1 <= step <= self.high:
            raise ConfigError(
                f"a step of {step} does not fit the {self.name} in the cron {cron!r} (valid: 1-{self.high})",
                cure="A step starts again with each hour, day, month or year: a cron cannot say every 90 minutes.",
            )
        low_text, dash, high_text = span.partition("-")
        if span == "*":
            low, high = self.low, self.high
        elif dash:
            low, high = self.number(low_text, cron), self.number(high_text, cron)
            if low >= high:
                raise ConfigError(
                    f"the range {span!r} of the {self.name} in the cron {cron!r} does not run forwards",
                    cure="Write one that runs past the end as two: 22-23,0-5.",
                )
        else:
            low = self.number(span, cron)
            high = self.high if slash else low
        return set(range(low, high + 1, step))


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("weekday", 0, 7, WEEKDAYS),
)
DIALECTS = (
    (r".*#.*", "the nth weekday of a month ('#')"),
    (r"[0-9L]*W", "the nearest working day ('W')"),
    (r"H([(/].*)?", "a hashed value ('H')"),
    (r"R([(/].*)?", "a random value ('R')"),
    (r"L([0-9-].*)?|[0-9]L", "L other than alone, for the last day of the month,"),
)
"""What other dialects of cron know and this one does not: pattern of the value -> its name."""


@dataclass(frozen=True)
class Cron:
    """A checked cron expression."""

    text: str
    """Five fields, one space between them."""
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int]
    """Sunday is 0."""
    any_day: bool
    """The field of the day of the month says nothing (``*``)."""
    any_weekday: bool
    """The field of the weekday says nothing (``*``)."""

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Check a cron expression; raise ConfigError that names the field and the value at fault."""
        given = text.strip()
        if given.startswith("@"):
            if given.casefold() not in ALIASES:
                raise ConfigError(f"unknown cron {given!r} ({did_you_mean(given, ALIASES)})")
            given = ALIASES[given.casefold()]
        parts = given.split()
        if len(parts) in {6, 7}:
            raise ConfigError(
                f"the cron {given!r} has {len(parts)} fields: a schedule runs once a minute at most, without seconds",
                cure="Write five fields: minute hour day-of-month month weekday.",
            )
        if len(parts) != 5:
            raise ConfigError(
                f"the cron {given!r} has {len(parts)} fields instead of five",
                cure="Write minute hour day-of-month month weekday: '30 6 * * 1-5' is 06:30 from Monday to Friday.",
            )
        parts[2], parts[4] = ("*" if parts[place] == "?" else parts[place] for place in (2, 4))
        values: list[set[int]] = []
        texts: list[str] = []
        last_day = False
        for field, part in zip(FIELDS, parts, strict=True):
            found: set[int] = set()
            items: list[str] = []
            for item in part.split(","):
                if field.high == 31 and item.upper() == "L":
                    last_day = True
                    items.append("L")
                    continue
                _refuse_dialects(item, given)
                these = field.values(item, given)
                found |= these
                # Dagster's parser reads "59/5" as every fifth of all, and "1/1" as without the last: it gets the list
                items += map(str, sorted(these)) if re.match(r"[^*-]+/", item) else [item]
            values.append(found)
            texts.append(",".join(items))
        minutes, hours, days, months, weekdays = values
        weekdays = {day % 7 for day in weekdays}
        cron = cls(
            text=" ".join(texts),
            minutes=frozenset(minutes),
            hours=frozenset(hours),
            days=frozenset(days),
            last_day=last_day,
            months=frozenset(months),
            weekdays=frozenset(weekdays),
            any_day=_says_nothing(parts[2], parts[4], days, 31),
            any_weekday=_says_nothing(parts[4], parts[2], weekdays, 7),
        )
        longest = max(calendar.monthrange(2024, month)[1] for month in months)
        # beside a weekday, such a day is only idle; in February Dagster refuses it all the same
        if days and not last_day and min(days) > longest and (cron.any_weekday or months == {2}):
            raise ConfigError(
                f"the cron {given!r} waits for a day that never comes: {_month_names(months)} has no day {min(days)}",
                cure="Write L for the last day of the month.",
            )
        return cron

    @property
    def every_hour(self) -> bool:
        """Whether the runs go through every hour of the day."""
        return len(self.hours) == 24

    def times(self) -> Iterator[time]:
        """Yield the times of day at which it runs, in order."""
        return (time(hour, minute) for hour in sorted(self.hours) for minute in sorted(self.minutes))

    def on(self, day: date) -> bool:
        """Return whether it runs on this local day."""
        if day.month not in self.months:
            return False
        last = calendar.monthrange(day.year, day.month)[1]
        by_day = day.day in self.days or (self.last_day and day.day == last)
        by_weekday = day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return (self.any_day or by_day) and (self.any_weekday or by_weekday)
        return by_day or by_weekday

    def runs(self, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Yield the instants strictly after an aware instant, in order, in this zone; endless."""
        latest = after.astimezone(UTC)
        day = after.astimezone(zone).date() - timedelta(days=1)
        barren = 0
        while barren < HORIZON:
            barren += 1
            for instant in self._instants(day, zone) if self.on(day) else ():
                if instant > latest:
                    latest, barren = instant, 0
                    yield instant.astimezone(zone)
            day += timedelta(days=1)

    def _instants(self, day: date, zone: ZoneInfo) -> list[datetime]:
        """Return the UTC instants of the runs on a local day, in order."""
        found: set[datetime] = set()
        for moment in self.times():
            first = datetime.combine(day, moment, tzinfo=zone)
            before, later = first.astimezone(UTC), first.replace(fold=1).astimezone(UTC)
            if before == later:
                found.add(before)
            elif before < later:  # the clocks repeat this time
                found |= {before, later} if self.every_hour else {later}
            elif not self.every_hour:  # the clocks skip this time: the gap lies between its two readings
                found.add(_end_of_gap(later, before, zone))
        return sorted(found)


def _end_of_gap(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant at which the offset of a zone changes, between two UTC instants."""
    old = low.astimezone(zone).utcoffset()
    while high - low > timedelta(minutes=1):
        middle = (low + (high - low) / 2).replace(second=0, microsecond=0)
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == old else (low, middle)
    return high


def _says_nothing(part: str, other: str, values: set[int], full: int) -> bool:
    """Return whether one of the two fields of days restricts nothing; all values listed do so only beside a star."""
    return part == "*" or (len(values) == full and "*" in other)


def _refuse_dialects(item: str, cron: str) -> None:
    """Refuse by name what is a cron expression elsewhere."""
    for pattern, what in DIALECTS:
        if re.fullmatch(pattern, item.upper()):
            raise ConfigError(
                f"{what} is not supported: {item!r} in the cron {cron!r}",
                cure="Use values, ranges, lists, steps, and L as the day of the month for its last day.",
            )


def _month_names(months: set[int]) -> str:
    return " or ".join(calendar.month_name[month] for month in sorted(months))
