"""Launch, follow and cancel exports: over GraphQL where an instance is up, in a process of their own else.

Either way the run is in the same history, and either way an interrupt ends it cleanly.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export_pipeline import labels
from export_pipeline.errors import ConfigError, ExportError, NotFoundError
from export_pipeline.home import Home
from export_pipeline.instance import Instance
from export_pipeline.launches import Launch
from export_pipeline.pace import Pace
from export_pipeline.results import ExportResult

if TYPE_CHECKING:
    import dagster as dg

Watch = Callable[[dict[str, Any]], None]
"""Told what happens: ``{"stage": ...}``, with ``rows``, ``total``, ``rate`` where known; ``{"waiting": "queued"}``."""
PATIENCE = 20.0
"""Seconds that a cancelled run gets to end cleanly before its process is ended."""
OVER = {"SUCCESS", "FAILURE", "CANCELED"}


@dataclass(frozen=True)
class ExportService:
    """What a person can do with the exports of a home folder."""

    home: Home

    def export_data(self, launch: Launch, watch: Watch = lambda _: None) -> ExportResult:
        """Run an export to its end; an interrupt cancels it and returns it as cancelled.

        Raises `ConfigError` or `NotFoundError` where nothing was launched; a run that failed is a result.
        """
        instance = None if launch.private else Instance.find(self.home)
        if instance is not None:
            return self._remote(instance, launch, watch)
        return self._child(launch, watch)

    def get_export_status(self, run_id: str) -> tuple[ExportResult, dict[str, Any]]:
        """Return a run as far as it is, and its stage, rows, total and rate."""
        from export_pipeline.defs import history

        with self._history() as dagster:
            run_id = self._full_id(dagster, run_id)
            return history.result(dagster, run_id), history.progress(dagster, run_id)

    def get_export_history(self, export: str | None = None, limit: int = 20) -> list[tuple[float, ExportResult]]:
        """Return when each of the latest runs was created, and what became of it, newest first."""
        from export_pipeline.defs import history

        with self._history() as dagster:
            return history.results(dagster, export, limit)

    def cancel_export(self, run_id: str) -> ExportResult:
        """Stop a run and wait until it is over; raises `ConfigError` where it is over already."""
        from export_pipeline.defs import history

        with self._history() as dagster:
            run_id = self._full_id(dagster, run_id)
            before = history.result(dagster, run_id)
            if before.state in history.OVER:
                raise ConfigError(f"run {run_id} is over: {before.state}")
            deadline = time.monotonic() + PATIENCE
            while (now := history.result(dagster, run_id)).state not in history.OVER:
                self._ask_to_stop(dagster, run_id)
                if time.monotonic() > deadline:
                    raise ExportError(
                        f"run {run_id} is still {now.state} after {PATIENCE:.0f} s",
                        cure="Look at it in the Dagster UI; its process may wait for a disk or a server.",
                    )
                time.sleep(0.3)
            return now

    def _ask_to_stop(self, dagster: dg.DagsterInstance, run_id: str) -> None:
        """Ask the run's own process, else the instance, to stop it; a queued run is taken from the queue."""
        run = dagster.get_run_by_id(run_id)
        worker = run.tags.get(labels.WORKER) if run is not None else None
        if worker is not None:
            if _is_worker(int(worker)):
                os.kill(int(worker), signal.SIGTERM)
            elif run is not None:
                dagster.report_run_canceled(run, message="its process is gone")
            return
        instance = Instance.find(self.home)
        if instance is not None:
            instance.terminate(run_id)
        elif run is not None and not dagster.run_launcher.terminate(run_id):
            dagster.report_run_canceled(run, message="no instance is up that could run it")

    @contextlib.contextmanager
    def _history(self) -> Iterator[dg.DagsterInstance]:
        from export_pipeline.defs.instance import open_instance

        with open_instance(self.home) as dagster:
            yield dagster

    @staticmethod
    def _full_id(dagster: dg.DagsterInstance, run_id: str) -> str:
        """Return the run that begins with this text: people copy the first characters."""
        if dagster.has_run(run_id):
            return run_id
        found = [run.run_id for run in dagster.get_runs(limit=1000) if run.run_id.startswith(run_id)] if run_id else []
        if len(found) != 1:
            several = f": {len(found)} begin with it" if found else ""
            raise NotFoundError(f"there is no run {run_id!r}{several}", cure="export-pipeline history shows them.")
        return found[0]

    def _remote(self, instance: Instance, launch: Launch, watch: Watch) -> ExportResult:
        run_id = instance.launch(launch.job, launch.config, launch.tags())
        cursor: str | None = None
        interrupted = 0.0
        while True:
            try:
                status, events, cursor = instance.events(run_id, cursor)
                for event in events:
                    message = _told(event)
                    if message is not None:
                        watch(message)
                if status in OVER:
                    return self.get_export_status(run_id)[0]
                if status in ("QUEUED", "NOT_STARTED", "STARTING"):
                    watch({"waiting": "queued" if status == "QUEUED" else "starting"})
                if interrupted and time.monotonic() - interrupted > 1.0:
                    instance.terminate(run_id)  # refused while it is starting: asked again until it is not
                    interrupted = time.monotonic()
                time.sleep(0.15)
            except KeyboardInterrupt:
                watch({"waiting": "cancelling"})
                instance.terminate(run_id)
                interrupted = time.monotonic()

    def _child(self, launch: Launch, watch: Watch) -> ExportResult:
        child = subprocess.Popen(
            [sys.executable, "-m", "export_pipeline.defs.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then asks the child to end
            env=os.environ | {"DAGSTER_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"},
        )
        errors: list[str] = []
        draining = threading.Thread(target=lambda: errors.extend(child.stderr or []), daemon=True)
        draining.start()
        if child.stdin is not None:
            json.dump({"home": str(self.home.root), "launch": launch.dump(defaults=True)}, child.stdin)
            child.stdin.close()
        last: dict[str, Any] = {}
        asked: list[float] = []
        while True:
            try:
                for line in child.stdout or []:
                    last = json.loads(line)
                    if "stage" in last:
                        watch(last)
                child.wait()
                break
            except KeyboardInterrupt:
                asked.append(time.monotonic())
                watch({"waiting": "cancelling"})
                child.send_signal(signal.SIGTERM if len(asked) < 3 else signal.SIGKILL)
        draining.join(timeout=2)
        return self._ended(launch, last, errors, cancelled=bool(asked))

    def _ended(self, launch: Launch, last: dict[str, Any], errors: list[str], *, cancelled: bool) -> ExportResult:
        """Return what became of the child's run; a child that died without a word is written down as such."""
        if "state" in last:
            return ExportResult.model_validate(last)
        if "refused" in last:
            kind = {"ConfigError": ConfigError, "NotFoundError": NotFoundError}.get(last["refused"], ExportError)
            raise kind(last["error"], cure=last["cure"])
        with self._history() as dagster:
            run = dagster.get_run_by_id(launch.run_id)
            if run is not None and not run.is_finished:
                if cancelled:
                    dagster.report_run_canceled(run, message="cancelled from the command line")
                else:
                    dagster.report_run_failed(run, message="its process died")
        if cancelled:
            return ExportResult(run_id=launch.run_id, state="cancelled", export=launch.export)
        said = "".join(errors).strip().splitlines()
        return ExportResult(
            run_id=launch.run_id,
            state="failed",
            export=launch.export,
            error=f"the process of the run died: {said[-1] if said else 'without a word'}",
        )


def _told(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return what an event of GraphQL means to somebody who follows the run."""
    if event["__typename"] == "ExecutionStepStartEvent":
        return {"stage": event["stepKey"]}
    pace = Pace.parse(event.get("message") or "") if event["__typename"] == "LogMessageEvent" else None
    return None if pace is None else {"stage": pace.stage, "rows": pace.rows, "total": pace.total, "rate": pace.rate}


def _is_worker(pid: int) -> bool:
    """Return whether this process is a run's worker: process ids are used again."""
    try:
        return b"export_pipeline.defs.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
