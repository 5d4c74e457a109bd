"""The plan of a run, kept in Dagster's event log, so that history says what ran and a re-execution runs just that."""

from __future__ import annotations

from typing import Any

import dagster as dg
from pydantic import ValidationError

from export_pipeline.plan import Plan

PLAN = "plan"
"""The stage and the metadata entry that hold the plan."""


def stored(instance: dg.DagsterInstance, run_id: str) -> Plan | None:
    """Return the plan that a run made; None where it failed before, or was deleted."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_OUTPUT).records
    for record in records:
        event = record.event_log_entry.dagster_event
        if event is None or event.step_key != PLAN:
            continue
        entry = event.step_output_data.metadata.get(PLAN)
        if isinstance(entry, dg.JsonMetadataValue):
            return _read(entry.data)
    return None


def _read(data: Any) -> Plan | None:
    try:
        return Plan.model_validate(data)
    except ValidationError:
        return None  # written by another version: planned again


def inherited(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Plan | None:
    """Return the plan of the run that this one re-executes with the same launch values, else None.

    The nearest ancestor that made a plan counts: a run may have failed before it had one.
    """
    parent_id = run.parent_run_id
    while parent_id is not None:
        parent = instance.get_run_by_id(parent_id)
        if parent is None or parent.run_config != run.run_config:
            return None
        plan = stored(instance, parent_id)
        if plan is not None:
            return plan
        parent_id = parent.parent_run_id
    return None


def metadata(plan: Plan) -> dg.MetadataValue[Any]:
    """Return the metadata entry that `stored` finds again."""
    return dg.MetadataValue.json(plan.dump(defaults=True))
