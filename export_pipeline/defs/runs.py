"""A run inside Dagster: its folder, the tags it was launched with, and the context that stages work in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from export_pipeline import labels, trust
from export_pipeline.defs.progress import Reporter
from export_pipeline.errors import ConfigError
from export_pipeline.home import Home
from export_pipeline.pipeline import Context, Progress
from export_pipeline.staging import Staging

RUN = "export_run"
"""The resource that every op needs."""


@dataclass
class ExportRun:
    """What the ops of one run share."""

    home: Home
    done: bool = False
    """Whether everything is delivered: then nothing that was staged is needed any more."""
    stopped: bool = False
    """Whether somebody stopped it while a stage was at work."""


def export_run(home: Home) -> dg.ResourceDefinition:
    """Return the resource that holds the run's folder as long as its process lives.

    The folder of a run that failed stays, for its re-execution; that of one that ended well or was cancelled goes.
    """

    def hold(init: dg.InitResourceContext) -> Iterator[ExportRun]:
        run = ExportRun(home)
        if init.run is None or init.instance is None:
            raise ConfigError("an export runs in a Dagster run only")
        staging = Staging(home.create().staging, init.run.run_id)
        with staging.held():
            try:
                yield run
            finally:
                if run.done or run.stopped or _cancelled(init.instance, staging.run_id):
                    staging.remove()

    return dg.ResourceDefinition(hold, description="The folder of the run, and whether it is needed after it.")


def _cancelled(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is None or run.status in (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)


def logical_time(run: dg.DagsterRun) -> datetime:
    """Return the instant that the run stands for: the one it was launched with, else now."""
    given = run.tags.get(labels.LOGICAL_TIME)
    if given is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError(
            f"the tag {labels.LOGICAL_TIME} is {given!r}, which is no instant",
            cure="Write a date, a time and an offset, such as 2026-11-05T06:30:00+01:00.",
        )
    return moment.astimezone(UTC)


@contextlib.contextmanager
def working(context: dg.OpExecutionContext) -> Iterator[Context]:
    """Give the context in which a stage of this run works: progress goes to the event log, an interrupt stops it."""
    run: ExportRun = getattr(context.resources, RUN)
    tags = context.run.tags
    root = Path(tags[labels.OUTPUT_ROOT]) if labels.OUTPUT_ROOT in tags else None
    proof = tags.get(labels.TRUST)
    trusted = proof is not None and trust.proven(run.home, proof, context.run_id, root)
    if root is not None and not trusted and not root.resolve().is_relative_to(run.home.root):
        raise ConfigError(
            f"the tag {labels.OUTPUT_ROOT} names {root}, which is not in the home folder",
            cure="Only the local command line may write elsewhere; name a folder of the home folder.",
        )
    with Reporter(context.log.info).running() as reporter:

        def progress(now: Progress) -> None:
            reporter.update(now.stage, now.rows, now.total)

        inside = Context(
            run.home,
            run_id=context.run_id,
            output_root=root,
            trusted=trusted,
            progress=progress,
            redeliver=tags.get(labels.REDELIVER),
        )
        try:
            yield inside
        except BaseException as error:
            inside.stop.set()
            run.stopped = not isinstance(error, Exception)  # interrupts are none
            raise
