"""Who owns a delivery: leases, dead processes, and many that race."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from export_pipeline.errors import DeliveryBusyError
from export_pipeline.ledger import Claim, Delivery, Ledger
from export_pipeline.ledger.owners import machine, new_owner, surely_dead
from export_pipeline_tests.ledgers import NOON, ORDERS, claimed

SHORT = timedelta(seconds=0.3)


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
def test_a_dead_process_is_taken_over_at_once(ledger_url: str) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_claim_and_die, args=(ledger_url,))
    process.start()
    process.join(30)
    with claimed(Ledger(ledger_url), run="run-2") as claim:
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


MANY = [Delivery("orders", NOON, f"csv/part-{number}", "local:/srv/reports", "c0ffee") for number in range(20)]


def test_of_many_threads_one_wins_each_of_many_deliveries(ledger: Ledger) -> None:
    start = threading.Barrier(6)

    def race(number: int) -> list[int]:
        wanted = MANY[number:] + MANY[:number]  # locks are taken in one order all the same
        start.wait()
        answers = ledger.claim_all(wanted, f"run-{number}").answers
        return [MANY.index(each) for each, got in zip(wanted, answers, strict=True) if isinstance(got, Claim)]

    with ThreadPoolExecutor(6) as pool:
        assert sorted(number for won in pool.map(race, range(6)) for number in won) == list(range(20))


def test_many_requests_to_send_again_are_each_served_once(ledger: Ledger) -> None:
    first = ledger.claim_all(MANY, "run-0")
    first.verified({answer: {} for answer in first.held})
    start = threading.Barrier(6)

    def race(number: int) -> int:
        start.wait()
        # two threads make the same request
        return len(ledger.claim_all(MANY, f"run-{number}", redeliver=f"request-{number // 2}").held)

    with ThreadPoolExecutor(6) as pool:
        won = list(pool.map(race, range(6)))
    assert [won[number] + won[number + 1] for number in (0, 2, 4)] == [20, 20, 20]
    for delivery in MANY:
        attempts = {entry.attempt: entry for entry in ledger.attempts(delivery)}
        assert set(attempts) == {1, 2, 3, 4}
        assert {entry.token for entry in attempts.values()} == {"", "request-0", "request-1", "request-2"}
        assert {entry.claims for entry in attempts.values()} == {1}


def test_of_a_batch_only_what_is_still_held_is_written_down(ledger: Ledger) -> None:
    asleep = ledger.claim_all(MANY, "run-1", lease=SHORT)  # never entered: no sign of life
    marks = {claim: {"name": claim.entry.output} for claim in asleep.held}
    asleep.reserve(marks)
    time.sleep(SHORT.total_seconds() * 1.5)
    with ledger.claim_all(MANY[5:8], "run-2") as others:
        assert [claim.entry.reserved for claim in others.held] == [{"name": each.output} for each in MANY[5:8]]
        asleep.renew(asleep.held)  # the others are still its own
        lost = [claim for claim in marks if claim.lost]
        assert [claim.entry.output for claim in lost] == [each.output for each in MANY[5:8]]
        asleep.verified({claim: {"by": "run-1"} for claim in marks})
        others.verified({claim: {"by": "run-2"} for claim in others.held})
        assert asleep.held == others.held == []
    receipts = [ledger.attempts(delivery)[0].receipt for delivery in MANY]
    assert receipts == [{"by": "run-2" if 5 <= number < 8 else "run-1"} for number in range(20)]


def _race_from_nothing(url: str, run: str, at: float) -> str:
    time.sleep(max(0, at - time.time()))
    try:
        claim = Ledger(url).claim(ORDERS, run)
    except DeliveryBusyError:
        return "busy"
    assert isinstance(claim, Claim)
    claim.__enter__()  # held until this process ends
    return "won"


def test_many_processes_make_the_tables_and_one_wins(ledger_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["export_pipeline.ledger.database", __name__])
    with ProcessPoolExecutor(4, context) as pool:
        at = time.time() + 1.5
        outcomes = [pool.submit(_race_from_nothing, ledger_url, f"run-{n}", at) for n in range(4)]
        assert sorted(outcome.result(60) for outcome in outcomes) == ["busy", "busy", "busy", "won"]


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


@pytest.mark.parametrize("mode", ["overwrite", "fail"])
def test_never_two_never_none_of_each_part(tmp_path: Path, mode: str) -> None:
    contest(f"sqlite:///{tmp_path / 'ledger.sqlite'}", tmp_path, mode, 8, "--parts", "20")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["overwrite", "fail"])
def test_never_two_never_none_of_each_part_after_100_kills(ledger_url: str, tmp_path: Path, mode: str) -> None:
    figures = contest(ledger_url, tmp_path, mode, 100, "--parts", "40")
    assert figures["between publishing and receipt"] >= 10
    assert figures["recovered"] >= 10


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["overwrite", "version", "fail"])
def test_never_two_never_none_after_200_kills(ledger_url: str, tmp_path: Path, mode: str) -> None:
    figures = contest(ledger_url, tmp_path, mode, 200, "--pauses", "1")
    assert figures["between publishing and receipt"] >= 10
    assert figures["recovered"] >= 10


@pytest.mark.slow
def test_the_race_catches_a_destination_that_forgets(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the folder has"):
        contest(f"sqlite:///{tmp_path / 'ledger.sqlite'}", tmp_path, "version", 100, "--forgetful")
    with pytest.raises(AssertionError, match=r"published .* times"):
        contest(f"sqlite:///{tmp_path / 'parts.sqlite'}", tmp_path, "overwrite", 100, "--forgetful", "--parts", "20")
