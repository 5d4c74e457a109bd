"""The ledger, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from export_pipeline.errors import ConfigError, DeliveryBusyError, StorageError, UnknownDeliveryError
from export_pipeline.ledger import Claim, Delivery, Entry, Ledger, State
from export_pipeline.ledger.owners import machine, new_owner, surely_dead
from export_pipeline_tests.servers import Postgres, postgres

__all__ = ["postgres"]

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORDERS = Delivery("orders", NOON, "csv", "local:/srv/reports", "c0ffee")
SHORT = timedelta(seconds=0.3)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.fresh()


@pytest.fixture
def ledger(url: str) -> Ledger:
    return Ledger(url)


def claimed(ledger: Ledger, delivery: Delivery = ORDERS, run: str = "run-1", **options: object) -> Claim:
    claim = ledger.claim(delivery, run, **options)  # type: ignore[arg-type]
    assert isinstance(claim, Claim)
    return claim


def test_a_delivery_is_made_once(ledger: Ledger) -> None:
    with claimed(ledger) as claim:
        assert claim.entry.state is State.SENDING
        claim.reserve({"name": "orders.csv"})
        claim.verified({"place": "/srv/reports/orders.csv"})
    found = ledger.claim(ORDERS, "run-2")
    assert isinstance(found, Entry)
    assert (found.state, found.run_id, found.claims, found.attempt) == (State.VERIFIED, "run-1", 1, 1)
    assert found.receipt == {"place": "/srv/reports/orders.csv"}
    assert found.owner is None
    assert abs((found.created_at - datetime.now(UTC)).total_seconds()) < 60
    assert found.created_at <= found.updated_at


@pytest.mark.parametrize(
    "other",
    [
        Delivery("refunds", NOON, "csv", "local:/srv/reports", "c0ffee"),
        Delivery("orders", NOON + timedelta(microseconds=1), "csv", "local:/srv/reports", "c0ffee"),
        Delivery("orders", NOON, "json", "local:/srv/reports", "c0ffee"),
        Delivery("orders", NOON, "csv", "local:/srv/other", "c0ffee"),
        Delivery("orders", NOON, "csv", "local:/srv/reports", "decaf"),
        Delivery("orders", NOON, "csvlocal:/srv/reports", "", "c0ffee"),
    ],
)
def test_each_part_of_the_identity_makes_another_delivery(other: Delivery) -> None:
    assert other.key != ORDERS.key


def test_the_same_moment_in_another_zone_is_the_same_delivery() -> None:
    berlin = NOON.astimezone(timezone(timedelta(hours=1)))
    assert Delivery("orders", berlin, "csv", "local:/srv/reports", "c0ffee").key == ORDERS.key
    with pytest.raises(ValueError, match="no time zone"):
        Delivery("orders", datetime(2026, 11, 23, 12), "csv", "x", "y")


def test_while_one_sends_others_wait(ledger: Ledger) -> None:
    with claimed(ledger) as claim:
        with pytest.raises(DeliveryBusyError, match="run run-1 is delivering csv of orders") as busy:
            ledger.claim(ORDERS, "run-2")
        assert busy.value.transient
        with pytest.raises(DeliveryBusyError):
            ledger.claim(ORDERS, "run-2", redeliver="again")
        claim.verified({})


def test_what_failed_or_was_left_is_tried_again_and_keeps_its_mark(ledger: Ledger) -> None:
    with claimed(ledger) as claim:
        claim.reserve({"name": "orders.csv"})
        claim.failed("the disk is full")
    (entry,) = ledger.attempts(ORDERS)
    assert (entry.state, entry.error) == (State.FAILED, "the disk is full")
    with claimed(ledger, run="run-2") as claim:
        assert claim.entry.reserved == {"name": "orders.csv"}
        claim.reserve(None)
    with claimed(ledger, run="run-3") as claim:  # run-2 left without a word
        assert claim.entry.reserved is None
        assert claim.entry.claims == 3


def test_unknown_is_never_sent_again_without_a_persons_word(ledger: Ledger) -> None:
    with claimed(ledger) as claim:
        claim.unknown("the connection broke after the last byte")
    with pytest.raises(UnknownDeliveryError, match="broke after the last byte") as error:
        ledger.claim(ORDERS, "run-2")
    assert not error.value.transient
    with claimed(ledger, run="run-3", redeliver="run-3") as claim:
        assert claim.entry.attempt == 2
        claim.verified({"n": 2})
    found = ledger.claim(ORDERS, "run-4")
    assert isinstance(found, Entry)
    assert found.receipt == {"n": 2}


def test_redelivery_sends_once_per_request(ledger: Ledger) -> None:
    with claimed(ledger) as claim:
        claim.verified({"n": 1})
    with claimed(ledger, redeliver="request-a") as claim:
        claim.failed("no luck")
    # the request's own retry goes on with its attempt, a claim without a request is content with the first
    assert isinstance(ledger.claim(ORDERS, "run-1"), Entry)
    with claimed(ledger, redeliver="request-a") as claim:
        assert claim.entry.attempt == 2
        claim.verified({"n": 2})
    repeated = ledger.claim(ORDERS, "run-9", redeliver="request-a")
    assert isinstance(repeated, Entry)
    assert repeated.receipt == {"n": 2}
    with claimed(ledger, redeliver="request-b") as claim:
        assert claim.entry.attempt == 3


def test_redelivery_of_what_never_arrived_is_its_first_attempt(ledger: Ledger) -> None:
    with claimed(ledger) as claim:
        claim.failed("no luck")
    with claimed(ledger, redeliver="request-a") as claim:
        assert claim.entry.attempt == 1
        claim.verified({})
    assert isinstance(ledger.claim(ORDERS, "run-2", redeliver="request-a"), Entry)
    assert len(ledger.attempts(ORDERS)) == 1


def test_a_lease_that_is_over_is_taken_over_and_the_old_owner_is_told(ledger: Ledger) -> None:
    asleep = claimed(ledger, lease=SHORT)  # never entered: no sign of life
    asleep.reserve({"name": "orders.csv"})
    with pytest.raises(DeliveryBusyError):
        ledger.claim(ORDERS, "run-2")
    time.sleep(SHORT.total_seconds() * 1.5)
    with claimed(ledger, run="run-2") as claim:
        assert claim.entry.reserved == {"name": "orders.csv"}
        late: list[Callable[[], None]] = [
            asleep.renew,
            lambda: asleep.reserve({}),
            lambda: asleep.verified({}),
            lambda: asleep.failed(""),
        ]
        for word in late:
            with pytest.raises(DeliveryBusyError, match="taken over"):
                word()
        assert asleep.lost
        claim.verified({"by": "run-2"})
    (entry,) = ledger.attempts(ORDERS)
    assert entry.receipt == {"by": "run-2"}


def test_signs_of_life_keep_a_lease(ledger: Ledger) -> None:
    with claimed(ledger, lease=SHORT) as claim:
        end = time.monotonic() + SHORT.total_seconds() * 3
        while time.monotonic() < end:
            with pytest.raises(DeliveryBusyError):
                ledger.claim(ORDERS, "run-2")
            time.sleep(0.05)
        claim.verified({})


def _claim_and_die(url: str) -> None:
    claimed(Ledger(url)).reserve({"name": "orders.csv"})
    os._exit(9)


@pytest.mark.skipif(machine() == "-", reason="this system does not tell which process is dead")
def test_a_dead_process_is_taken_over_at_once(url: str) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_claim_and_die, args=(url,))
    process.start()
    process.join(30)
    with claimed(Ledger(url), run="run-2") as claim:
        assert claim.entry.reserved == {"name": "orders.csv"}
        assert claim.entry.claims == 2


@pytest.mark.skipif(machine() == "-", reason="this system does not tell which process is dead")
def test_only_a_process_of_this_machine_that_is_gone_is_surely_dead() -> None:
    here, pid, since, token, run = new_owner("run:1").split(":", 4)
    assert run == "run:1"
    assert not surely_dead(":".join([here, pid, since, token, run]))
    assert surely_dead(":".join([here, pid, "1", token, run]))  # the same id, but started at another time
    assert surely_dead(":".join([here, "4194304", since, token, run]))
    assert not surely_dead(":".join(["0123456789ab", "4194304", since, token, run]))
    assert not surely_dead(":".join(["-", "4194304", since, token, run]))
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        while True:  # it has ended, and nobody has asked how
            try:
                os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
                break
            except InterruptedError:
                continue
        assert surely_dead(":".join([here, str(child.pid), since, token, run]))
    finally:
        child.wait()


def test_of_many_threads_one_wins(ledger: Ledger) -> None:
    start = threading.Barrier(8)

    def race(number: int) -> bool:
        start.wait()
        try:
            return isinstance(ledger.claim(ORDERS, f"run-{number}"), Claim)
        except DeliveryBusyError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(race, range(8))) == 1


def _race_from_nothing(url: str, run: str, at: float) -> str:
    time.sleep(max(0, at - time.time()))
    try:
        claim = Ledger(url).claim(ORDERS, run)
    except DeliveryBusyError:
        return "busy"
    assert isinstance(claim, Claim)
    claim.__enter__()  # held until this process ends
    return "won"


def test_many_processes_make_the_tables_and_one_wins(url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["export_pipeline.ledger.database", __name__])
    with ProcessPoolExecutor(4, context) as pool:
        at = time.time() + 1.5
        outcomes = [pool.submit(_race_from_nothing, url, f"run-{n}", at) for n in range(4)]
        assert sorted(outcome.result(60) for outcome in outcomes) == ["busy", "busy", "busy", "won"]


def test_history_is_found_by_what_is_asked_for(ledger: Ledger) -> None:
    refunds = Delivery("refunds", NOON, "json", "local:/srv/reports", "c0ffee")
    for delivery, run in ((ORDERS, "run-1"), (refunds, "run-2")):
        with claimed(ledger, delivery, run) as claim:
            claim.verified({})
    with claimed(ledger, Delivery("orders", NOON + timedelta(days=1), "csv", "local:/x", "c0ffee"), "run-3") as claim:
        claim.failed("no")
    assert [entry.run_id for entry in ledger.entries()] == ["run-3", "run-2", "run-1"]
    assert [entry.run_id for entry in ledger.entries(limit=1)] == ["run-3"]
    assert [entry.run_id for entry in ledger.entries(export="orders")] == ["run-3", "run-1"]
    assert [entry.output for entry in ledger.entries(run_id="run-2")] == ["json"]
    assert [entry.run_id for entry in ledger.entries(export="orders", state=State.VERIFIED)] == ["run-1"]
    assert ledger.entries(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert ledger.entries(run_id="run-2")[0].logical_time == NOON


def test_texts_and_numbers_come_back_as_they_were(ledger: Ledger) -> None:
    delivery = Delivery("größe 'x' \U0001f600", datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "csv", "x" * 3000, "h")
    receipt = {"name": "日本.csv", "bytes": 2**40, "nested": {"a": [1, None, True, 0.1]}}
    with claimed(ledger, delivery) as claim:
        claim.verified(receipt)
    (entry,) = ledger.entries()
    assert (entry.export, entry.logical_time, entry.destination, entry.receipt) == (
        delivery.export,
        delivery.logical_time,
        delivery.destination,
        receipt,
    )


def test_a_newer_ledger_is_left_alone(url: str) -> None:
    import sqlalchemy as sa

    database = Ledger(url).database
    from export_pipeline.ledger.database import ledger_version

    database.change(sa.update(ledger_version).values(version=99))
    with pytest.raises(ConfigError, match="version 99"):
        Ledger(url).entries()


def test_a_locked_ledger_is_worth_another_try(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger = Ledger(url, busy=0.1)
    ledger.entries()
    holder = sqlite3.connect(tmp_path / "ledger.sqlite")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked") as error:
        ledger.claim(ORDERS, "run-1")
    assert error.value.transient
    assert ledger.entries() == []  # reading goes on
    holder.rollback()
    holder.close()
    claimed(ledger)


def _no_server(_: Path) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"postgresql://me:secret@127.0.0.1:{probe.getsockname()[1]}/x"


def _no_ledger(folder: Path) -> str:
    (folder / "notes.txt").write_text("not a database, but long enough to be looked at" * 100)
    return f"sqlite:///{folder / 'notes.txt'}"


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        (_no_server, StorageError, "cannot be used now"),
        (_no_ledger, ConfigError, "is not a ledger"),
        (lambda _: "mysql://x/y", ConfigError, "valid: sqlite, postgresql"),
        (lambda _: "sqlite://", ConfigError, "in memory"),
        (lambda _: "ledger.sqlite", ConfigError, "cannot be read"),
    ],
)
def test_what_is_no_ledger_is_said(
    url: Callable[[Path], str], error: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said) as raised:
        Ledger(url(tmp_path)).entries()
    assert "secret" not in str(raised.value)


def contest(url: str, folder: Path, mode: str, kills: int, *more: str) -> dict[str, int]:
    """Let processes race and die; return the figures."""
    command = [sys.executable, "-W", "error", "-m", "export_pipeline_tests.racers", "--url", url, "--mode", mode]
    command += ["--folder", str(folder), "--kills", str(kills), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.stdout, done.stderr
    figures: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    assert "wrong" not in figures, f"{figures}\n{done.stderr}"
    assert figures["kills"] >= kills
    return figures


def test_never_two_never_none(tmp_path: Path) -> None:
    contest(f"sqlite:///{tmp_path / 'ledger.sqlite'}", tmp_path, "version", 12)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["overwrite", "version", "fail"])
def test_never_two_never_none_after_200_kills(url: str, tmp_path: Path, mode: str) -> None:
    figures = contest(url, tmp_path, mode, 200)
    assert figures["between publishing and receipt"] >= 10
    assert figures["recovered"] >= 10
    assert figures["pauses"] >= 1


@pytest.mark.slow
def test_the_race_catches_a_destination_that_forgets(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the folder has"):
        contest(f"sqlite:///{tmp_path / 'ledger.sqlite'}", tmp_path, "version", 100, "--forgetful")
