"""Processes that race for one delivery and are killed all the time: `python -m export_pipeline_tests.racers --help`.

One round is one delivery. Four processes try to make it until they have a receipt; most of them get a SIGKILL first: at
a line of the program chosen by the seed, at a line shortly after the publishing call or after the look for what a dead
process published, or from outside at a moment chosen by the seed; others take their places. After each round the
folder must have the file once, whole, and the ledger one receipt for it. In every third round the processes pretend to
be on machines of their own, so that only leases tell who is dead; there some fall asleep (SIGSTOP) just before they
publish, and wake up when another has taken over.

With `--parts` a delivery is a folder of so many files, in several batches. Then each part must be there once, whole,
published once and with one receipt, and the last one never before the receipts of all others.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from export_pipeline.destinations import Local, Receipt
from export_pipeline.ledger import Ledger, State, database
from export_pipeline.manifest import Written
from export_pipeline.verification import Artifact
from export_pipeline_tests.folders import DONE, folder_of
from export_pipeline_tests.racer import BROKEN, DELIVERED, FOUND, LEASE, Forgetful, Round, race

assert database.VERSION  # loaded here, so that the forked processes need not
RACERS = 4
LINES = 980
"""Lines of the package that one delivery runs through, about."""
LINES_AFTER = 360
"""Those of them from the publishing call to the receipt, about."""
LINES_OF_A_PART = 700
"""The same for each part of a folder."""
PHASES = ("before publishing", "while publishing", "between publishing and receipt")


class Contest:
    """Rounds until enough processes were killed, and enough were asleep for longer than they hold their claims."""

    def __init__(
        self,
        url: str,
        folder: Path,
        mode: str,
        kills: int,
        pauses: int,
        seed: int,
        destination: type[Local],
        parts: int,
    ) -> None:
        self.enough = pauses
        """How many must sleep for that long."""
        self.url, self.folder, self.mode, self.kills, self.destination = url, folder, mode, kills, destination
        self.parts = parts
        self.random = random.Random(seed)
        self.marks = mmap.mmap(-1, mmap.PAGESIZE)
        self.published = mmap.mmap(-1, mmap.PAGESIZE)
        """How often each part was published, as far as its process lived to tell."""
        self.deaths: Counter[str] = Counter()
        self.recovered = self.takeovers = self.rounds = self.pauses = 0

    def run(self) -> dict[str, Any]:
        """Race; return the figures. Raises AssertionError where a file is there twice, not at all, or wrong."""
        begun = time.monotonic()
        while self.deaths.total() < self.kills or self.pauses < self.enough:
            self._round(self._prepare(self.rounds))
            self.rounds += 1
        return {
            "mode": self.mode,
            "kills": self.deaths.total(),
            **{phase: self.deaths[phase] for phase in PHASES},
            "rounds": self.rounds,
            "recovered": self.recovered,
            "takeovers": self.takeovers,
            "pauses": self.pauses,
            "seconds": round(time.monotonic() - begun, 1),
        }

    def _prepare(self, number: int) -> Round:
        root = self.folder / f"{self.mode}-{number}"
        (root / "reports").mkdir(parents=True)
        self.published[:] = bytes(mmap.PAGESIZE)
        destination = self.destination(folder="reports", if_exists=self.mode)
        if self.parts:
            folder = folder_of(root / "staged", "lake/report", self.parts)
            return Round(number, self.mode, root, folder, self.url, number % 3 == 1, destination, {})
        before = {}
        if self.mode != "fail" and self.random.random() < 0.5:
            before["report.csv"] = b"a former good file\n"
            (root / "reports" / "report.csv").write_bytes(before["report.csv"])
        data = self.random.randbytes(self.random.choice([0, 1, 5_000, 3_000_000]))
        staged = root / "staged"
        staged.write_bytes(data)
        file = Written(staged, "report.csv", len(data), hashlib.sha256(data).hexdigest())
        return Round(number, self.mode, root, file, self.url, number % 3 == 1, destination, before)

    def _death(self, foreign: bool) -> tuple[str, int]:
        kind = self.random.choice(["line", "after", "after", "after", "outside", "pause" if foreign else "after"])
        lines = LINES_OF_A_PART * self.parts
        most = {
            "line": LINES + lines,
            "after": LINES_AFTER + lines,
            "outside": 60 + 20 * self.parts,
            "pause": 1 + self.parts,
        }[kind]
        return kind, self.random.randrange(most)

    def _round(self, round_: Round) -> None:
        budget = self.random.randint(4, 14)
        living: dict[int, tuple[int, float | None]] = {}
        asleep: dict[int, float] = {}
        results: Counter[int] = Counter()
        for slot in range(RACERS):
            pid, doomed = self._start(round_, slot, may_die=budget > 0)
            living[pid] = doomed
            budget -= 1
        end = time.monotonic() + 60
        while living:
            assert time.monotonic() < end, f"round {round_.number} of {self.mode} does not end"
            for pid, (slot, when) in list(living.items()):
                if when is not None and time.monotonic() >= when:
                    os.kill(pid, signal.SIGKILL)  # not waited for yet: the id is still this child's
                    living[pid] = (slot, None)
                done, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
                if done and os.WIFSTOPPED(status):
                    self.pauses += 1
                    asleep[pid] = time.monotonic() + 1.5 * LEASE
                if pid in asleep and time.monotonic() > asleep[pid]:
                    del asleep[pid]
                    os.kill(pid, signal.SIGCONT)
                if done == 0 or os.WIFSTOPPED(status):
                    continue
                del living[pid]
                if os.WIFSIGNALED(status):
                    assert os.WTERMSIG(status) == signal.SIGKILL, f"a racer died of signal {os.WTERMSIG(status)}"
                    self.deaths[PHASES[self.marks[slot]]] += 1
                    pid, doomed = self._start(round_, slot, may_die=budget > 0)
                    living[pid] = doomed
                    budget -= 1
                else:
                    results[os.WEXITSTATUS(status)] += 1
            time.sleep(0.001)
        self._check(round_, results)

    def _start(self, round_: Round, slot: int, *, may_die: bool) -> tuple[int, tuple[int, float | None]]:
        """Fork a racer; return its process id, its slot, and when it is to be killed from outside."""
        kind, line = self._death(round_.foreign) if may_die else ("never", 0)
        self.marks[slot] = 0
        pid = os.fork()
        if pid == 0:
            code = BROKEN
            try:
                code = race(
                    round_, f"run-{slot}", lambda phase: self._mark(slot, phase), (kind, line), self._count(round_)
                )
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        return pid, (slot, time.monotonic() + line / 1000 if kind == "outside" else None)

    def _mark(self, slot: int, phase: int) -> None:
        self.marks[slot] = phase

    def _count(self, round_: Round) -> Callable[[str], None]:
        """Return what counts a part as published; one that came last too early is counted as many."""
        if not isinstance(round_.file, Artifact):
            return lambda _: None
        numbers = {Path(part.name).name: number for number, part in enumerate(round_.file.parts)}
        ledger = Ledger(self.url)

        def count(name: str) -> None:
            self.published[numbers[name]] += 1
            if name == DONE and len(_verified(ledger, round_)) < len(numbers) - 1:
                self.published[numbers[name]] += 100

        return count

    def _check(self, round_: Round, results: Counter[int]) -> None:
        """Exactly one file, exactly one receipt, right bytes, nothing else in the folder."""
        where = f"round {round_.number} of {self.mode}"
        assert results[BROKEN] == 0, f"{where}: a racer failed"
        assert results[DELIVERED] + results[FOUND] == RACERS, f"{where}: racers ended with {results}"
        if not self.parts:
            assert results[DELIVERED] <= 1, f"{where}: {results[DELIVERED]} racers say that they delivered it"
        published = self.published[: self.parts + 1]
        assert max(published) <= 1, f"{where}: published {list(published)} times"
        ledger = Ledger(self.url)
        version = 2 if self.mode == "version" and round_.before else 1
        final = {output: "report (2).csv" if version == 2 else name for output, (name, *_) in round_.files.items()}
        expected = round_.before | {final[output]: path.read_bytes() for output, (_, path, _) in round_.files.items()}
        there = _swept(round_, ledger)
        assert there.keys() == expected.keys(), f"{where}: the folder has {sorted(there)}, not {sorted(expected)}"
        assert there == expected, f"{where}: wrong bytes"
        for output, (_, _, sha256) in round_.files.items():
            (entry,) = ledger.attempts(round_.delivery(ledger, output))
            assert entry.state is State.VERIFIED, f"{where}: the ledger says {entry.state}"
            receipt = Receipt.model_validate(entry.receipt)
            assert (receipt.name, receipt.version, receipt.sha256) == (final[output], version, sha256), (
                f"{where}: {entry}"
            )
            self.recovered += receipt.recovered
            self.takeovers += entry.claims - 1


def _verified(ledger: Ledger, round_: Round) -> list[str]:
    """Return the labels of this round's files that have a receipt."""
    moment = round_.request("", ledger).logical_time
    entries = ledger.entries(export="race", state=State.VERIFIED, limit=1000)
    return [entry.output for entry in entries if entry.logical_time == moment]


def _swept(round_: Round, ledger: Ledger) -> dict[str, bytes]:
    """Return the files of a round by name, without what dead processes left."""
    reports = round_.folder / "reports"
    request = round_.request("", ledger)
    for folder in {Path(name).parent for name, *_ in round_.files.values()}:
        round_.destination.replace(folder=str("reports" / folder)).sweep(request)
    return {path.relative_to(reports).as_posix(): path.read_bytes() for path in reports.rglob("*") if path.is_file()}


def main() -> int:
    """Race as the command line says; print the figures as one line of JSON, or what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the ledger")
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder")
    parser.add_argument("--mode", choices=["overwrite", "version", "fail"], required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pauses", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--forgetful", action="store_true", help="do not look for what a dead process published")
    parser.add_argument("--parts", type=int, default=0, help="deliver folders of so many parts")
    given = parser.parse_args()
    destination = Forgetful if given.forgetful else Local
    contest = Contest(
        given.url, given.folder, given.mode, given.kills, given.pauses, given.seed, destination, given.parts
    )
    try:
        print(json.dumps(contest.run()))
    except AssertionError as error:
        print(json.dumps({"wrong": str(error)}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
