"""Schedules in plain words, as cron, in English, within their window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dagster import ScheduleDefinition, job, op
from dagster._utils.schedules import cron_string_iterator
from hypothesis import given
from hypothesis import strategies as st

from export_pipeline.errors import ConfigError
from export_pipeline.parsing import parse
from export_pipeline.schedules import DAYS, Schedule, Window

BERLIN = ZoneInfo("Europe/Berlin")
WORKING: list[tuple[Any, str, str]] = [
    ("hourly", "0 * * * *", "every hour at :00"),
    ({"frequency": "hourly", "at": ":15"}, "15 * * * *", "every hour at :15"),
    ("daily", "0 0 * * *", "every day at 00:00"),
    ({"frequency": "Daily", "time": "6:30"}, "30 6 * * *", "every day at 06:30"),
    ({"frequency": "weekly"}, "0 0 * * 1", "every Monday at 00:00"),
    ({"frequency": "weekly", "on": "sun", "at": "23:59"}, "59 23 * * 0", "every Sunday at 23:59"),
    ({"frequency": "weekly", "on": ["Thursday", "mon"]}, "0 0 * * 1,4", "every Monday and Thursday at 00:00"),
    ({"frequency": "weekly", "on": "weekdays"}, "0 0 * * 1,2,3,4,5", "every weekday at 00:00"),
    ({"frequency": "weekly", "on": "weekend"}, "0 0 * * 6,0", "every Saturday and Sunday at 00:00"),
    ({"frequency": "monthly"}, "0 0 1 * *", "on day 1 of every month at 00:00"),
    ({"frequency": "monthly", "on": "last", "at": "18:00"}, "0 18 L * *", "on the last day of every month at 18:00"),
    (
        {"frequency": "monthly", "on": ["last", 15, "1"]},
        "0 0 1,15,L * *",
        "on day 1, day 15 and the last day of every month at 00:00",
    ),
    ({"frequency": "custom", "customCron": "5 4 * * SUN"}, "5 4 * * SUN", "by the cron 5 4 * * SUN"),
    ({"cron": "@hourly", "active": False}, "0 * * * *", "by the cron 0 * * * * (not active)"),
    (
        {"frequency": "daily", "at": "06:30", "window": {"start": "6:00", "end": "09:00"}},
        "30 6 * * *",
        "every day at 06:30, only between 06:00 and 09:00",
    ),
]


@pytest.mark.parametrize(("given_schedule", "cron", "sentence"), WORKING)
def test_what_it_says(given_schedule: Any, cron: str, sentence: str) -> None:
    schedule = parse(Schedule, given_schedule)
    assert schedule.cron() == cron
    assert schedule.sentence() == sentence
    assert Schedule.model_validate(schedule.dump()) == schedule


def test_dagster_takes_every_cron() -> None:
    @op
    def nothing() -> None: ...

    @job
    def empty() -> None:
        nothing()

    for number, (given_schedule, _, _) in enumerate(WORKING):
        cron = parse(Schedule, given_schedule).cron()
        definition = ScheduleDefinition(
            name=f"s{number}", job=empty, cron_schedule=cron, execution_timezone="Europe/Berlin"
        )
        assert definition.cron_schedule == cron


@pytest.mark.parametrize(
    ("given_schedule", "said"),
    [
        ({}, "needs a frequency (hourly, daily, weekly, monthly) or a cron"),
        ({"frequency": "dayly"}, "did you mean 'daily'?"),
        ({"frequency": "0 6 * * *"}, "five fields are written as cron"),
        ({"frequency": "daily", "cron": "0 6 * * *"}, "leave one of them out"),
        ({"cron": "0 6 * * *", "at": "06:00"}, "at cannot stand beside a cron"),
        ({"cron": "*/30 * * * * *"}, "once a minute at most"),
        ({"cron": "0 0 31 2 *"}, "never comes"),
        ({"frequency": "daily", "at": "24:00"}, "'24:00' is no time of day"),
        ({"frequency": "daily", "at": ":15"}, "no time of day"),
        ({"frequency": "daily", "at": 390}, "not 390"),
        ({"frequency": "hourly", "at": "06:30"}, "at a minute of"),
        ({"frequency": "daily", "on": "monday"}, "use weekly"),
        ({"frequency": "hourly", "on": 1}, "has no day 1"),
        ({"frequency": "weekly", "on": "mondy"}, "did you mean 'monday'?"),
        ({"frequency": "weekly", "on": "mo"}, "'mo' is no weekday"),
        ({"frequency": "weekly", "on": 1}, "1 is no weekday"),
        ({"frequency": "weekly", "on": []}, "names no day"),
        ({"frequency": "weekly", "on": True}, "names no day"),
        ({"frequency": "monthly", "on": 31}, "not every month has a day 31"),
        ({"frequency": "monthly", "on": 0}, "0 is no day of the month"),
        ({"frequency": "monthly", "on": "monday"}, "'monday' is no day of the month"),
        ({"frequency": "daily", "window": {"start": "06:00"}}, "'end' is missing"),
        ({"frequency": "daily", "window": {"start": "06:00", "end": "06:00"}}, "is empty"),
        ({"frequency": "daily", "window": {"start": "06:00", "end": "26:00"}}, "'26:00' is no time of day"),
        ({"frequency": "daily", "at": "09:00", "window": {"start": "06:00", "end": "09:00"}}, "never runs"),
        ({"frequency": "daily", "att": "09:00"}, "did you mean 'at'?"),
    ],
)
def test_what_is_refused_says_why(given_schedule: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Schedule, given_schedule)
    assert said in str(caught.value)


def test_next_runs_leave_out_what_the_window_forbids() -> None:
    schedule = Schedule(expression="0 */4 * * *", window=Window(start="22:00", end="05:00"))
    runs = schedule.next_runs(4, datetime(2026, 6, 1, 12, tzinfo=UTC), BERLIN)
    assert [f"{run:%d %H:%M}" for run in runs] == ["02 00:00", "02 04:00", "03 00:00", "03 04:00"]
    assert all(run.tzinfo is BERLIN for run in runs)


def test_the_window_is_half_open_local_and_may_cross_midnight() -> None:
    night = Schedule(frequency="hourly", window=Window(start="22:00", end="06:00"))

    def reason(hour: int, minute: int = 0) -> str | None:
        return night.in_window(datetime(2026, 1, 10, hour, minute, tzinfo=BERLIN).astimezone(UTC), BERLIN)

    assert [reason(22), reason(23, 59), reason(0), reason(5, 59)] == [None] * 4
    assert reason(6) == "06:00 in Europe/Berlin is not between 22:00 and 06:00, the window of this schedule"
    assert reason(21, 59) is not None
    day = Schedule(frequency="hourly", window=Window(start="06:00", end="22:00"))
    for hour in range(24):  # the two windows share no hour and leave none out
        instant = datetime(2026, 1, 10, hour, tzinfo=BERLIN)
        assert (day.in_window(instant, BERLIN) is None) != (night.in_window(instant, BERLIN) is None)


def test_a_run_moved_by_the_clocks_is_judged_where_it_falls() -> None:
    schedule = Schedule(frequency="daily", at="02:30", window=Window(start="02:00", end="03:00"))
    runs = schedule.next_runs(2, datetime(2026, 3, 28, 0, tzinfo=UTC), BERLIN)
    assert [f"{run:%m-%d %H:%M}" for run in runs] == ["03-28 02:30", "03-30 02:30"]  # 03-29 falls on 03:00


days = st.lists(st.sampled_from(DAYS), min_size=1, max_size=3)
months = st.lists(st.integers(1, 28) | st.just("last"), min_size=1, max_size=3)
times = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda pair: f"{pair[0]:02}:{pair[1]:02}")


@given(
    schedule=st.one_of(
        st.fixed_dictionaries({"frequency": st.just("daily"), "at": times}),
        st.fixed_dictionaries({"frequency": st.just("weekly"), "at": times, "on": days}),
        st.fixed_dictionaries({"frequency": st.just("monthly"), "at": times, "on": months}),
        st.fixed_dictionaries({"frequency": st.just("hourly"), "at": times.map(lambda text: text[2:])}),
    ),
    after=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
)
def test_next_runs_are_those_of_dagster(schedule: dict[str, Any], after: datetime) -> None:
    made = parse(Schedule, schedule)
    start = after.replace(microsecond=0, tzinfo=UTC)
    theirs = iter(cron_string_iterator((start + timedelta(seconds=1)).timestamp(), made.cron(), "Europe/Berlin"))
    found = [run.timestamp() for run in made.next_runs(4, start, BERLIN)]
    assert found == [next(theirs).timestamp() for _ in range(4)]
