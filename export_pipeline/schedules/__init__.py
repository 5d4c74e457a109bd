"""When an export runs by itself: a schedule in plain words, and the cron expression that it is.

>>> Schedule(frequency="weekly", on=["monday", "thursday"], at="06:30").cron()
'30 6 * * 1,4'
>>> Schedule.model_validate({"cron": "*/15 8-17 * * MON-FRI"}).sentence()
'by the cron */15 8-17 * * MON-FRI'

What happens where the clocks change is told in `export_pipeline.schedules.cron`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, time
from itertools import islice
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from export_pipeline.errors import did_you_mean
from export_pipeline.options import ALSO, Options, any_case
from export_pipeline.schedules.cron import Cron

_Frequency = Literal["hourly", "daily", "weekly", "monthly", "custom"]
FREQUENCIES: tuple[str, ...] = get_args(_Frequency)
_IN_ANY_CASE = WithJsonSchema({"type": "string", "pattern": any_case(FREQUENCIES), ALSO: True})
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
"""Weekdays in the order of cron, which counts from Sunday."""
GROUPS: Mapping[str, tuple[int, ...]] = {"weekdays": (1, 2, 3, 4, 5), "weekend": (6, 0)}
EVERY_MONTH_HAS = 28
TIME = re.compile(r"(?P<hour>[01]?[0-9]|2[0-3]):(?P<minute>[0-5][0-9])")


def clock(value: object) -> str:
    """Return a time of day as ``HH:MM``: ``6:30`` is ``06:30``."""
    found = TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is no time of day (valid: '00:00' to '23:59', in quotes)")
    return f"{int(found['hour']):02}:{found['minute']}"


Clock = Annotated[str, BeforeValidator(clock), Field(examples=["06:30"])]


class Window(Options):
    """The hours in which a scheduled run may start; outside them it is skipped, and the reason is shown."""

    start: Clock
    """The first time of day at which a run may start, in the export's time zone."""
    end: Clock
    """The time of day from which on none starts any more; one before `start` is on the next day."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.start == self.end:
            raise ValueError(f"the window from {self.start} to {self.end} is empty; leave it out to run at any time")
        return self

    def holds(self, moment: time) -> bool:
        """Return whether a time of day lies within: `start` does, `end` does not."""
        start, end, local = time.fromisoformat(self.start), time.fromisoformat(self.end), moment.replace(tzinfo=None)
        return start <= local < end if start < end else local >= start or local < end

    def sentence(self) -> str:
        """Say the window in English."""
        return f"between {self.start} and {self.end}"


class Schedule(Options):
    """When an export runs by itself; its time zone is the export's."""

    short: ClassVar[str | None] = "frequency"
    also: ClassVar[Mapping[str, str]] = {"customCron": "cron", "custom_cron": "cron", "time": "at"}

    frequency: _Frequency = "custom"
    """How often it runs; `custom` goes by `cron`."""
    at: str | None = Field(default=None, examples=["06:30", ":15"])
    """The time of day, `"06:30"`; of an hourly schedule the minute, `":15"`. Default: midnight, or the full hour."""
    on: int | str | list[int | str] | None = Field(default=None, examples=["monday", ["monday", "thursday"], 1, "last"])
    """The days. Of a weekly schedule: names of weekdays, `weekdays` for Monday to Friday, `weekend` (default: monday).
    Of a monthly one: days from 1 to 28, or `last` (default: 1)."""
    expression: str | None = Field(default=None, alias="cron", examples=["*/15 8-17 * * MON-FRI"])
    """Of a custom schedule: minute, hour, day of the month, month and weekday, as cron has them."""
    active: bool = True
    """Whether the schedule runs; an inactive one is kept, shown, and can be switched on in the Dagster UI."""
    window: Window | None = None
    """The hours in which a run may start."""

    @field_validator("frequency", mode="before", json_schema_input_type=_Frequency | Annotated[str, _IN_ANY_CASE])
    @classmethod
    def _known_frequency(cls, value: Any) -> Any:
        name = value.strip().casefold() if isinstance(value, str) else value
        if name not in FREQUENCIES:
            fields = isinstance(name, str) and len(name.split()) > 1
            hint = "five fields are written as cron: '...'" if fields else did_you_mean(value, FREQUENCIES)
            raise ValueError(f"unknown frequency {value!r} ({hint})")
        return name

    @field_validator("on", mode="before")
    @classmethod
    def _days_only(cls, value: Any) -> Any:
        days = value if isinstance(value, (list, tuple)) else [value]
        if not days or any(isinstance(day, bool) or not isinstance(day, (int, str)) for day in days if day is not None):
            raise ValueError(f"{value!r} names no day (valid: weekdays, days of the month, last)")
        return value

    @model_validator(mode="after")
    def _can_run(self) -> Self:
        if self.frequency == "custom":
            if self.expression is None:
                raise ValueError("a schedule needs a frequency (hourly, daily, weekly, monthly) or a cron")
            given = [name for name in ("at", "on") if getattr(self, name) is not None]
            if given:
                raise ValueError(f"{' and '.join(given)} cannot stand beside a cron, which says it all")
        elif self.expression is not None:
            raise ValueError(f"a cron cannot stand beside the frequency {self.frequency!r}: leave one of them out")
        moments = Cron.parse(self.cron()).times()
        if self.window is not None and not any(self.window.holds(moment) for moment in moments):
            raise ValueError(
                f"the schedule never runs: {self._when()} is never {self.window.sentence()}, its window"
                " (the end is not part of it)"
            )
        return self

    def cron(self) -> str:
        """Return the schedule as the five fields of cron, in the export's time zone."""
        if self.expression is not None:
            return Cron.parse(self.expression).text
        hour, minute = self._time()
        days = ",".join("L" if day == "last" else str(day) for day in self._days())
        on = {"weekly": f"* * {days}", "monthly": f"{days} * *"}.get(self.frequency, "* * *")
        return f"{minute} {'*' if hour is None else hour} {on}"

    def next_runs(self, n: int, after: datetime, zone: ZoneInfo) -> list[datetime]:
        """Return the next `n` runs strictly after an aware instant, in the zone; ticks outside the window are left out.

        An inactive schedule is answered as if it were active.
        """
        runs = Cron.parse(self.cron()).runs(after, zone)
        return list(islice((run for run in runs if self.in_window(run, zone) is None), n))

    def in_window(self, instant: datetime, zone: ZoneInfo) -> str | None:
        """Return None if a run may start at an aware instant, else the reason why it may not."""
        local = instant.astimezone(zone)
        if self.window is None or self.window.holds(local.time()):
            return None
        return f"{local:%H:%M} in {zone.key} is not {self.window.sentence()}, the window of this schedule"

    def sentence(self) -> str:
        """Say the schedule in English: ``every Monday at 06:30, only between 06:00 and 09:00``."""
        window = f", only {self.window.sentence()}" if self.window else ""
        return f"{self._when()}{window}{'' if self.active else ' (not active)'}"

    def _when(self) -> str:
        if self.expression is not None:
            return f"by the cron {self.cron()}"
        hour, minute = self._time()
        if hour is None:
            return f"every hour at :{minute:02}"
        days = self._days()
        if days == GROUPS["weekdays"]:
            on = "every weekday"
        elif self.frequency == "weekly":
            on = f"every {_spoken([DAYS[int(day)].capitalize() for day in days])}"
        elif self.frequency == "monthly":
            on = f"on {_spoken(['the last day' if day == 'last' else f'day {day}' for day in days])} of every month"
        else:
            on = "every day"
        return f"{on} at {hour:02}:{minute:02}"

    def _time(self) -> tuple[int | None, int]:
        """Return the hour, None of an hourly schedule, and the minute."""
        if self.frequency == "hourly":
            found = re.fullmatch(r":([0-5][0-9])", ":00" if self.at is None else self.at.strip())
            if found is None:
                raise ValueError(
                    f"at: an hourly schedule runs at a minute of each hour, such as ':15', not at {self.at!r}"
                )
            return None, int(found[1])
        hour, minute = clock("00:00" if self.at is None else self.at).split(":")
        return int(hour), int(minute)

    def _days(self) -> tuple[int | str, ...]:
        """Return the days in order: weekdays by cron's number, or days of the month and ``last``."""
        given = self.on if isinstance(self.on, list) else [self.on]
        if self.frequency not in {"weekly", "monthly"}:
            if self.on is not None:
                raise ValueError(
                    f"on: a schedule that runs {self.frequency} has no day {self.on!r}: use weekly, with on: weekdays"
                    " for Monday to Friday, or monthly"
                )
            return ()
        if self.frequency == "monthly":
            found = {_day_of_month(1 if day is None else day) for day in given}
            return tuple(sorted(found, key=lambda day: (isinstance(day, str), day)))
        weekdays = {number for day in given for number in _weekdays("monday" if day is None else day)}
        return tuple(sorted(weekdays, key=lambda day: (day - 1) % 7))


def _weekdays(day: int | str) -> tuple[int, ...]:
    """Return cron's numbers of a weekday, given by at least three letters, or of a group of them."""
    name = str(day).strip().casefold()
    if name in GROUPS:
        return GROUPS[name]
    found = [number for number, known in enumerate(DAYS) if len(name) >= 3 and known.startswith(name)]
    if not found:
        raise ValueError(f"on: {day!r} is no weekday ({did_you_mean(day, (*DAYS, *GROUPS))})")
    return (found[0],)


def _day_of_month(day: int | str) -> int | str:
    """Return a day that every month has, or ``last``."""
    text = str(day).strip().casefold()
    if text == "last":
        return text
    if not re.fullmatch(r"[0-9]{1,2}", text) or not 1 <= int(text) <= 31:
        raise ValueError(f"on: {day!r} is no day of the month (valid: 1-{EVERY_MONTH_HAS}, last)")
    if int(text) > EVERY_MONTH_HAS:
        raise ValueError(f"on: not every month has a day {day}; write last, or a cron to leave months out")
    return int(text)


def _spoken(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
