"""Names under which Dagster knows exports: jobs, schedules, tags."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping

from export_pipeline.errors import ConfigError

EXPORT = "export_pipeline/export"
"""Run tag: name of the export."""
LOGICAL_TIME = "export_pipeline/logical_time"
"""Run tag: the instant that relative ranges and file names refer to, ISO 8601; copied on re-execution."""
STORE = "export_pipeline/store"
"""Run tag: the store that is read; the queue limits runs by it."""
DESTINATION = "export_pipeline/destination"
"""Run tag: the kind of destination; the queue limits runs by it."""
REDELIVER = "export_pipeline/redeliver"
"""Run tag: send again what was sent; a text that is the same when the same request is repeated."""
TRUST = "export_pipeline/trust"
"""Run tag: proof that the local command line launched the run (`export_pipeline.trust`)."""
OUTPUT_ROOT = "export_pipeline/output_root"
"""Run tag: the folder that relative `local` folders stand under; only with proof."""
WORKER = "export_pipeline/worker"
"""Run tag: the process that runs it, where no instance does."""
PROCESS = "export_pipeline/process"
"""Run tag: the process that an instance had ready for it (`export_pipeline.defs.launcher`); `COLD` where a run that has
the tag from its parent was started in a process of its own."""
COLD = "-"
TRIGGER = "export_pipeline/trigger"
"""Run tag: what launched it: `command`, `schedule`."""
BROKEN = "export_pipeline/broken"
"""Job tag: the export's file is broken."""

ADHOC = "export"
"""The job whose run config is a whole export."""

TAKEN = {ADHOC, *keyword.kwlist}
TAKEN |= {"context", "conf", "config", "meta", "arg_dict", "dict", "input_arg_dict", "output_arg_dict"}
TAKEN |= {"int", "str", "float", "bool", "input", "output", "type"}
"""Words that Dagster does not take for a job, and the ad-hoc job's."""


RESERVED = ("export_pipeline/", "dagster/", ".dagster/")
"""Beginnings of tags that mean something here or to Dagster."""
ALLOWED = {"dagster/priority"}
"""What an export may say to Dagster nevertheless: which run goes first in the queue."""
KEY = re.compile(r"(?:[\w.-]{1,63}/)?[\w.-]{1,63}", re.ASCII)


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return an export's own tags; raises `ConfigError` for one that Dagster cannot hold or that would mislead."""
    for name in tags:
        if not KEY.fullmatch(name):
            raise ConfigError(
                f"tags: {name!r} is no name for a tag",
                cure="Use letters, digits, '_', '-' and '.', at most 63, with at most one '/'.",
            )
        if name.startswith(RESERVED) and name not in ALLOWED:
            raise ConfigError(f"tags: {name!r} is a name that Dagster or export_pipeline itself uses")
    return dict(tags)


def job_name(export: str) -> str:
    """Return the name of an export's job: Dagster has no ``-`` in names, and keeps some words for itself.

    >>> job_name("failed-commands"), job_name("export")
    ('failed_commands', 'export_')
    """
    name = "".join(letter if letter.isascii() and (letter.isalnum() or letter == "_") else "_" for letter in export)
    return f"{name}_" if name in TAKEN else name


def schedule_name(export: str) -> str:
    """Return the name of an export's schedule."""
    return f"{job_name(export)}_schedule"
