"""One incident from the first failure to the next success, told once to each channel, by however many processes."""

from __future__ import annotations

import multiprocessing
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from export_pipeline.errors import StorageError
from export_pipeline.notifications.incidents import KEPT, LEASE, Incidents

MONDAY = datetime(2026, 11, 2, 6, 30, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def incidents(tmp_path: Path) -> Incidents:
    return Incidents(tmp_path / "incidents.sqlite")


def test_failures_until_a_success_are_one_incident(incidents: Incidents) -> None:
    first = incidents.failed("daily", MONDAY, MONDAY)
    assert (first.since, first.failures, first.key) == (MONDAY, 1, "daily@2026-11-02T06:30:00.000000+00:00")
    again = incidents.failed("daily", MONDAY, MONDAY + HOUR)
    later = incidents.failed("daily", MONDAY + DAY, MONDAY + DAY)
    assert first.key == again.key == later.key
    assert (later.since, later.failures, later.over) == (MONDAY, 3, False)
    assert incidents.failed("weekly", MONDAY, MONDAY).key != first.key
    assert [incident.export for incident in incidents.open()] == ["daily", "weekly"]

    ended = incidents.succeeded("daily", MONDAY + 2 * DAY, MONDAY + 2 * DAY)
    assert ended is not None
    assert (ended.key, ended.failures, ended.over) == (first.key, 3, True)
    assert [incident.export for incident in incidents.open()] == ["weekly"]
    assert incidents.failed("daily", MONDAY + 3 * DAY, MONDAY + 3 * DAY).key != first.key


def test_an_earlier_success_does_not_end_what_failed_after_it(incidents: Incidents) -> None:
    incidents.failed("daily", MONDAY, MONDAY)
    incidents.failed("daily", MONDAY + DAY, MONDAY + DAY)
    now = MONDAY + 3 * DAY
    assert incidents.succeeded("daily", MONDAY, now) is None  # the re-executed Monday; Tuesday is still missing
    assert incidents.succeeded("other", MONDAY + 9 * DAY, now) is None
    assert incidents.succeeded("daily", MONDAY + DAY, now) is not None
    assert incidents.succeeded("daily", MONDAY + DAY, now + HOUR) is None


def test_a_success_that_was_before_the_failure_does_not_end_it(incidents: Incidents) -> None:
    incidents.failed("daily", MONDAY, MONDAY + HOUR)  # launched again by hand, for the same time
    assert incidents.succeeded("daily", MONDAY, MONDAY + HOUR / 2) is None
    assert incidents.succeeded("daily", MONDAY, MONDAY + 2 * HOUR) is not None


def test_a_failure_that_a_success_has_overtaken_opens_nothing(incidents: Incidents) -> None:
    opened = incidents.failed("daily", MONDAY, MONDAY)
    incidents.succeeded("daily", MONDAY + DAY, MONDAY + DAY)
    late = incidents.failed("daily", MONDAY + HOUR, MONDAY + HOUR)
    assert (late.key, late.failures, late.over) == (opened.key, 2, True)
    incidents.succeeded("daily", MONDAY + 2 * DAY, MONDAY + 2 * DAY)
    unheard = incidents.failed("daily", MONDAY + 1.5 * DAY, MONDAY + 1.5 * DAY)
    assert (unheard.since, unheard.failures, unheard.over) == (MONDAY + 1.5 * DAY, 1, True)
    assert incidents.failed("daily", MONDAY + 1.5 * DAY, MONDAY + 1.6 * DAY).key == unheard.key
    assert incidents.open() == []
    # Monday again, by hand, after all that
    assert not incidents.failed("daily", MONDAY, MONDAY + 3 * DAY).over
    assert [incident.since for incident in incidents.open()] == [MONDAY]


def test_a_success_that_is_recorded_again_ends_the_same(incidents: Incidents) -> None:
    incidents.failed("daily", MONDAY, MONDAY)
    ended = incidents.succeeded("daily", MONDAY + DAY, MONDAY + DAY)
    assert ended is not None
    assert incidents.succeeded("daily", MONDAY + DAY, MONDAY + DAY) == ended
    assert incidents.succeeded("daily", MONDAY + DAY, MONDAY + DAY + HOUR) is None


def test_the_zone_of_an_instant_does_not_matter(incidents: Incidents) -> None:
    from zoneinfo import ZoneInfo

    new_york, tokyo = ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo")
    incidents.failed("daily", MONDAY.astimezone(new_york), MONDAY.astimezone(new_york))
    assert incidents.succeeded("daily", (MONDAY - timedelta(seconds=1)).astimezone(tokyo), MONDAY) is None
    assert incidents.succeeded("daily", MONDAY.astimezone(tokyo), MONDAY.astimezone(tokyo)) is not None


def test_a_channel_is_claimed_once_until_released(incidents: Incidents) -> None:
    incident = incidents.failed("daily", MONDAY, MONDAY)
    key = incident.key
    assert incidents.claim(key, "webhook")
    assert not incidents.claim(key, "webhook")
    assert incidents.claim(key, "log")
    incidents.release(key, "webhook")
    assert incidents.claim(key, "webhook")
    incidents.confirm(key, "webhook")
    incidents.release(key, "webhook")  # what was told stays told
    assert not incidents.claim(key, "webhook")
    assert incidents.told(key, "webhook")
    assert not incidents.told(key, "log")  # never confirmed


def test_what_fails_again_after_it_succeeded_is_told_again(incidents: Incidents) -> None:
    for round_ in range(3):
        incident = incidents.failed("daily", MONDAY, MONDAY + round_ * DAY)
        ended = incidents.succeeded("daily", MONDAY, MONDAY + round_ * DAY + HOUR)
        assert ended is not None
        for subject in (incident.key, ended.recovery):
            assert incidents.claim(subject, "webhook")
            incidents.confirm(subject, "webhook")


def test_a_dead_tellers_claim_is_free_after_its_lease(incidents: Incidents, monkeypatch: pytest.MonkeyPatch) -> None:
    assert incidents.claim("key", "webhook")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + LEASE - 1)
    assert not incidents.claim("key", "webhook")
    monkeypatch.setattr(time, "time", lambda: now + LEASE + 1)
    assert incidents.claim("key", "webhook")
    incidents.confirm("key", "webhook")
    monkeypatch.setattr(time, "time", lambda: now + 10 * LEASE)
    assert not incidents.claim("key", "webhook")


