"""Cron expressions, and the days on which the clocks change: the same runs as Dagster's own scheduler."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dagster._utils.schedules import cron_string_iterator, is_valid_cron_string
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipeline.errors import ConfigError
from export_pipeline.schedules.cron import FIELDS, Cron

BERLIN = ZoneInfo("Europe/Berlin")
BEFORE_SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC)
BEFORE_AUTUMN = datetime(2026, 10, 24, 12, tzinfo=UTC)
CHANGES = ((2026, 3, 8), (2026, 11, 1), (2026, 4, 4), (2026, 10, 3), (2028, 2, 28))
"""Days near those on which New York and Sydney change their clocks, and a leap day."""


def runs(cron: str, after: datetime, n: int, zone: ZoneInfo = BERLIN) -> list[str]:
    return [f"{run:%m-%d %H:%M%z}" for run in islice(Cron.parse(cron).runs(after, zone), n)]


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        # a time that the clocks skip runs at the end of the gap, and only once
        ("30 2 * * *", BEFORE_SPRING, ["03-29 03:00+0200", "03-30 02:30+0200"]),
        ("0,30 2 * * *", BEFORE_SPRING, ["03-29 03:00+0200", "03-30 02:00+0200"]),
        ("0 2,3 * * *", BEFORE_SPRING, ["03-29 03:00+0200", "03-30 02:00+0200"]),
        # a time that they repeat runs once, the second time
        ("30 2 * * *", BEFORE_AUTUMN, ["10-25 02:30+0100", "10-26 02:30+0100"]),
        # real hours: one is skipped, one runs twice
        ("15 * * * *", datetime(2026, 3, 29, 0, tzinfo=UTC), ["03-29 01:15+0100", "03-29 03:15+0200"]),
        ("15 * * * *", datetime(2026, 10, 25, 0, tzinfo=UTC), ["10-25 02:15+0200", "10-25 02:15+0100"]),
        # other days are ordinary
        ("0 6 L * *", BEFORE_SPRING, ["03-31 06:00+0200", "04-30 06:00+0200"]),
        ("0 6 1,L 2 *", BEFORE_SPRING, ["02-01 06:00+0100", "02-28 06:00+0100"]),
        ("0 6 29 2 *", BEFORE_SPRING, ["02-29 06:00+0100"]),
        ("0 6 1 * MON", BEFORE_SPRING, ["03-30 06:00+0200", "04-01 06:00+0200"]),
        ("0 6 31 4,6 MON", BEFORE_SPRING, ["04-06 06:00+0200", "04-13 06:00+0200"]),
        ("0 0 * * 7", BEFORE_SPRING, ["03-29 00:00+0100", "04-05 00:00+0200"]),
    ],
)
def test_runs(cron: str, after: datetime, expected: list[str]) -> None:
    assert runs(cron, after, len(expected)) == expected


def test_a_run_is_strictly_after_the_instant() -> None:
    first = next(Cron.parse("30 6 * * *").runs(BEFORE_SPRING, BERLIN))
    assert first > BEFORE_SPRING
    assert next(Cron.parse("30 6 * * *").runs(first, BERLIN)) == first + timedelta(days=1)


def test_a_leap_day_is_found_over_a_century_without_one() -> None:
    found = list(islice(Cron.parse("0 0 29 2 *").runs(datetime(2096, 3, 1, tzinfo=UTC), ZoneInfo("UTC")), 2))
    assert [day.year for day in found] == [2104, 2108]


@pytest.mark.parametrize("part", ["", "a", "60", "-1", "5-", "5-5", "9-3", "*/0", "*/60", "1/x", "1//2", "1,,2", "L"])
def test_a_bad_minute_is_refused_by_name(part: str) -> None:
    with pytest.raises(ConfigError, match="cron"):
        Cron.parse(f"{part} * * * *")


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("* * * * * *", "6 fields: a schedule runs once a minute at most, without seconds"),
        ("* * * *", "4 fields instead of five"),
        ("*/90 * * * *", "every 90 minutes"),
        ("0 24 * * *", "hour 24 in the cron '0 24 * * *' is out of range (valid: 0-23)"),
        ("0 0 30 2 *", "February has no day 30"),
        ("0 0 31 4,6 *", "April or June has no day 31"),
        ("0 0 30 2 MON", "a day that never comes"),
        ("0 22-2 * * *", "22-23,0-5"),
        ("0 0 * MARCH *", "did you mean 'Mar'?"),
        ("0 0 * * FRI#2", "nth weekday"),
        ("0 0 15W * *", "nearest working day"),
        ("0 0 * * 5L", "L other than alone"),
        ("H H * * *", "hashed value"),
        ("R * * * *", "random value"),
        ("@dayly", "did you mean '@daily'?"),
        ("@reboot", "valid: @annually"),
    ],
)
def test_what_is_refused_says_why(cron: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Cron.parse(cron)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("given_cron", "text"),
    [
        ("@daily", "0 0 * * *"),
        (" 0  6 ? * mon-fri ", "0 6 * * mon-fri"),
        ("@HOURLY", "0 * * * *"),
        ("58/5 5/9 * * 1/3", "58 5,14,23 * * 1,4,7"),
    ],
)
def test_spellings(given_cron: str, text: str) -> None:
    assert Cron.parse(given_cron).text == text
    assert is_valid_cron_string(text)


def parts(low: int, high: int) -> st.SearchStrategy[str]:
    """Return the fields that can be written for a range of values."""
    span = st.tuples(st.integers(low, high - 1), st.integers(1, high)).map(
        lambda pair: f"{pair[0]}-{min(high, pair[0] + pair[1])}"
    )
    step = st.integers(1, high)
    value = st.integers(low, high).map(str)
    listed = st.lists(value | span, min_size=1, max_size=3).map(",".join)
    stepped = st.tuples(st.just("*") | span | value, step).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.just("*") | value | listed | stepped


@st.composite
def crons(draw: st.DrawFn) -> str:
    minute, hour, day, month, weekday = FIELDS
    return " ".join(
        [
            draw(parts(minute.low, minute.high)),
            draw(st.sampled_from(["*", "1", "2", "3", "2,3", "1-3", "*/2"]) | parts(hour.low, hour.high)),
            draw(st.sampled_from(["*", "*", "L", "1,L"]) | parts(day.low, day.high)),
            draw(st.just("*") | parts(month.low, month.high)),
            draw(st.sampled_from(["*", "*", "MON-FRI", "sun"]) | parts(weekday.low, weekday.high)),
        ]
    )


@settings(max_examples=300, deadline=None)
@given(
    cron=crons(),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Sydney", "America/St_Johns", "Asia/Kolkata"]),
    near=st.sampled_from([BEFORE_SPRING, BEFORE_AUTUMN, *(datetime(*day, 6, tzinfo=UTC) for day in CHANGES)]),
    minutes=st.integers(0, 2000),
)
def test_the_runs_are_dagsters(cron: str, zone: str, near: datetime, minutes: int) -> None:
    try:
        ours = Cron.parse(cron)
    except ConfigError as error:
        assert "never comes" in str(error)
        return
    after = near + timedelta(minutes=minutes)
    theirs = islice(cron_string_iterator((after + timedelta(seconds=1)).timestamp(), ours.text, zone), 10)
    # two datetimes of one zone compare by the wall clock, so instants are compared as seconds
    found = [run.timestamp() for run in islice(ours.runs(after, ZoneInfo(zone)), 10)]
    assert found == [run.timestamp() for run in theirs]


def test_where_dagster_differs() -> None:
    """A zone that changes its clocks at midnight; once Dagster agrees there, this test tells."""
    after, zone = datetime(2026, 4, 4, 12, tzinfo=UTC), "America/Santiago"
    theirs = next(cron_string_iterator((after + timedelta(seconds=1)).timestamp(), "15 23 * * *", zone))
    ours = next(Cron.parse("15 23 * * *").runs(after, ZoneInfo(zone)))
    assert ours.timestamp() - theirs.timestamp() == 3600
