"""Which runs have a living process: a lock for each worker of the command line, and an end for runs that lost theirs.

Dagster watches the processes that its instance starts. A run that the command line started has nobody to watch it: its
worker holds a lock, which no crash, no full disk and no reboot can leave behind.
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
from export_pipeline.files import storage_error
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


def _lock(home: Home, run_id: str) -> Path:
    return home.dagster / FOLDER / run_id


@contextlib.contextmanager
def alive(home: Home, run_id: str) -> Iterator[None]:
    """Hold the lock that says: the process of this run lives."""
    path = _lock(home, run_id)
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


def lives(home: Home, run_id: str) -> bool:
    """Return whether the worker of this run lives."""
    try:
        handle = os.open(_lock(home, run_id), os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)


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
        if labels.WORKER in run.tags and not lives(home, run.run_id):
            again = dagster.get_run_by_id(run.run_id)  # it may have ended between the two looks
            if again is not None and not again.is_finished:
                end(dagster, again)
                _lock(home, run.run_id).unlink(missing_ok=True)
                buried.append(run.run_id)
    return buried


def bury_abandoned(dagster: dg.DagsterInstance, home: Home) -> list[str]:
    """End the runs of an instance that is gone, before another one starts; queued ones stay and are run by it."""
    buried = bury(dagster, home)
    for run in dagster.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if labels.WORKER not in run.tags:
            end(dagster, run, "the instance that ran it was ended")
            buried.append(run.run_id)
    return buried


def going(dagster: dg.DagsterInstance) -> list[str]:
    """Return the ids of the runs that the instance itself is running; neither queued ones nor the command line's."""
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    return [run.run_id for run in dagster.get_runs(wanted) if labels.WORKER not in run.tags]


def is_over(dagster: dg.DagsterInstance, run_id: str) -> bool:
    """Return whether a run has ended, or is not there any more."""
    run = dagster.get_run_by_id(run_id)
    return run is None or run.is_finished
