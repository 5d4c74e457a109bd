from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from export_pipeline.errors import ConfigError
from export_pipeline.times import (
    PERIODS,
    Instant,
    RangeSpec,
    format_instant,
    parse_instant,
    resolve_range,
    to_utc,
)
from export_pipeline.times.ranges import first_day

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "Pacific/Apia",
]
WEDNESDAY = datetime(2026, 5, 13, 8, 45, 30, 250, tzinfo=UTC)  # 10:45:30 in Berlin


def shown(spec: RangeSpec, when: datetime = WEDNESDAY, zone: ZoneInfo = BERLIN) -> str:
    start, end = resolve_range(spec, when, zone)
    local = [limit.astimezone(zone).replace(tzinfo=None).isoformat() for limit in (start, end) if limit]
    return " ".join(local)


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("today", "2026-05-13T00:00:00 2026-05-14T00:00:00"),
        ("yesterday", "2026-05-12T00:00:00 2026-05-13T00:00:00"),
        ("this week", "2026-05-11T00:00:00 2026-05-18T00:00:00"),
        ("previous week", "2026-05-04T00:00:00 2026-05-11T00:00:00"),
        ("this month", "2026-05-01T00:00:00 2026-06-01T00:00:00"),
        ("previous month", "2026-04-01T00:00:00 2026-05-01T00:00:00"),
        ("this quarter", "2026-04-01T00:00:00 2026-07-01T00:00:00"),
        ("previous quarter", "2026-01-01T00:00:00 2026-04-01T00:00:00"),
        ("this year", "2026-01-01T00:00:00 2027-01-01T00:00:00"),
        ("previous year", "2025-01-01T00:00:00 2026-01-01T00:00:00"),
        ("previous_month", "2026-04-01T00:00:00 2026-05-01T00:00:00"),
        ("previousMonth", "2026-04-01T00:00:00 2026-05-01T00:00:00"),
        ("last month", "2026-04-01T00:00:00 2026-05-01T00:00:00"),
        ("Today", "2026-05-13T00:00:00 2026-05-14T00:00:00"),
    ],
)
def test_named_periods_are_whole_local_units(period: str, expected: str) -> None:
    assert shown(RangeSpec(period=period)) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("7 days", "2026-05-06T00:00:00 2026-05-13T00:00:00"),
        ("1d", "2026-05-12T00:00:00 2026-05-13T00:00:00"),
        ("2 weeks", "2026-04-27T00:00:00 2026-05-11T00:00:00"),
        ("3 months", "2026-02-01T00:00:00 2026-05-01T00:00:00"),
        ("2 quarters", "2025-10-01T00:00:00 2026-04-01T00:00:00"),
        ("1 year", "2025-01-01T00:00:00 2026-01-01T00:00:00"),
        ("24 hours", "2026-05-12T10:00:00 2026-05-13T10:00:00"),
        ("15 minutes", "2026-05-13T10:30:00 2026-05-13T10:45:00"),
        ("30s", "2026-05-13T10:45:00 2026-05-13T10:45:30"),
    ],
)
def test_the_last_units_are_complete(last: str, expected: str) -> None:
    assert shown(RangeSpec(last=last)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01", "2026-02-28T23:00:00Z"),
        ("2026-03-01T06:00", "2026-03-01T05:00:00Z"),
        ("2026-03-01 06:00:30.25", "2026-03-01T05:00:30.250000Z"),
        ("2026-03-01T06:00Z", "2026-03-01T06:00:00Z"),
        ("2026-03-01T06:00:00-0500", "2026-03-01T11:00:00Z"),
        ("2026-03-01 06:00 +02:00", "2026-03-01T04:00:00Z"),
        ("now", "2026-05-13T08:45:30.000250Z"),
        ("-0d", "2026-05-13T08:45:30.000250Z"),
        ("-6h", "2026-05-13T02:45:30.000250Z"),
        ("-90 minutes", "2026-05-13T07:15:30.000250Z"),
        ("-7d", "2026-05-06T08:45:30.000250Z"),
        ("+1w", "2026-05-20T08:45:30.000250Z"),
        ("-3 months", "2026-02-13T09:45:30.000250Z"),  # the same local time, in winter
        ("-1y", "2025-05-13T08:45:30.000250Z"),
        ("today", "2026-05-12T22:00:00Z"),
        ("previous month", "2026-03-31T22:00:00Z"),
    ],
)
def test_instants_are_read(text: str, expected: str) -> None:
    assert format_instant(parse_instant(text, WEDNESDAY, BERLIN)) == expected


