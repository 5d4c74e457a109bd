"""One Dagster schedule per export with a `schedule`: zone, DST, toggle and history of ticks are Dagster's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from export_pipeline import labels, times
from export_pipeline.config import ExportConfig
from export_pipeline.schedules import Schedule

LATE = timedelta(minutes=5)
"""A tick that is evaluated later than this was missed and is made up for."""


def export_schedule(
    config: ExportConfig,
    schedule: Schedule,
    job: dg.JobDefinition,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dg.ScheduleDefinition:
    """Return the schedule of an export; `clock` tells when a tick is evaluated.

    A run stands for its tick: ranges and file names refer to that instant, however late it starts. Outside the window
    no run starts: the tick is skipped and says why.
    """
    zone = times.zone(config.timezone)

    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        due, now = context.scheduled_execution_time, clock()
        late = now - due > LATE
        reason = schedule.in_window(now if late else due, zone)
        if reason is not None:
            missed = f"The run of {due.astimezone(zone):%Y-%m-%d %H:%M} was missed, and now it is too late: "
            return dg.SkipReason(f"{missed if late else ''}{reason}")
        tags = {labels.LOGICAL_TIME: times.format_instant(due.astimezone(UTC)), labels.TRIGGER: "schedule"}
        return dg.RunRequest(run_key=None, tags=tags)

    return dg.ScheduleDefinition(
        name=labels.schedule_name(config.name),
        job=job,
        cron_schedule=schedule.cron(),
        execution_timezone=zone.key,
        execution_fn=tick,
        description=f"Runs {schedule.sentence()} ({zone.key}).",
        default_status=dg.DefaultScheduleStatus.RUNNING if schedule.active else dg.DefaultScheduleStatus.STOPPED,
    )
