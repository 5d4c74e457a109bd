"""Dagster's instance of a home folder: its settings, written where they are missing, and its history."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.resources
from collections.abc import Iterator

import dagster as dg

from export_pipeline import files
from export_pipeline.home import Home

SETTINGS = "instance.yaml"
"""The settings that `up` and `run` give to Dagster; the same as those of a clone, less the place of the storage."""

READY = "made"
"""In Dagster's folder: there once the databases are complete."""


def settings() -> str:
    """Return the text of the settings."""
    return (importlib.resources.files("export_pipeline.defs") / SETTINGS).read_text("utf-8")


def prepare(home: Home) -> None:
    """Write Dagster's settings into the home folder where there are none; a person's own stay."""
    path = home.create().dagster / "dagster.yaml"
    if not path.exists():
        files.write_text(path, settings())


@contextlib.contextmanager
def open_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """Open the history of a home folder; made by whoever needs it first."""
    prepare(home)
    if not (home.dagster / READY).exists():
        _make(home)
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        yield instance


def _make(home: Home) -> None:
    """Make the databases of the history: one process at a time, two would be in each other's way."""
    with (home.dagster / "making.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (home.dagster / READY).exists():
            return
        with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
            instance.get_runs_count()
            instance.event_log_storage.get_event_records(dg.EventRecordsFilter(dg.DagsterEventType.RUN_START), limit=1)
            instance.all_instigator_state()
        (home.dagster / READY).touch()
