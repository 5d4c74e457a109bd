"""The ops: the table of stages, one op each, built once and shared by all jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg

from export_pipeline import labels, pipeline, times
from export_pipeline.config import ExportConfig
from export_pipeline.defs import metadata, plans
from export_pipeline.defs.failures import explained
from export_pipeline.defs.runs import RUN, ExportRun, logical_time, working
from export_pipeline.errors import ConfigError
from export_pipeline.options import Options
from export_pipeline.parsing import parse
from export_pipeline.pipeline import STAGES, Stage
from export_pipeline.plan import Plan
from export_pipeline.results import result_of

# Dagster checks annotations of parameters called `context` and cannot read them as text: they are called `op` here.
Compute = Callable[[dg.OpExecutionContext, Mapping[str, Any]], Iterator[Any]]
LAST = STAGES[-1].name
RESULTS: Mapping[str, type[Options]] = {plans.PLAN: Plan} | {stage.name: stage.result for stage in STAGES}
"""Stage -> what it hands on."""


def _plan(op: dg.OpExecutionContext, _inputs: Mapping[str, Any]) -> Iterator[dg.Output[Plan]]:
    """Decide everything, or take over what the run that is re-executed had decided."""
    made = plans.inherited(op.instance, op.run)
    if made is not None:
        op.log.info(f"This run repeats the plan of run {made.run_id}, whatever its file says now.")
    else:
        with explained(op):
            config, moment = _config(op.op_config), logical_time(op.run)
        with explained(op), working(op) as inside, explained(op, config.retry):
            made = pipeline.plan(inside, config, moment)
    tags = made.config.tags | {labels.EXPORT: made.export, labels.LOGICAL_TIME: times.format_instant(made.logical_time)}
    op.instance.add_run_tags(op.run_id, tags)
    op.log.info(f"{made.export}: {made.sentence or metadata.EVERY_ROW}")
    yield dg.Output(made, metadata=metadata.planned(made))


def _config(launched: Mapping[str, Any]) -> ExportConfig:
    """Return the export that the launch resolved to; raises what is wrong with it."""
    if problem := launched.get("problem"):
        raise ConfigError(problem, cure=launched.get("cure"))
    config = parse(ExportConfig, launched["export"])
    labels.own_tags(config.tags)
    return config


def _stage(stage: Stage) -> Compute:
    def compute(op: dg.OpExecutionContext, inputs: Mapping[str, Any]) -> Iterator[Any]:
        plan: Plan = inputs[plans.PLAN]
        retry = plan.config.retry if stage.retries else None
        with explained(op), working(op) as inside, explained(op, retry):
            result = stage(inside, inputs)
        shown = metadata.SHOWN[stage.name](result, plan)
        if stage.name != LAST:
            yield dg.Output(result, metadata=shown)
            return
        run: ExportRun = getattr(op.resources, RUN)
        run.done = True  # nothing of what it staged is needed any more
        written = inputs["verify"]
        whole = result_of(plan, written, result, run_id=op.run_id, seconds=_seconds(op)).dump(defaults=True)
        yield from _materialized(op, plan, result, metadata.materialized(plan, written, result, whole))
        yield dg.Output(None, metadata=shown | {metadata.RESULT: dg.MetadataValue.json(whole)})

    return compute


def _seconds(op: dg.OpExecutionContext) -> float:
    """Return how long the run has been going."""
    record = op.instance.get_run_record_by_id(op.run_id)
    return 0.0 if record is None or record.start_time is None else time.time() - record.start_time


def _materialized(
    op: dg.OpExecutionContext, plan: Plan, done: pipeline.Delivered, shown: metadata.Metadata
) -> Iterator[dg.AssetMaterialization]:
    """Say what the run produced."""
    if done.skipped:
        op.log.info(f"Nothing was delivered: {done.skipped}.")
        return
    for receipt in (receipt for receipts in done.receipts.values() for receipt in receipts):
        op.log.info(f"{receipt.name}: {receipt.reason or 'delivered'} ({receipt.place}, {receipt.bytes:,} bytes)")
    yield dg.AssetMaterialization(
        ["exports", plan.export],
        description=plan.config.description or plan.sentence,
        metadata=shown,
    )


def _kind(result: type[Options]) -> Any:
    return dg.PythonObjectDagsterType(result, name=result.__name__, description=result.__doc__)


_KINDS = {result: _kind(result) for result in set(RESULTS.values())}


def _op(name: str, needs: tuple[str, ...], compute: Compute, description: str | None, config: Any = None) -> Any:
    return dg.OpDefinition(
        compute_fn=compute,
        name=name,
        description=description,
        ins={need: dg.In(_KINDS[RESULTS[need]]) for need in needs},
        outs={"result": dg.Out(dg.Nothing if name == LAST else _KINDS[RESULTS[name]])},
        config_schema=config,
        required_resource_keys={RUN},
    )


OPS: tuple[dg.OpDefinition, ...] = (
    _op(plans.PLAN, (), _plan, pipeline.plan.__doc__, dg.Field(dg.Any, description="The export as launched.")),
    *(_op(stage.name, stage.needs, _stage(stage), stage.run.__doc__) for stage in STAGES),
)
"""The ops of every job, in order."""

DEPENDENCIES: Mapping[str, Mapping[str, dg.DependencyDefinition]] = {
    stage.name: {need: dg.DependencyDefinition(need) for need in stage.needs} for stage in STAGES
}
"""Which op takes whose result."""
