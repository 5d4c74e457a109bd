"""Names under which Dagster knows exports: jobs, schedules, tags."""

from __future__ import annotations

import keyword

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
