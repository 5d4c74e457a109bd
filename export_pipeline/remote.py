"""A run of an instance that is up, launched, followed and cancelled over GraphQL."""

from __future__ import annotations

import threading
import time
from typing import Any

from export_pipeline import interrupts
from export_pipeline.errors import Cancelled, NotFoundError, SourceUnavailableError
from export_pipeline.instance import Instance, NobodyListensError
from export_pipeline.launches import Launch
from export_pipeline.pace import Pace
from export_pipeline.workers import Watch

INTERVAL = 0.2
"""Seconds between two looks at the run."""
AGAIN = 1.0
"""Seconds after which a run that should stop is told again: one that is starting does not hear it."""
OVER = {"SUCCESS", "FAILURE", "CANCELED"}
WAITING = {"QUEUED": "queued", "NOT_STARTED": "starting", "STARTING": "starting", "CANCELING": "cancelling"}
"""State of a run that makes no progress -> what to call it."""


def follow(instance: Instance, launch: Launch, watch: Watch) -> tuple[str, str]:
    """Launch a run and follow it to its end; returns its id and Dagster's word for its state.

    An interrupt cancels it.
    """
    asked: float | None = None
    try:
        run_id, interrupted = _launched(instance, launch)
    except NotFoundError:  # its file was saved a moment ago
        instance.reload()
        run_id, interrupted = _launched(instance, launch)
    cursor: str | None = None
    while True:
        try:
            interrupts.check()
            if interrupted or (asked is not None and time.monotonic() - asked > AGAIN):
                interrupted, asked = False, time.monotonic()
                watch({"waiting": "cancelling"})
                instance.terminate(run_id)
            status, events, cursor = instance.events(run_id, cursor)
            for event in events:
                message = told(event)
                if message is not None and asked is None:
                    watch(message)
            if status in OVER:
                return run_id, status
            if status in WAITING:
                watch({"waiting": WAITING[status]})
            time.sleep(INTERVAL)
        except NobodyListensError as error:
            cure = f"export-pipeline status {run_id} shows what became of the run."
            raise SourceUnavailableError(error.message, cure=cure) from error
        except KeyboardInterrupt:
            interrupts.heard()
            interrupted = True


def _launched(instance: Instance, launch: Launch) -> tuple[str, bool]:
    """Launch a run; returns its id, and whether somebody interrupted meanwhile: then it must not be lost sight of."""
    answers: list[str] = []
    errors: list[Exception] = []

    def ask() -> None:
        try:
            answers.append(instance.launch(launch.job, launch.config, launch.tags()))
        except Exception as error:  # raised again by whoever waits
            errors.append(error)

    asking = threading.Thread(target=ask, name="launch", daemon=True)
    asking.start()
    presses = 0
    while asking.is_alive():
        try:
            interrupts.check()
            asking.join(0.1)
        except KeyboardInterrupt:
            interrupts.heard()
            presses += 1
            if presses > 1:
                raise
    if errors:
        raise Cancelled("cancelled before it began") if presses else errors[0]
    return answers[0], presses > 0


def told(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return what an event of GraphQL means to somebody who follows the run."""
    if event["__typename"] == "ExecutionStepStartEvent":
        return {"stage": event["stepKey"]}
    pace = Pace.parse(event.get("message") or "") if event["__typename"] == "LogMessageEvent" else None
    return None if pace is None else {"stage": pace.stage, "rows": pace.rows, "total": pace.total, "rate": pace.rate}