def test_what_was_told_is_forgotten_in_the_end(incidents: Incidents, monkeypatch: pytest.MonkeyPatch) -> None:
    incidents.claim("old#success", "log")
    incidents.confirm("old#success", "log")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + KEPT + 1)
    incidents.failed("daily", MONDAY, MONDAY)
    incidents.succeeded("daily", MONDAY, MONDAY)
    assert incidents.claim("old#success", "log")


def race(path: Path, barrier: object, results: object) -> None:
    incidents = Incidents(path)
    barrier.wait()  # type: ignore[attr-defined]
    won = 0
    for number in range(50):
        incidents.failed("daily", MONDAY, MONDAY)
        won += incidents.claim(f"subject-{number}", "webhook")
    results.put(won)  # type: ignore[attr-defined]


def test_processes_share_the_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    racers = [context.Process(target=race, args=(tmp_path / "i.sqlite", barrier, results)) for _ in range(3)]
    for racer in racers:
        racer.start()
    won = [results.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join(timeout=60)
    assert sum(won) == 50
    (incident,) = Incidents(tmp_path / "i.sqlite").open()
    assert incident.failures == 150


def test_a_file_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "incidents.sqlite"
    broken.write_text("this is no database, but long enough to be looked at as if it were one" * 20)
    with pytest.raises(StorageError, match=r"incidents\.sqlite cannot be used"):
        Incidents(broken)
    with pytest.raises(StorageError):
        Incidents(tmp_path / "missing" / "incidents.sqlite")
