"""One export from the first decision to the last receipt: the table of stages that the Dagster job and `run` both walk.

::

    plan ─ extract ─ filter ─ aggregate ─ write ─ verify ─ deliver
    Plan   Extracted Query    Query       Written Written  Delivered
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from export_pipeline import stages
from export_pipeline.config import ExportConfig
from export_pipeline.engines.native import run_native
from export_pipeline.options import Options
from export_pipeline.plan import Plan
from export_pipeline.query import Query
from export_pipeline.stages import Context, Delivered, Extracted, Progress, Written, plan

__all__ = [
    "STAGES",
    "Context",
    "Delivered",
    "Extracted",
    "Progress",
    "Result",
    "Stage",
    "Written",
    "plan",
    "preview",
    "run",
]


@dataclass(frozen=True)
class Stage:
    """One step of every run."""

    name: str
    run: Callable[..., Any]
    """Called with the context and, by name, the results of the stages it needs."""
    needs: tuple[str, ...]
    """The stages whose results it takes."""
    result: type[Options]
    retries: bool = False
    """Whether an error that may pass is tried again, as the export's `retry` says."""

    def __call__(self, context: Context, results: Mapping[str, Any]) -> Any:
        """Run the stage in the run's folder, with the results it needs."""
        with context.staging.held():
            return self.run(context, **{name: results[name] for name in self.needs})


STAGES: tuple[Stage, ...] = (
    Stage("extract", stages.extract, ("plan",), Extracted, retries=True),
    Stage("filter", stages.filter_rows, ("plan",), Query),
    Stage("aggregate", stages.aggregate, ("plan", "filter"), Query),
    Stage("write", stages.write, ("plan", "extract", "aggregate"), Written),
    Stage("verify", stages.verify_files, ("plan", "write"), Written),
    Stage("deliver", stages.deliver, ("plan", "verify"), Delivered, retries=True),
)
"""The stages after `plan`, in order."""


def preview(
    config: ExportConfig, context: Context, rows: int = 20, *, logical_time: datetime | None = None
) -> tuple[Plan, pl.DataFrame]:
    """Return the plan of an export and the first rows of its result; nothing is written or delivered."""
    context.home.create()
    try:
        with context.staging.held():
            made = plan(context, config, logical_time or datetime.now(UTC))
            extracted = stages.extract(context, made)
            with extracted.reading() as found:
                wanted = made.query.apply(next(iter(found.values())), stop=context.stop).head(rows)
                return made, run_native(lambda: wanted.collect(engine="streaming"), stop=context.stop)
    finally:
        context.staging.remove()


@dataclass(frozen=True)
class Result:
    """A finished run: what was planned, what is in the files, what arrived."""

    plan: Plan
    extracted: Extracted
    written: Written
    delivered: Delivered


def run(config: ExportConfig, context: Context, *, logical_time: datetime | None = None) -> Result:
    """Run an export here and now, without Dagster and without a history; raises the error of the stage that failed.

    Nothing that is staged is left behind.
    """
    context.home.create()
    try:
        results: dict[str, Any] = {}
        with context.staging.held():  # between two stages, too: a sweep takes whatever nobody holds
            results["plan"] = plan(context, config, logical_time or datetime.now(UTC))
            for stage in STAGES:
                results[stage.name] = stage(context, results)
    finally:
        context.staging.remove()
    return Result(results["plan"], results["extract"], results["verify"], results["deliver"])
