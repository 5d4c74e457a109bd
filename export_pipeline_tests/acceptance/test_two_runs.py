"""Two processes that run one export at once: one delivers, the other finds its receipt or waits for another try."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from export_pipeline.home import Home
from export_pipeline.ledger import Ledger, State
from export_pipeline_tests.acceptance.desk import FORMER, rows

ROUNDS = 10
FIRST = datetime(2026, 11, 5, 9, 30, tzinfo=UTC)
MODES = ("overwrite", "version", "fail")


@dataclass
class Runner:
    """A process that runs exports when it is told to."""

    process: subprocess.Popen[str]

    def tell(self, **order: Any) -> None:
        print(json.dumps(order), file=self.process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home(tmp_path_factory.mktemp("two")).create()
    rows(30_000).write_parquet(made.root / "commands.parquet", row_group_size=5_000)
    return made


@pytest.fixture(scope="module")
def runners(home: Home) -> Iterator[tuple[Runner, Runner]]:
    with ExitStack() as stack:
        log = stack.enter_context((home.root / "runners.log").open("w"))
        made = []
        for _ in range(2):
            command = [sys.executable, "-m", "export_pipeline_tests.acceptance.victims", str(home.root)]
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
            )
            made.append(Runner(process))
        yield made[0], made[1]
        for runner in made:
            assert runner.process.stdin is not None
            runner.process.stdin.close()


def export(home: Home, mode: str, name: str) -> Path:
    """Write an export with a folder of its own, in which a former file has the name; return its path."""
    folder = home.out / name
    folder.mkdir()
    if mode != "fail":
        (folder / "report.csv").write_bytes(FORMER)
    deliver = {"local": {"folder": name, "if_exists": mode}}
    body = {"name": "report", "source": {"files": "commands.parquet"}, "file_name": "report", "deliver": deliver}
    path = home.exports / f"{name}.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def check(home: Home, mode: str, name: str) -> None:
    """There is the right file, once, with one receipt, and nothing half done."""
    folder = home.out / name
    listed = {path.name: path.read_bytes() for path in folder.iterdir()}
    right = listed.pop("report (2).csv" if mode == "version" else "report.csv")
    assert right.startswith(b"id,agent,status,cost,at,digest\r\n")
    assert right.count(b"\r\n") == 30_001
    assert listed == ({"report.csv": FORMER} if mode == "version" else {})
    entries = [e for e in Ledger(home.ledger_url).entries(limit=1000) if e.destination == f"local:{folder}"]
    assert [(entry.state, entry.attempt) for entry in entries] == [(State.VERIFIED, 1)]
    assert list(home.staging.iterdir()) == []


def refusals(home: Home) -> int:
    """Return how often a run said that another one was delivering."""
    lines = (home.root / "runners.log").read_text().splitlines()
    return sum(line.startswith("export_pipeline.errors.DeliveryBusyError: ") for line in lines)


@pytest.mark.parametrize("mode", MODES)
def test_two_runs_at_once_deliver_one_file(home: Home, runners: tuple[Runner, Runner], mode: str) -> None:
    ends: Counter[str] = Counter()
    before = refusals(home)
    for number in range(ROUNDS):
        name = f"{mode}-{number}"
        path, when = export(home, mode, name), (FIRST + timedelta(hours=number)).isoformat()
        for place, runner in enumerate(runners):
            runner.tell(export=str(path), run=f"{name}-{place}", logical_time=when)
        answers = [runner.answer()["ended"] for runner in runners]
        assert "done" in answers, (home.root / "runners.log").read_text()[-2000:]
        assert set(answers) <= {"done", "failed"}
        ends.update(answers)
        check(home, mode, name)
    assert ends["failed"] == refusals(home) - before, "a run failed of something else than the other one's delivery"


def test_a_run_that_sleeps_while_another_delivers_finds_its_receipt(home: Home, runners: tuple[Runner, Runner]) -> None:
    path = export(home, "version", "asleep")
    sleeper, other = runners
    order = {"export": str(path), "logical_time": FIRST.isoformat()}
    sleeper.tell(**order, run="sleeper", pause=True)
    answer = sleeper.answer()
    while answer["ended"] == "asleep":
        if answer["stage"] == "deliver":
            other.tell(**order, run="other")
            assert other.answer()["ended"] == "done"
        sleeper.tell(wake=answer["pid"])
        answer = sleeper.answer()
    assert answer["ended"] == "done"
    check(home, "version", "asleep")


def test_two_logical_times_at_once_are_two_files(home: Home, runners: tuple[Runner, Runner]) -> None:
    path = export(home, "version", "ticks")
    for place, runner in enumerate(runners):
        runner.tell(export=str(path), run=f"tick-{place}", logical_time=(FIRST + timedelta(days=place)).isoformat())
    assert [runner.answer()["ended"] for runner in runners] == ["done", "done"]
    assert sorted(each.name for each in (home.out / "ticks").iterdir()) == [
        "report (2).csv",
        "report (3).csv",
        "report.csv",
    ]