def test_dates_and_times_of_python_are_instants() -> None:
    assert parse_instant(date(2026, 3, 1), WEDNESDAY, BERLIN) == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert parse_instant(datetime(2026, 3, 1, 6), WEDNESDAY, BERLIN) == datetime(2026, 3, 1, 5, tzinfo=UTC)
    assert parse_instant(WEDNESDAY, WEDNESDAY, BERLIN) == WEDNESDAY


def test_a_month_back_from_its_last_day_is_the_last_day() -> None:
    when = datetime(2024, 3, 31, 12, tzinfo=UTC)
    assert parse_instant("-1mo", when, ZoneInfo("UTC")) == datetime(2024, 2, 29, 12, tzinfo=UTC)
    assert parse_instant("-1q", when, ZoneInfo("UTC")) == datetime(2023, 12, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-02-30", "day is out of range|day must be in"),
        ("2026-03-01T25:00", "hour must be in"),
        ("2026-03", "no date, time or step"),
        ("01.03.2026", "no date, time or step"),
        ("2026-03-01T06:00:00.1234567", "no date, time or step"),
        ("-7", "no date, time or step"),
        ("-7 dayz", "did you mean 'day'"),
        ("yesturday", "did you mean 'yesterday'"),
        ("0001-01-01", "outside the years"),
        ("-99999y", "outside the years"),
        ("-99999999d", "outside the years"),
        ("-99999999999h", "outside the years"),
    ],
)
def test_what_is_no_instant_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_instant(text, WEDNESDAY, BERLIN)


class Model(BaseModel):
    at: Instant


def test_an_instant_in_a_model_is_its_text() -> None:
    assert Model(at="-7d").at == "-7d"
    assert Model.model_validate({"at": date(2026, 3, 1)}).at == "2026-03-01"
    assert Model.model_validate({"at": datetime(2026, 3, 1, 6)}).at == "2026-03-01T06:00:00"
    assert Model.model_validate({"at": WEDNESDAY}).at == "2026-05-13T08:45:30.000250Z"
    with pytest.raises(ValidationError, match="no date, time or step"):
        Model(at="soon")
    with pytest.raises(ValidationError):
        Model.model_validate({"at": 20260301})


def test_without_an_end_a_range_ends_at_the_logical_time() -> None:
    assert resolve_range(RangeSpec(start="-7d"), WEDNESDAY, BERLIN) == (WEDNESDAY - timedelta(days=7), WEDNESDAY)
    assert resolve_range(RangeSpec(end="2026-05-01"), WEDNESDAY, BERLIN) == (None, to_utc(date(2026, 5, 1), BERLIN))


