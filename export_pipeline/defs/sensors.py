"""Sensors: who is told how runs ended, and the folders of old runs swept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from export_pipeline import labels
from export_pipeline.catalog import Catalog
from export_pipeline.defs import plans
from export_pipeline.defs.history import failure
from export_pipeline.defs.runs import logical_time
from export_pipeline.errors import ExportError
from export_pipeline.home import Home
from export_pipeline.notifications import AnyNotification, Kind, Means, Notice, notify
from export_pipeline.notifications.incidents import Incidents
from export_pipeline.plan import Plan
from export_pipeline.staging import sweep

INCIDENTS = "incidents.sqlite"
"""File of the home folder that says who was told what."""
EVERY = 10
"""Seconds between two looks at runs that ended."""


def sensors(home: Home) -> list[dg.SensorDefinition]:
    """Return the sensors of a home folder."""

    def tell(context: dg.RunStatusSensorContext) -> None:
        _tell(home, context, "success")

    def tell_failure(context: dg.RunStatusSensorContext) -> None:
        if context.dagster_run.tags.get("dagster/will_retry") == "true":
            context.log.info(f"Run {context.dagster_run.run_id} is tried again.")
        else:
            _tell(home, context, "failure")

    def clean(_context: dg.SensorEvaluationContext) -> dg.SkipReason:
        swept = sweep(home.staging)
        return dg.SkipReason(f"Swept the folders of {len(swept)} old runs." if swept else "Nothing to sweep.")

    running = dg.DefaultSensorStatus.RUNNING
    return [
        dg.run_failure_sensor(
            name="notify_failure",
            description="Tells those named in `notify` of a failure, once per incident.",
            minimum_interval_seconds=EVERY,
            default_status=running,
        )(tell_failure),
        dg.run_status_sensor(
            dg.DagsterRunStatus.SUCCESS,
            name="notify_success",
            description="Tells those named in `notify` of a success, or that an export works again.",
            minimum_interval_seconds=EVERY,
            default_status=running,
        )(tell),
        dg.SensorDefinition(
            name="sweep",
            evaluation_fn=clean,
            description="Deletes what failed runs left, once it is too old to go on from.",
            minimum_interval_seconds=3600,
            default_status=running,
        ),
    ]


def _tell(home: Home, context: dg.RunStatusSensorContext, kind: Kind) -> None:
    """Tell of one run.

    That nobody is to be told is no SkipReason: a tick looks at several runs, and one that skips some of them and not
    others is an error to Dagster, which then looks at the same runs for ever.
    """
    run = context.dagster_run
    plan = plans.stored(context.instance, run.run_id)
    export = run.tags.get(labels.EXPORT) or (plan.export if plan is not None else run.job_name)
    told = _notifications(home, export, plan)
    if not told:
        return
    notice = _notice(context, run, export, kind, plan)
    errors = notify(told, notice, Incidents(home.create().root / INCIDENTS), Means(log=context.log))
    for error in errors:
        context.log.error(str(error))


def _notifications(home: Home, export: str, plan: Plan | None) -> list[AnyNotification]:
    """Return who is told: as the run's plan says, else, where it failed before it had one, as the file says now."""
    if plan is not None:
        return list(plan.config.notify)
    try:
        return list(Catalog(home).load(export).notify)
    except ExportError:
        return []


def _notice(
    context: dg.RunStatusSensorContext, run: dg.DagsterRun, export: str, kind: Kind, plan: Plan | None
) -> Notice:
    details: dict[str, Any] = {"job": run.job_name}
    if plan is not None:
        details["files"] = [file.name for file in plan.files]
    message, cure = "", ""
    if kind == "failure":
        message, cure = failure(context.instance, run.run_id)
        details["stage"] = _stage(context)
    started, ended = _times(context.instance, run.run_id)
    return Notice(
        kind=kind,
        export=export,
        run_id=run.run_id,
        logical_time=plan.logical_time if plan is not None else _asked_for(run, started),
        ended=ended,
        message=message,
        cure=cure or None,
        details=details,
    )


def _times(instance: dg.DagsterInstance, run_id: str) -> tuple[datetime, datetime]:
    """Return when a run began, or was launched, and when it ended; a sensor may hear of it much later."""
    record = instance.get_run_record_by_id(run_id)
    if record is None:  # deleted by somebody since
        return datetime.now(UTC), datetime.now(UTC)
    launched = record.create_timestamp.timestamp()
    times = (record.start_time or launched, record.end_time or record.update_timestamp.timestamp())
    began, ended = (datetime.fromtimestamp(time, UTC) for time in times)
    return began, ended


def _asked_for(run: dg.DagsterRun, started: datetime) -> datetime:
    """Return the instant that a run without a plan stands for."""
    if labels.LOGICAL_TIME not in run.tags:
        return started
    try:
        return logical_time(run)
    except ExportError:
        return started


def _stage(context: dg.RunStatusSensorContext) -> str | None:
    """Return the stage that failed; None where the run's process died."""
    failures = context.instance.get_records_for_run(
        context.dagster_run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
    ).records
    events = (record.event_log_entry.dagster_event for record in failures)
    return next((event.step_key for event in events if event is not None), None)
