from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from export_pipeline.errors import ConfigError
from export_pipeline.times import Duration, Every, ZoneName, format_duration, parse_duration, to_utc, zone

BERLIN = ZoneInfo("Europe/Berlin")


class Wait(BaseModel):
    length: Duration = timedelta(minutes=5)
    every: Every = Every(1, "day")
    zone: ZoneName = "UTC"


def test_a_zone_has_a_name_of_the_list() -> None:
    assert zone("Europe/Berlin") == BERLIN


@pytest.mark.parametrize("name", ["Europe/Berln", "europe/berlin", "Europe", "", "../Berlin", "/etc/localtime", "a\0b"])
def test_an_unknown_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match="unknown time zone"):
        zone(name)


def test_the_nearest_zone_is_suggested() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'Europe/Berlin'\?"):
        zone("Europe/Berln")
    with pytest.raises(ValidationError, match=r"did you mean 'Europe/Berlin'\?"):
        Wait(zone="Europe/Berln")


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        (date(2026, 3, 1), datetime(2026, 2, 28, 23, tzinfo=UTC)),
        (datetime(2026, 7, 1, 6), datetime(2026, 7, 1, 4, tzinfo=UTC)),
        (datetime(2026, 7, 1, 6, tzinfo=UTC), datetime(2026, 7, 1, 6, tzinfo=UTC)),
        # 02:30 does not exist on that day: it moves forward to 03:30
        (datetime(2026, 3, 29, 2, 30), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        # 02:30 happens twice on that day: the first one, in summer time
        (datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (datetime(2026, 10, 25, 2, 30, fold=1), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ],
)
def test_local_times_become_instants(local: date, utc: datetime) -> None:
    assert to_utc(local, BERLIN) == utc


def test_a_midnight_that_is_skipped_is_the_end_of_the_gap() -> None:
    # Beirut's clocks went from 00:00 to 01:00
    assert to_utc(date(2022, 3, 27), ZoneInfo("Asia/Beirut")) == datetime(2022, 3, 26, 22, tzinfo=UTC)
    # Samoa had no 30 December 2011 at all
    apia = ZoneInfo("Pacific/Apia")
    assert to_utc(date(2011, 12, 30), apia) == to_utc(date(2011, 12, 31), apia)


def test_a_midnight_that_happens_twice_is_the_first() -> None:
    # Havana's clocks go from 01:00 back to 00:00
    assert to_utc(date(2025, 11, 2), ZoneInfo("America/Havana")) == datetime(2025, 11, 2, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("5m", timedelta(minutes=5)),
        ("30s", timedelta(seconds=30)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("1 day", timedelta(days=1)),
        ("90 seconds", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        ("1H30M", timedelta(minutes=90)),
        (" 10 mins ", timedelta(minutes=10)),
        ("0s", timedelta()),
    ],
)
def test_durations_are_read(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5", "a unit is missing"),
        (5, "a unit is missing"),
        ("", "no length of time"),
        ("m", "no length of time"),
        ("-5m", "no length of time"),
        ("5 minits", r"unknown unit 'minits' in '5 minits' \(did you mean 'minute'\?\)"),
        ("1mo", "a month has no fixed length"),
        ("1 year", "a year has no fixed length"),
        ("9999999999999d", "too long"),
        ("٥m", "no length of time"),
    ],
)
def test_what_is_no_duration_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=100_000)))
def test_a_duration_is_written_as_it_is_read(length: timedelta) -> None:
    assert parse_duration(format_duration(length)) == length


def test_a_duration_in_a_model_round_trips() -> None:
    wait = Wait.model_validate({"length": "90m"})
    assert wait.length == timedelta(minutes=90)
    assert wait.model_dump(mode="json")["length"] == "90m"
    assert Wait.model_validate(wait.model_dump(mode="json")) == Wait.model_validate(wait.model_dump()) == wait


@pytest.mark.parametrize("value", [5, 5.5, "5", None, timedelta(-1)])
def test_a_duration_in_a_model_needs_a_unit(value: object) -> None:
    with pytest.raises(ValidationError, match=r"a unit is missing|not negative"):
        Wait.model_validate({"length": value})


@pytest.mark.parametrize(
    ("text", "polars", "written"),
    [
        ("minute", "1m", "minute"),
        ("15 minutes", "15m", "15 minutes"),
        ("15m", "15m", "15 minutes"),
        ("hour", "1h", "hour"),
        ("60 minutes", "1h", "hour"),
        ("4 hours", "4h", "4 hours"),
        ("24h", "1d", "day"),
        ("1 day", "1d", "day"),
        ("week", "1w", "week"),
        ("month", "1mo", "month"),
        ("1 quarter", "1q", "quarter"),
        ("year", "1y", "year"),
    ],
)
def test_steps_are_read(text: str, polars: str, written: str) -> None:
    every = Every.parse(text)
    assert (every.polars, str(every)) == (polars, written)
    assert Every.parse(str(every)) == every
    # Polars understands it
    assert pl.Series([datetime(2026, 3, 1)]).dt.truncate(every.polars).len() == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("7 minutes", "does not divide the hour"),
        ("5 hours", "does not divide the day"),
        ("7 days", "no fixed beginning"),
        ("2 months", "no fixed beginning"),
        ("30 seconds", "too short"),
        ("fortnight", "unknown unit 'fortnight'"),
        ("wek", "did you mean 'week'"),
        ("15", "no step of time"),
        (15, "no step of time"),
        ("-1 day", "no step of time"),
    ],
)
def test_steps_that_would_drift_are_refused(text: object, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Every.parse(text)
    with pytest.raises(ValidationError, match=why):
        Wait.model_validate({"every": text})


def test_a_step_in_a_model_round_trips() -> None:
    wait = Wait.model_validate({"every": "15m"})
    assert wait.every == Every(15, "minute")
    assert wait.model_dump(mode="json")["every"] == "15 minutes"
    assert Wait.model_validate(wait.model_dump(mode="json")) == wait
    assert Wait.model_json_schema()["properties"]["every"]["type"] == "string"
