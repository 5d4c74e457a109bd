"""Ctrl-C and its kin: whatever happens to the command, the run ends and nothing half-written is left."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from export_pipeline.home import Home
from export_pipeline.service import ExportService
from export_pipeline_tests.cli.terminal import Terminal, children, inside, living, terminal

SOON = 5.0
"""Seconds after Ctrl-C on a busy machine; 2 on a quiet one."""


def _worker(started: Terminal) -> int:
    (pid,) = children(started.pid)
    return pid


def _gone(pid: int, timeout: float = SOON) -> bool:
    end = time.monotonic() + timeout
    while living(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not living(pid)


def _states(home: Path) -> list[str]:
    return [result.state for _, result in ExportService(Home(home)).get_export_history()]


def _left(home: Path) -> list[Path]:
    """Return what a cancelled run left behind."""
    return [path for folder in ("out", ".staging") for path in (home / folder).rglob("*")]


@pytest.mark.parametrize(("export", "stage"), [("slow", "write"), ("waiting", "plan")])
def test_ctrl_c(shared: Path, export: str, stage: str) -> None:
    with terminal(shared, "run", export, columns=80) as run:
        run.until(f"{export}: {stage} +[━╸╺]")
        assert max(len(part) for part in re.split(r"[\r\n]", run.plain)) <= 80
        worker = _worker(run)
        pressed = time.monotonic()
        run.press("\x03")
        assert run.wait() == 130
        assert time.monotonic() - pressed < SOON
        assert _gone(worker, 1)
        cause, cure, again = run.plain.strip().splitlines()[-3:]
        assert "cancelled: nothing half-written is left" in cause
        assert cure == "What has a receipt already stays, and is not sent twice."
        assert again.startswith("Try again: export-pipeline --home")
    assert _states(shared)[0] == "cancelled"
    assert _left(shared) == []


@pytest.mark.parametrize("moment", [0.1, 0.6, 1.2])
def test_ctrl_c_before_there_is_a_run(home: Path, moment: float) -> None:
    (home / ".dagster").mkdir()
    with terminal(home, "run", "failed-commands") as run:
        time.sleep(moment)
        workers = children(run.pid)
        run.press("\x03")
        assert run.wait() in (130, -signal.SIGINT), run.plain
        for worker in workers:
            assert _gone(worker)
        assert not re.search("^Traceback", run.plain, re.MULTILINE)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_command_that_is_ended_cancels_its_run(shared: Path, how: signal.Signals) -> None:
    with terminal(shared, "run", "waiting") as run:
        run.until("waiting: plan")
        worker = _worker(run)
        os.kill(run.pid, how)
        assert run.wait() == (-signal.SIGKILL if how is signal.SIGKILL else 130)
        assert _gone(worker)
    assert _states(shared)[0] == "cancelled"
    assert _left(shared) == []


def test_a_killed_worker_is_a_failure(shared: Path) -> None:
    with terminal(shared, "run", "waiting") as run:
        run.until("waiting: plan")
        os.kill(_worker(run), signal.SIGKILL)
        assert run.wait() == 1
        cause, cure, again = run.plain.strip().splitlines()[-3:]
        assert "the process of the run died: without a word" in cause
        assert "out of memory" in cure
        assert again.startswith("Try again: export-pipeline --home")
    assert _states(shared)[0] == "failed"


def test_both_killed(shared: Path) -> None:
    with terminal(shared, "run", "waiting") as run:
        run.until("waiting: plan")
        worker = _worker(run)
        os.kill(run.pid, signal.SIGSTOP)
        os.kill(worker, signal.SIGKILL)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    assert _states(shared)[0] == "failed"  # whoever looks first writes it down


def test_cancel_from_another_terminal(shared: Path) -> None:
    with terminal(shared, "run", "waiting") as run:
        run.until("waiting: plan")
        worker = _worker(run)
        ((_, latest),) = ExportService(Home(shared)).get_export_history(limit=1)
        run_id = latest.run_id
        status = inside(shared, "status", run_id[:8])
        assert status.out.splitlines() == ["waiting: running", "stage plan"]
        done = inside(shared, "cancel", run_id[:8])
        assert (done.code, done.out.strip()) == (0, "waiting: cancelled")
        assert run.wait() == 130
        assert _gone(worker, 1)
    again = inside(shared, "cancel", run_id)
    assert again.code == 2
    assert "is over: cancelled" in again.told[0]


def test_cancel_of_no_run(home: Path) -> None:
    done = inside(home, "cancel", "nope")
    assert done.code == 2
    assert done.told[0] == "there is no run 'nope'"
    assert done.told[1] == "export-pipeline history shows them."
