"""Which runs have a living process: a lock for each process that we start, and an end for runs that lost theirs.

Dagster watches the processes that it starts itself. A run of the command line has nobody to watch it, and one that a
ready process runs may lose the launcher that does: such a process holds a lock, which no crash, no full disk and no
reboot can leave behind. The locks stand in Dagster's folder, so that whoever knows the history knows them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from export_pipeline import labels
from export_pipeline.files import is_locked, storage_error
from export_pipeline.home import Home

FOLDER = "workers"
"""In Dagster's folder: the locks."""
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""States of runs that some process should be working on."""
ENDS = {dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED}
"""The last event of a run."""


def _lock(dagster: Path, run_id: str) -> Path:
    return dagster / FOLDER / run_id


@contextlib.contextmanager
def alive(dagster: Path, run_id: str) -> Iterator[None]:
    """Hold the lock in Dagster's folder that says: the process of this run lives."""
    path = _lock(dagster, run_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    except OSError as error:
        raise storage_error(error, path) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def lives(dagster: Path, run_id: str) -> bool:
    """Return whether the process of this run lives, if it is one that holds a lock."""
    return is_locked(_lock(dagster, run_id))


def forget(dagster: Path, run_id: str) -> None:
    """Delete the lock of a process that died."""
    _lock(dagster, run_id).unlink(missing_ok=True)


def end(dagster: dg.DagsterInstance, run: dg.DagsterRun, message: str = "the process of the run died") -> None:
    """Write down the end of a run without a process: the one it came to, else cancelled if asked for, else failed."""
    records = dagster.get_records_for_run(run.run_id, of_type=ENDS).records
    reached = records[-1].event_log_entry if records else None
    if reached is not None and reached.dagster_event is not None:  # it was asked to stop when it was over already
        moment = datetime.fromtimestamp(reached.timestamp, UTC)
        dagster.run_storage.handle_run_event(run.run_id, reached.dagster_event, moment)
    elif run.status is dg.DagsterRunStatus.CANCELING:
        dagster.report_run_canceled(run, message="cancelled; the process of the run is gone")
    else:
        dagster.report_run_failed(run, message=message)


def bury(dagster: dg.DagsterInstance, home: Home) -> list[str]:
    """End the command line's runs whose worker is gone; return their ids."""
    buried = []
    for run in dagster.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if _of_command_line(run) and not lives(home.dagster, run.run_id):
            again = dagster.get_run_by_id(run.run_id)  # it may have ended between the two looks
            if again is not None and not again.is_finished:
                end(dagster, again)
                forget(home.dagster, run.run_id)
                buried.append(run.run_id)
    return buried


def bury_abandoned(dagster: dg.DagsterInstance, home: Home) -> list[str]:
    """End the runs of an instance that is gone, before another one starts; queued ones stay and are run by it."""
    buried = bury(dagster, home)
    for run in dagster.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if not _of_command_line(run):
            end(dagster, run, "the instance that ran it was ended")
            forget(home.dagster, run.run_id)
            buried.append(run.run_id)
    return buried


def going(dagster: dg.DagsterInstance) -> list[str]:
    """Return the ids of the runs that the instance itself is running; neither queued ones nor the command line's."""
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    return [run.run_id for run in dagster.get_runs(wanted) if not _of_command_line(run)]


def _of_command_line(run: dg.DagsterRun) -> bool:
    """Return whether the command line runs it; one of an instance that repeats such a run has its tags, too."""
    return labels.WORKER in run.tags and labels.PROCESS not in run.tags


def is_over(dagster: dg.DagsterInstance, run_id: str) -> bool:
    """Return whether a run has ended, or is not there any more."""
    run = dagster.get_run_by_id(run_id)
    return run is None or run.is_finished
