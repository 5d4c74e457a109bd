"""Dagster's instance of a home folder: its settings, written where they are missing, and its history."""

from __future__ import annotations

import contextlib
import importlib.resources
from collections.abc import Iterator

import dagster as dg

from export_pipeline import files
from export_pipeline.home import Home

SETTINGS = "instance.yaml"
"""The settings that `up` and `run` give to Dagster; the same as those of a clone, less the place of the storage."""


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
    """Open the history of a home folder."""
    prepare(home)
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        yield instance