def test_a_naive_logical_time_is_utc() -> None:
    naive = WEDNESDAY.replace(tzinfo=None)
    assert resolve_range(RangeSpec(last="7 days"), naive, BERLIN) == resolve_range(
        RangeSpec(last="7 days"), WEDNESDAY, BERLIN
    )


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (RangeSpec(start="2026-05-02", end="2026-05-01"), "before it starts"),
        (RangeSpec(start="+1d"), "before it starts"),
        (RangeSpec(period="previous decade"), "unknown period 'previous decade'"),
        (RangeSpec(last="7"), "no length of time"),
        (RangeSpec(last="0 days"), "is empty"),
        (RangeSpec(last="7 dys"), "did you mean 'day'"),
        (RangeSpec(last="99999 years"), "outside the years"),
    ],
)
def test_what_is_no_range_is_refused(spec: RangeSpec, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        resolve_range(spec, WEDNESDAY, BERLIN)


# --- clock changes


def hours(spec: RangeSpec, when: datetime, zone: ZoneInfo = BERLIN) -> float:
    start, end = resolve_range(spec, when, zone)
    assert start is not None
    return (end - start) / timedelta(hours=1)


def test_days_of_clock_changes_have_23_and_25_hours() -> None:
    assert hours(RangeSpec(period="today"), datetime(2026, 3, 29, 12, tzinfo=UTC)) == 23
    assert hours(RangeSpec(period="today"), datetime(2026, 10, 25, 12, tzinfo=UTC)) == 25
    assert hours(RangeSpec(last="7 days"), datetime(2026, 3, 30, 12, tzinfo=UTC)) == 7 * 24 - 1
    assert hours(RangeSpec(period="previous week"), datetime(2026, 10, 27, 12, tzinfo=UTC)) == 7 * 24 + 1
    assert hours(RangeSpec(last="24 hours"), datetime(2026, 3, 29, 12, tzinfo=UTC)) == 24


def test_the_day_is_the_one_of_the_zone() -> None:
    late = datetime(2026, 5, 13, 22, 30, tzinfo=UTC)  # already the 14th in Berlin
    assert shown(RangeSpec(period="today"), late) == "2026-05-14T00:00:00 2026-05-15T00:00:00"
    assert shown(RangeSpec(period="today"), late, ZoneInfo("UTC")) == "2026-05-13T00:00:00 2026-05-14T00:00:00"


def test_days_back_keep_the_local_time_and_hours_back_do_not() -> None:
    monday = datetime(2026, 3, 30, 10, tzinfo=UTC)  # 12:00 in summer time
    assert parse_instant("-2d", monday, BERLIN) == datetime(2026, 3, 28, 11, tzinfo=UTC)  # 12:00 in winter time
    assert parse_instant("-48h", monday, BERLIN) == datetime(2026, 3, 28, 10, tzinfo=UTC)


def test_a_day_back_into_the_gap_moves_forward() -> None:
    when = datetime(2026, 3, 30, 0, 30, tzinfo=UTC)  # 02:30 in Berlin; the day before has no 02:30
    assert parse_instant("-1d", when, BERLIN).astimezone(BERLIN).isoformat() == "2026-03-29T03:30:00+02:00"


def test_complete_hours_in_the_repeated_hour_and_in_zones_of_half_hours() -> None:
    second = datetime(2026, 10, 25, 1, 20, tzinfo=UTC)  # 02:20 for the second time
    start, end = resolve_range(RangeSpec(last="1 hour"), second, BERLIN)
    assert (start, end) == (datetime(2026, 10, 25, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
    assert shown(RangeSpec(last="2h"), WEDNESDAY, ZoneInfo("Asia/Kolkata")) == "2026-05-13T12:00:00 2026-05-13T14:00:00"


MOMENTS = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, st.sampled_from(ZONES), st.sampled_from(sorted(PERIODS)))
def test_periods_hold_their_moment_and_touch_without_overlap(when: datetime, name: str, period: str) -> None:
    zone = ZoneInfo(name)
    start, end = resolve_range(RangeSpec(period=period), when, zone)
    assert start is not None
    assert start < end
    assert (start <= when < end) == (not period.startswith(("yesterday", "previous")))
    unit = period.split()[-1]
    pair = [f"previous {unit}", f"this {unit}"] if " " in period else ["yesterday", "today"]
    before, now = (resolve_range(RangeSpec(period=each), when, zone) for each in pair)
    assert before.end == now.start


@given(MOMENTS, st.sampled_from(ZONES), st.integers(1, 40))
def test_the_last_days_are_that_many_days_that_touch(when: datetime, name: str, count: int) -> None:
    zone = ZoneInfo(name)
    start, end = resolve_range(RangeSpec(last=f"{count} days"), when, zone)
    assert start is not None
    today = when.astimezone(zone).date()
    midnights = [to_utc(today - timedelta(days=back), zone) for back in range(count, -1, -1)]
    assert (start, end) == (midnights[0], midnights[-1])
    assert all(earlier <= later for earlier, later in pairwise(midnights))
    assert end <= when


@given(MOMENTS, st.sampled_from(ZONES))
def test_the_first_day_begins_at_the_instant_or_after_it(when: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    day = first_day(when, zone)
    assert to_utc(day, zone) >= when > to_utc(day - timedelta(days=1), zone)
    assert first_day(to_utc(day, zone), zone) == day or name == "Pacific/Apia"


def test_the_day_without_a_midnight_begins_when_it_begins() -> None:
    beirut = ZoneInfo("Asia/Beirut")
    assert first_day(datetime(2022, 3, 26, 22, tzinfo=UTC), beirut) == date(2022, 3, 27)
