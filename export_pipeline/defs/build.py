"""Everything Dagster is told of a home folder."""

from __future__ import annotations

import dagster as dg

from export_pipeline import labels
from export_pipeline.catalog import Catalog, Entry
from export_pipeline.defs.io import StageResults
from export_pipeline.defs.jobs import adhoc_job, broken_job, export_job
from export_pipeline.defs.ops import RESULTS
from export_pipeline.defs.runs import RUN, export_run
from export_pipeline.defs.schedules import export_schedule
from export_pipeline.defs.sensors import sensors
from export_pipeline.errors import ConfigError
from export_pipeline.home import Home


def definitions(home: Home) -> dg.Definitions:
    """Return the jobs, schedules and sensors of a home folder. A broken export file becomes a job that says so."""
    jobs = {labels.ADHOC: adhoc_job()}
    schedules = []
    for entry in Catalog(home).entries():
        job = _job(entry, jobs)
        jobs[job.name] = job
        if entry.config is not None and entry.config.schedule is not None and labels.BROKEN not in job.tags:
            schedules.append(export_schedule(entry.config, entry.config.schedule, job))
    return dg.Definitions(
        jobs=list(jobs.values()),
        schedules=schedules,
        sensors=sensors(home),
        resources={
            RUN: export_run(home),
            "io_manager": dg.IOManagerDefinition.hardcoded_io_manager(StageResults(home, RESULTS)),
        },
    )


def _job(entry: Entry, taken: dict[str, dg.JobDefinition]) -> dg.JobDefinition:
    """Return the job of an export file; two names that are one to Dagster are told apart, and the second is broken."""
    job = export_job(entry)
    if job.name not in taken:
        return job
    problem = ConfigError(
        f"{entry.path.name}: the name {entry.name!r} is {job.name!r} to Dagster, which another export has taken",
        cure="Give it another name: '-' and '_' are the same there.",
    )
    number = next(number for number in range(2, len(taken) + 3) if f"{job.name}_{number}" not in taken)
    return broken_job(f"{job.name}_{number}", entry.path.name, problem)
