"""SIGKILL at seeded moments of one export: no wrong file, the next run right, one receipt, leftovers swept."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from export_pipeline import demo
from export_pipeline.home import Home
from export_pipeline.ledger import Ledger, State
from export_pipeline.staging import Staging, sweep
from export_pipeline_tests.acceptance.relations import UNTIL
from export_pipeline_tests.acceptance.victims import STAGES

ROWS = 60_000
SEED = 7
WORKING = STAGES[1:-1]
"""The stages in which a run can die."""
FORMATS: tuple[tuple[str, Any, str], ...] = (
    (".csv", "csv", "overwrite"),
    (".parquet", "parquet", "version"),
    (".ndjson", {"json": {"layout": "lines"}}, "overwrite"),
    (".xlsx", "excel", "fail"),
)
LOG = "victims.log"
FORMER = b"the former good file\n"
LOGICAL = datetime(2026, 4, 1, 5, 0, tzinfo=UTC)
CONFIG: dict[str, Any] = {
    "name": "report",
    "timezone": "Europe/Berlin",
    "source": {"store": "archive", "dataset": "commands"},
    "filter": [{"time_range": {"last": "170 days"}}, {"not": {"status": "running"}}],
    "columns": {"include": ["id", "agent_id", "status", "started_at", "duration_ms", "cost_usd", "message"]},
    "sort": "-cost_usd",
    "file_name": "report",
}


@dataclass
class Scene:
    """A home folder, and a process that forks those that run exports in it."""

    home: Home
    process: subprocess.Popen[str]
    lines: dict[str, dict[str, int]] = field(default_factory=dict)
    """Ending -> stage -> lines of the package that run in it."""
    digests: dict[str, str] = field(default_factory=dict)
    """Ending -> SHA-256 of the right file."""
    seconds: float = 1.0
    """How long a run takes here."""
    killed: Counter[str] = field(default_factory=Counter)
    """Stage -> runs that were killed in it."""
    between: int = 0
    """Those of them that had published their file, and had no receipt."""

    def order(self, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(order), file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert answer["ended"] not in ("failed", "broken"), (answer, (self.home.root / LOG).read_text()[-2000:])
        return answer

    def export(self, case: str, place: int) -> tuple[Path, Path, str, str]:
        """Write the export of a case; return its file, the folder that it delivers to, the file's ending, and mode."""
        ending, format_, mode = FORMATS[place % len(FORMATS)]
        folder = self.home.out / case
        path = self.home.exports / f"{case}.yaml"
        config = CONFIG | {"format": format_, "deliver": {"local": {"folder": case, "if_exists": mode}}}
        path.write_text(yaml.safe_dump(config))
        folder.mkdir()
        if mode != "fail":
            (folder / f"report{ending}").write_bytes(FORMER)
        return path, folder, ending, mode

    def run(self, path: Path, run: str, **point: Any) -> dict[str, Any]:
        return self.order(export=str(path), run=run, logical_time=LOGICAL.isoformat(), **point)

    def rehearse(self) -> None:
        """Run each format once: how many lines the stages have, and what the right file is."""
        for place, (ending, _, mode) in enumerate(FORMATS):
            path, folder, _, _ = self.export(f"rehearsal{place}", place)
            count = self.home.root / "count.json"
            assert self.run(path, f"rehearsal-{place}", count=str(count))["ended"] == "done"
            self.lines[ending] = json.loads(count.read_text())
            made = folder / f"report{' (2)' if mode == 'version' else ''}{ending}"
            self.digests[ending] = digest(made)
            assert made.stat().st_size > 500_000
        path, *_ = self.export("unhurried", 0)
        begun = time.monotonic()
        assert self.run(path, "unhurried")["ended"] == "done"
        self.seconds = time.monotonic() - begun

    def check_folder(self, folder: Path, ending: str, mode: str, *, done: bool) -> None:
        """Every visible file is the former one or the right one; after a run that was not killed, both are there."""
        seen = {path.name: path for path in folder.iterdir() if not path.name.startswith(".")}
        former = hashlib.sha256(FORMER).hexdigest()
        name, second = f"report{ending}", f"report (2){ending}"
        allowed = {
            "overwrite": [{name: former}, {name: self.digests[ending]}],
            "version": [{name: former}, {name: former, second: self.digests[ending]}],
            "fail": [{}, {name: self.digests[ending]}],
        }[mode]
        assert {key: digest(path) for key, path in seen.items()} in allowed[done:]
        if done:
            assert sorted(path.name for path in folder.iterdir()) == sorted(allowed[1]), "hidden leftovers"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    home = Home(tmp_path_factory.mktemp("kills")).create()
    demo.create(home.root, rows=ROWS, until=UNTIL)
    log = (home.root / LOG).open("w")
    command = [sys.executable, "-m", "export_pipeline_tests.acceptance.victims", str(home.root)]
    with (
        log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        made = Scene(home, process)
        made.rehearse()
        yield made
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


@dataclass(frozen=True)
class Point:
    """Where a run dies: in a stage (or between publishing and receipt), at a share of it, counted by `by`."""

    at: str
    by: str
    share: float


def points() -> list[Point]:
    """Return the moments, the same each time."""
    dice = random.Random(SEED)
    made = [Point(stage, "line", dice.random()) for stage in WORKING for _ in range(3)]
    made += [Point(stage, "rows", dice.random()) for stage in ("extract", "write", "verify") for _ in range(2)]
    made += [Point("published", "line", dice.random()) for _ in range(7)]
    made += [Point(stage, "line", dice.random()) for stage in ("extract", "write", "deliver") for _ in range(2)]
    made += [Point("", "seconds", dice.random()) for _ in range(8)]
    return made


POINTS = points()


@pytest.mark.parametrize("number", range(len(POINTS)), ids=lambda n: f"{n}-{POINTS[n].at or 'any'}-{POINTS[n].by}")
def test_a_killed_run_does_no_harm(scene: Scene, number: int) -> None:
    point = POINTS[number]
    path, folder, ending, mode = scene.export(f"case{number}", number)
    if point.by == "seconds":
        order: dict[str, Any] = {"seconds": point.share * scene.seconds}
    else:
        whole = ROWS if point.by == "rows" else scene.lines[ending][point.at]
        order = {"at": point.at, point.by: int(point.share * whole)}
    with Staging(scene.home.staging, "neighbour").held() as neighbour:
        dead = scene.run(path, f"dead-{number}", **order)
        if point.by != "seconds":
            assert dead["ended"] == "killed", dead
            assert (dead["phase"] == "published") if point.at == "published" else (dead["stage"] == point.at), dead
        scene.check_folder(folder, ending, mode, done=False)
        left = Staging(scene.home.staging, f"dead-{number}").folder.exists()
        assert sweep(scene.home.staging, timedelta(0)) == ([f"dead-{number}"] if left else [])
        assert scene.run(path, f"next-{number}")["ended"] == "done"
        assert [entry.name for entry in scene.home.staging.iterdir()] == [neighbour.name]
    scene.check_folder(folder, ending, mode, done=True)
    ledger = Ledger(scene.home.ledger_url)
    entries = [e for e in ledger.entries(limit=10_000) if e.destination == f"local:{folder}"]
    assert [(entry.state, entry.attempt) for entry in entries] == [(State.VERIFIED, 1)]
    receipt = entries[0].receipt or {}
    assert receipt["sha256"] == scene.digests[ending]
    assert receipt["name"] == f"report{' (2)' if mode == 'version' else ''}{ending}"
    written_by_dead = receipt["run_id"] == f"dead-{number}"
    assert written_by_dead or dead["phase"] != "published" or receipt.get("recovered")
    assert dead["stage"] == "deliver" or not receipt.get("recovered")
    scene.killed[dead["stage"]] += dead["ended"] == "killed"
    scene.between += dead["phase"] == "published" and not written_by_dead
    if number % 8 == 0:  # a third run finds the receipt and sends nothing
        made = folder / receipt["name"]
        before = made.stat()
        assert scene.run(path, f"third-{number}")["ended"] == "done"
        assert (made.stat().st_ino, made.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        scene.check_folder(folder, ending, mode, done=True)


def test_enough_runs_were_killed_everywhere(scene: Scene) -> None:
    if not scene.killed:
        pytest.skip("counts what the tests before it did in this process")
    assert scene.killed.total() >= 40, scene.killed
    assert scene.between >= 5, scene.between
    assert all(scene.killed[stage] >= 3 for stage in WORKING), scene.killed


def test_a_sleeping_neighbour_is_not_swept(scene: Scene) -> None:
    """A run that is asleep at any boundary of its stages is alive: its folder stays, and it ends well."""
    sweep(scene.home.staging, timedelta(0))
    path, folder, ending, mode = scene.export("neighbours", 0)
    answer = scene.run(path, "sleeper", pause=True)
    naps = 0
    while answer["ended"] == "asleep":
        naps += 1
        assert sweep(scene.home.staging, timedelta(0)) == [], f"at boundary {naps} of {STAGES}"
        answer = scene.order(wake=answer["pid"])
    assert (answer["ended"], naps) == ("done", len(STAGES) - 1)
    scene.check_folder(folder, ending, mode, done=True)
