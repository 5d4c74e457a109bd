"""The ledger, on SQLite and on PostgreSQL."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from export_pipeline.errors import ConfigError, DeliveryBusyError, StorageError, UnknownDeliveryError
from export_pipeline.ledger import Claim, Delivery, Entry, Ledger, State
from export_pipeline_tests.ledgers import NOON, ORDERS, claimed


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


def test_each_of_many_deliveries_gets_its_own_answer(ledger: Ledger) -> None:
    made, busy, lost, failed, new = (
        Delivery("orders", NOON, output, "local:/srv/reports", "c0ffee")
        for output in ("made", "busy", "lost", "failed", "new")
    )
    claimed(ledger, made).verified({"n": 1})
    claimed(ledger, lost).unknown("the line broke")
    claimed(ledger, failed).failed("no luck")
    with claimed(ledger, busy), ledger.claim_all([busy, new, made, failed, lost], "run-2") as claims:
        kinds = [type(answer) for answer in claims.answers]
        assert kinds == [DeliveryBusyError, Claim, Entry, Claim, UnknownDeliveryError]
        assert [claim.entry.output for claim in claims.held] == ["new", "failed"]
        claims.verified({claims.held[0]: {}})
    states = [ledger.attempts(delivery)[0].state for delivery in (made, busy, lost, failed, new)]
    assert states == [
        State.VERIFIED,
        State.FAILED,
        State.UNKNOWN,
        State.FAILED,
        State.VERIFIED,
    ]  # the rest is given back
    assert ledger.attempts(failed)[0].error == "given up"
    assert ledger.claim_all([], "run-2").answers == []


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


def test_a_newer_ledger_is_left_alone(ledger_url: str) -> None:
    import sqlalchemy as sa

    database = Ledger(ledger_url).database
    from export_pipeline.ledger.database import ledger_version

    with database.transaction() as connection:
        connection.execute(sa.update(ledger_version).values(version=99))
    with pytest.raises(ConfigError, match="version 99"):
        Ledger(ledger_url).entries()


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
