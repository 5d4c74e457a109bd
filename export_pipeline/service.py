"""Launch, follow and cancel exports: over GraphQL where an instance is up, in a process of their own else.

Either way the run is in the same history, and either way an interrupt ends it cleanly.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from export_pipeline import interrupts, labels
from export_pipeline.errors import ConfigError, ExportError, NotFoundError
from export_pipeline.home import Home
from export_pipeline.instance import Instance, NobodyListensError, is_claimed
from export_pipeline.workers import Watch, Worker

if TYPE_CHECKING:
    import dagster as dg

    from export_pipeline.launches import Launch
    from export_pipeline.results import ExportResult

PATIENCE = 20.0
"""Seconds that a cancelled run gets to end cleanly."""
REFUSALS: dict[str, type[ExportError]] = {"ConfigError": ConfigError, "NotFoundError": NotFoundError}
"""What a worker refuses with -> the error that it is here."""


@dataclass
class ExportService:
    """What a person can do with the exports of a home folder."""

    home: Home
    _ready: list[Worker] = field(default_factory=list, repr=False)

    def warm(self) -> None:
        """Start a worker while the launch is still being put together, where one will be needed.

        Importing Dagster takes longer than most exports. `close` ends the workers that were not used.
        """
        if not is_claimed(self.home):
            self._ready.append(Worker(self.home))

    def close(self) -> None:
        """End the workers that were not used."""
        while self._ready:
            self._ready.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def export_data(self, launch: Launch, watch: Watch = lambda _: None) -> ExportResult:
        """Run an export to its end; an interrupt cancels it and returns it as cancelled.

        Raises `ConfigError` or `NotFoundError` where nothing was launched; a run that failed is a result.
        """
        interrupts.check()  # nothing begins that was stopped before
        instance = None if launch.private else Instance.find(self.home)
        if instance is None:
            return self._in_worker(launch, watch)
        try:
            return self._in_instance(instance, launch, watch)
        except NobodyListensError:
            if is_claimed(self.home):
                raise
            return self._in_worker(launch, watch)  # it was ended in this very moment

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

    def get_export_trace(self, run_id: str) -> str:
        """Return where the errors of a run came from, for those who mend the program."""
        from export_pipeline.defs import history

        with self._history() as dagster:
            return history.trace(dagster, self._full_id(dagster, run_id))

    def cancel_export(self, run_id: str) -> ExportResult:
        """Stop a run and wait until it is over; raises `ConfigError` where it is over already."""
        from export_pipeline.defs import history

        with self._history() as dagster:
            run_id = self._full_id(dagster, run_id)
            before = history.result(dagster, run_id)
            if before.state in history.OVER:
                raise ConfigError(f"run {run_id} is over: {before.state}", cure="export-pipeline history shows it.")
            started = asked = time.monotonic()
            self._ask_to_stop(dagster, run_id)
            while (now := history.result(dagster, run_id)).state not in history.OVER:
                if time.monotonic() - started > PATIENCE:
                    raise ExportError(
                        f"run {run_id} is still {now.state} after {PATIENCE:.0f} s",
                        cure="Look at it in the Dagster UI; its process may wait for a disk or a server.",
                    )
                if time.monotonic() - asked > 1.0:  # a run that is starting does not hear it
                    asked = time.monotonic()
                    self._ask_to_stop(dagster, run_id)
                time.sleep(0.1)
            return now

    def _ask_to_stop(self, dagster: dg.DagsterInstance, run_id: str) -> None:
        """Ask whoever runs it to stop the run; one that nobody runs is ended here."""
        from export_pipeline.defs import lives

        run = dagster.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        if labels.WORKER in run.tags:
            if run.status.value != "CANCELING":
                dagster.report_run_canceling(run)  # its worker sees it in the event log
            elif not lives.lives(self.home.dagster, run_id):
                lives.end(dagster, run)
            elif time.time() - _asked_at(dagster, run_id) > PATIENCE / 2:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(run.tags[labels.WORKER]), signal.SIGKILL)
            return
        instance = Instance.find(self.home)
        if instance is not None:
            instance.terminate(run_id)
            return
        with contextlib.suppress(Exception):  # Dagster's own words for a code server that is gone
            if dagster.run_launcher.terminate(run_id):
                return
        dagster.report_run_canceled(run, message="no instance is up that could run it")

    def _warm_history(self) -> None:
        """Import what reading the history takes; whoever reads it says what is wrong with it."""
        with contextlib.suppress(Exception), self._history():
            pass

    @contextlib.contextmanager
    def _history(self) -> Iterator[dg.DagsterInstance]:
        from export_pipeline.defs.instance import open_instance
        from export_pipeline.defs.lives import bury

        with open_instance(self.home) as dagster:
            bury(dagster, self.home)
            yield dagster

    @staticmethod
    def _full_id(dagster: dg.DagsterInstance, run_id: str) -> str:
        """Return the run that begins with this text: people copy the first characters."""
        if dagster.has_run(run_id):
            return run_id
        found = [known for known in dagster.get_run_ids(limit=1000) if known.startswith(run_id)] if run_id else []
        if len(found) != 1:
            several = f": {len(found)} begin with it" if found else ""
            raise NotFoundError(f"there is no run {run_id!r}{several}", cure="export-pipeline history shows them.")
        return found[0]

    def _in_instance(self, instance: Instance, launch: Launch, watch: Watch) -> ExportResult:
        from export_pipeline.remote import follow
        from export_pipeline.results import ExportResult

        threading.Thread(target=self._warm_history, daemon=True).start()  # while somebody else works
        run_id, status = follow(instance, launch, watch)
        if status == "CANCELED":
            return ExportResult(run_id=run_id, state="cancelled", export=launch.export)
        return self.get_export_status(run_id)[0]

    def _in_worker(self, launch: Launch, watch: Watch) -> ExportResult:
        worker = self._ready.pop(0) if self._ready else Worker(self.home)
        try:
            last = worker.run(launch.dump(defaults=True), watch)
        finally:
            worker.close()
        return self._ended(worker, launch, last)

    def _ended(self, worker: Worker, launch: Launch, last: dict[str, Any]) -> ExportResult:
        """Return what became of a worker's run; one that died without a word is written down as such."""
        from export_pipeline.results import ExportResult

        if "state" in last:
            return ExportResult.model_validate(last)
        if "refused" in last:
            error = REFUSALS.get(last["refused"], ExportError)(last["error"], cure=last["cure"])
            if "trace" in last:
                error.add_note(last["trace"])
            raise error
        created = "run_id" in last
        if worker.cancelled:
            run_id = self._write_down(launch, cancelled=True) if created else ""
            return ExportResult(run_id=run_id, state="cancelled", export=launch.export)
        run_id = self._write_down(launch, cancelled=False) if created else ""
        said = "".join(worker.said).strip()
        return ExportResult(
            run_id=run_id,
            state="failed",
            export=launch.export,
            error=f"the process of the run died: {said.splitlines()[-1] if said else 'without a word'}",
            cure="Was it killed, or out of memory? Nothing half-written is left; run it again.",
        )

    def _write_down(self, launch: Launch, *, cancelled: bool) -> str:
        """Write the end of a run whose worker died into the history; returns its id."""
        from export_pipeline.defs.instance import open_instance

        with open_instance(self.home) as dagster:
            run = dagster.get_run_by_id(launch.run_id)
            if run is not None and not run.is_finished:
                if cancelled:
                    dagster.report_run_canceled(run, message="cancelled from the command line")
                else:
                    dagster.report_run_failed(run, message="the process of the run died")
        return launch.run_id


def _asked_at(dagster: dg.DagsterInstance, run_id: str) -> float:
    """Return when a run was asked to stop, in seconds since 1970."""
    import dagster as dg

    records = dagster.get_records_for_run(run_id, of_type=dg.DagsterEventType.RUN_CANCELING).records
    return records[0].event_log_entry.timestamp if records else time.time()
