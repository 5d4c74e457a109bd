"""Steps of time in zones whose clocks change, beside a slow and obvious computation of the same rules."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipeline.engines.buckets import begin
from export_pipeline.engines.polars import bucketed
from export_pipeline.times import Every

ZONES = (
    "Europe/Berlin",
    "America/Havana",  # midnight is skipped
    "Africa/Cairo",
    "America/St_Johns",  # changed at 00:01
    "Australia/Lord_Howe",  # by half an hour
    "Antarctica/Troll",  # by two hours
    "Africa/Casablanca",
    "Asia/Kathmandu",  # 1986 began at 00:15
    "Pacific/Apia",  # skipped 30 December 2011
    "America/Sao_Paulo",
    "UTC",
)
STEPS = (
    *("minute", "15 minutes", "20 minutes", "hour", "2 hours", "4 hours", "12 hours"),
    *("day", "week", "month", "quarter", "year"),
)


def wall_of_step(wall: datetime, every: Every) -> datetime:
    """Return what the wall shows when the step begins."""
    day = wall.date()
    match every.unit:
        case "minute":
            return wall.replace(minute=wall.minute // every.count * every.count, second=0, microsecond=0)
        case "hour":
            return wall.replace(hour=wall.hour // every.count * every.count, minute=0, second=0, microsecond=0)
        case "week":
            day -= timedelta(days=day.weekday())
        case "month":
            day = day.replace(day=1)
        case "quarter":
            day = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            day = day.replace(month=1, day=1)
    return datetime.combine(day, time())


def slowly(moment: datetime, every: Every, zone: ZoneInfo) -> datetime:
    """Return the first moment of the step: the rules of `engines.buckets`, literally."""
    shown = wall_of_step(moment.astimezone(zone).replace(tzinfo=None), every)
    candidates = [shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    right = [c for c in candidates if c.astimezone(zone).replace(tzinfo=None) == shown and c <= moment]
    if right:
        return max(right)
    low, high = shown.replace(tzinfo=UTC) - timedelta(hours=26), moment
    while high - low > timedelta(microseconds=1):
        middle = low + (high - low) / 2
        later = middle.astimezone(zone).replace(tzinfo=None) >= shown
        low, high = (low, middle) if later else (middle, high)
    return high


def changes(zone: ZoneInfo) -> list[datetime]:
    """Return moments near every change of clocks from 1980 to 2030."""
    moment, found = datetime(1980, 1, 1, tzinfo=UTC), []
    while moment.year < 2030:
        later = moment + timedelta(hours=12)
        if later.astimezone(zone).utcoffset() != moment.astimezone(zone).utcoffset():
            found.append(moment)
        moment = later
    return found


CHANGES = {name: changes(ZoneInfo(name)) for name in ZONES}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data(), zone=st.sampled_from(ZONES), step=st.sampled_from(STEPS))
def test_steps_begin_where_the_rules_say(data: st.DataObject, zone: str, step: str) -> None:
    anywhere = st.datetimes(datetime(1950, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
    near = st.builds(
        lambda change, minutes, seconds: change + timedelta(minutes=minutes, seconds=seconds),
        st.sampled_from(CHANGES[zone] or [datetime(2024, 1, 1, tzinfo=UTC)]),
        st.integers(-800, 1600),
        st.integers(0, 59),
    )
    moments = data.draw(st.lists(st.one_of(near, near, anywhere, st.none()), min_size=1, max_size=20))
    every = Every.parse(step)
    series = pl.Series(moments, dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    found = begin(series, every.polars)
    assert found.dtype == series.dtype
    expected = [None if moment is None else slowly(moment, every, ZoneInfo(zone)) for moment in moments]
    assert found.dt.convert_time_zone("UTC").to_list() == expected
    # The beginning of a step belongs to the step.
    assert begin(found, every.polars).to_list() == found.to_list()


def test_the_four_hours_around_a_change_are_one_step() -> None:
    moments = [datetime(2024, 10, 26, 22), datetime(2024, 10, 27, 2, 59), datetime(2024, 10, 27, 3)]
    series = pl.Series(moments).dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    assert [str(step) for step in begin(series, "4h")] == [
        "2024-10-27 00:00:00+02:00",
        "2024-10-27 00:00:00+02:00",
        "2024-10-27 04:00:00+01:00",
    ]


def test_a_day_without_midnight_begins_at_one() -> None:
    series = pl.Series([datetime(2024, 3, 10, 20, tzinfo=UTC)]).dt.convert_time_zone("America/Havana")
    assert str(begin(series, "1d")[0]) == "2024-03-10 01:00:00-04:00"


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("given_zone", [None, "UTC", "America/New_York"])
def test_moments_without_a_zone_are_utc_and_the_unit_stays(unit: str, zone: str, given_zone: str | None) -> None:
    moments = pl.Series("at", [datetime(2024, 1, 7, 16, 20), None]).dt.replace_time_zone("UTC")
    moments = moments.dt.convert_time_zone(given_zone) if given_zone else moments.dt.replace_time_zone(None)
    rows = moments.cast(pl.Datetime(unit, given_zone)).to_frame().lazy()  # type: ignore[arg-type]
    found = bucketed(rows, "at", "1w", zone, "step").collect(engine="streaming")["step"]
    assert found.dtype == pl.Datetime(unit, zone)  # type: ignore[arg-type]
    monday = "2024-01-01 00:00:00+00:00" if zone == "UTC" else "2024-01-08 00:00:00+09:00"
    assert [str(step) for step in found] == [monday, "None"]


def test_no_rows() -> None:
    assert begin(pl.Series([], dtype=pl.Datetime("us", "Europe/Berlin")), "1d").len() == 0
