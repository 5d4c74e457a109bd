"""Dagster's history of a home, read as exports: how far a run is, how it ended, what it made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
from dagster import DagsterEventType as Kind
from dagster_shared.error import SerializableErrorInfo
from pydantic import ValidationError

from export_pipeline import labels
from export_pipeline.errors import NotFoundError, did_you_mean
from export_pipeline.pace import Pace
from export_pipeline.results import ExportResult, State

RESULT = "result"
"""The metadata entry of the last stage that holds the result."""
STATES: dict[dg.DagsterRunStatus, State] = {
    dg.DagsterRunStatus.QUEUED: "queued",
    dg.DagsterRunStatus.NOT_STARTED: "starting",
    dg.DagsterRunStatus.STARTING: "starting",
    dg.DagsterRunStatus.MANAGED: "starting",
    dg.DagsterRunStatus.STARTED: "running",
    dg.DagsterRunStatus.SUCCESS: "done",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELING: "cancelling",
    dg.DagsterRunStatus.CANCELED: "cancelled",
}
OVER: frozenset[State] = frozenset({"done", "failed", "cancelled"})
"""States that do not change any more."""
INTERVAL = 0.15
"""Seconds between two looks at the event log."""


REPORT = "Please report it, with the traceback that export-pipeline --debug status {} shows."
"""What to do about an error that nobody foresaw."""


class Follower:
    """Says what happens in a run: a message for each stage that begins, and for each line of progress."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        run_id: str,
        say: Callable[[dict[str, Any]], None],
        cancelled: Callable[[], None],
    ) -> None:
        """`cancelled` is called when somebody, such as a person in the Dagster UI, asked the run to stop."""
        self._instance, self._run_id, self._say, self._cancelled = instance, run_id, say, cancelled
        self._cursor: str | None = None

    def look(self) -> None:
        """Say what happened since the last look."""
        page = self._instance.get_records_for_run(self._run_id, cursor=self._cursor)
        self._cursor = page.cursor
        for record in page.records:
            event = record.event_log_entry.dagster_event
            if event is not None and event.event_type in (Kind.PIPELINE_CANCELING, Kind.PIPELINE_CANCELED):
                self._cancelled()
            message = told(record.event_log_entry)
            if message is not None:
                self._say(message)

    def watch(self, done: threading.Event) -> None:
        """Look until `done` is set."""
        while not done.wait(INTERVAL):
            self.look()


def told(entry: dg.EventLogEntry) -> dict[str, Any] | None:
    """Return what an entry of the event log means to somebody who follows the run."""
    event = entry.dagster_event
    if event is None:
        pace = Pace.parse(entry.user_message)
        return (
            None if pace is None else {"stage": pace.stage, "rows": pace.rows, "total": pace.total, "rate": pace.rate}
        )
    if event.event_type is Kind.STEP_START and event.step_key:
        return {"stage": event.step_key}
    if event.event_type is Kind.STEP_UP_FOR_RETRY:
        return {"stage": event.step_key, "retry": True}
    return None


def result(instance: dg.DagsterInstance, run_id: str) -> ExportResult:
    """Return how a run ended, or how far it is; raises `NotFoundError` where there is none."""
    record = instance.get_run_record_by_id(run_id)
    if record is None:
        known = [run.run_id for run in instance.get_runs(limit=50)]
        raise NotFoundError(f"there is no run {run_id!r} ({did_you_mean(run_id, known)})")
    return _result(instance, record)


def _result(instance: dg.DagsterInstance, record: dg.RunRecord) -> ExportResult:
    run = record.dagster_run
    state = STATES[run.status]
    seconds = (record.end_time or 0.0) - (record.start_time or 0.0) if record.end_time and record.start_time else 0.0
    plain = ExportResult(
        run_id=run.run_id,
        state=state,
        export=run.tags.get(labels.EXPORT, run.job_name),
        seconds=round(max(seconds, 0.0), 3),
    )
    if state == "done":
        made = _stored(instance, run.run_id)
        return plain if made is None else made.replace(run_id=run.run_id, seconds=plain.seconds)
    if state == "failed":
        error, cure = failure(instance, run.run_id)
        return plain.replace(error=error, cure=cure)
    return plain


def _events(instance: dg.DagsterInstance, run_id: str, *kinds: Kind) -> Iterator[dg.DagsterEvent]:
    for record in instance.get_records_for_run(run_id, of_type=set(kinds)).records:
        event = record.event_log_entry.dagster_event
        if event is not None:
            yield event


def _stored(instance: dg.DagsterInstance, run_id: str) -> ExportResult | None:
    """Return the result that the last stage wrote down."""
    for event in _events(instance, run_id, Kind.STEP_OUTPUT):
        entry = event.step_output_data.metadata.get(RESULT)
        if isinstance(entry, dg.JsonMetadataValue):
            try:
                return ExportResult.model_validate(entry.data)
            except ValidationError:
                return None  # written by another version
    return None


def failure(instance: dg.DagsterInstance, run_id: str) -> tuple[str, str]:
    """Return cause and cure of a run that failed; the stage that failed says more than the run."""
    for event in _events(instance, run_id, Kind.STEP_FAILURE):
        data = event.step_failure_data
        if data.user_failure_data is not None:
            texts = {key: str(value.value) for key, value in data.user_failure_data.metadata.items()}
            return texts.get("cause", data.user_failure_data.description or ""), texts.get("cure", "")
        if data.error is not None:
            return f"an error that nobody foresaw: {_innermost(data.error)}", REPORT.format(run_id[:8])
    for event in _events(instance, run_id, Kind.PIPELINE_FAILURE):
        return event.message or "the run failed", ""
    return "the run failed", ""


def trace(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return where the errors of a run's stages came from, as Python says it; empty where none was written down."""
    errors = (event.step_failure_data.error for event in _events(instance, run_id, Kind.STEP_FAILURE))
    return "\n".join(error.to_string() for error in errors if error is not None)


def _innermost(error: SerializableErrorInfo) -> str:
    """Return what an error that nobody foresaw says itself; Dagster's words for it only wrap it."""
    while error.cause is not None:
        error = error.cause
    return error.message.strip()


def history(instance: dg.DagsterInstance, export: str | None = None, limit: int = 20) -> list[dg.RunRecord]:
    """Return the latest runs, newest first."""
    tags = {labels.EXPORT: export} if export else None
    return list(instance.get_run_records(dg.RunsFilter(tags=tags), limit=limit))


def results(
    instance: dg.DagsterInstance, export: str | None = None, limit: int = 20
) -> list[tuple[float, ExportResult]]:
    """Return when each of the latest runs was created, and what became of it."""
    found = history(instance, export, limit)
    return [(record.create_timestamp.timestamp(), _result(instance, record)) for record in found]


def progress(instance: dg.DagsterInstance, run_id: str) -> dict[str, Any]:
    """Return the stage that a run is in and the rows so far, as far as it said."""
    found: dict[str, Any] = {}
    for record in instance.get_records_for_run(run_id).records:
        message = told(record.event_log_entry)
        if message is not None:
            found = message if message.get("stage") != found.get("stage") else found | message
    return found
