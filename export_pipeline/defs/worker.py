"""One run in a process of its own, recorded in the home's history, for when no instance is up.

``python -m export_pipeline.defs.worker HOME`` reads a `Launch` as one line of JSON from standard input and writes what
happens as lines of JSON: ``{"run_id": ...}``, ``{"stage": ...}``, ``{"state": ...}`` last, ``{"refused": ...}`` where
nothing was launched. What takes long to import is imported before the launch is known. When standard input closes, the
run is not wanted any more; SIGTERM and a cancel in the Dagster UI end it, too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from export_pipeline.errors import ConfigError, ExportError, NotFoundError, did_you_mean
from export_pipeline.home import Home

if TYPE_CHECKING:
    import dagster as dg

    from export_pipeline.launches import Launch

REPORT = "Please report it, with the traceback that export-pipeline --debug run shows."
AGAIN = 1.0
"""Seconds after which a run that was told to stop is told again: between two stages Dagster may not hear it."""


def say(message: dict[str, Any]) -> None:
    """Write a line to whoever started this process."""
    with contextlib.suppress(BrokenPipeError):  # nobody is left to hear it: standard input closes as well
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


class Quiet(logging.Logger):
    """Keeps Dagster's console silent: the event log has everything, the terminal shows the result."""

    def callHandlers(self, record: logging.LogRecord) -> None:
        """Drop what is meant for the console."""
        if self.name != "dagster":
            super().callHandlers(record)


class Stop:
    """Interrupts the main thread until the run is over, once somebody asked for it."""

    def __init__(self) -> None:
        self.announce: Callable[[], None] = lambda: None
        """Called before the first interrupt: a run that is interrupted without an announcement has failed."""
        self._asked, self._over = threading.Event(), threading.Event()
        threading.Thread(target=self._interrupt, name="stop", daemon=True).start()

    def ask(self) -> None:
        """Stop the run; may be called from any thread, any number of times."""
        self._asked.set()

    def over(self) -> None:
        """Say that nothing is to be interrupted any more."""
        self._over.set()

    @property
    def asked(self) -> bool:
        """Whether somebody asked for it."""
        return self._asked.is_set()

    def when_closed(self) -> None:
        """Stop the run when standard input closes."""

        def wait() -> None:
            sys.stdin.read()
            self.ask()

        threading.Thread(target=wait, name="wanted", daemon=True).start()

    def _interrupt(self) -> None:
        self._asked.wait()
        if not self._over.is_set():
            self.announce()
        while not self._over.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
            self._over.wait(AGAIN)


def tags(home: Home, launch: Launch) -> dict[str, str]:
    """Return the run's tags; the local command line's rights are proven to the run."""
    from export_pipeline import labels, trust

    proof = trust.sign(home, launch.run_id, launch.output_root)
    own = {labels.TRUST: proof, labels.WORKER: str(os.getpid())}
    return launch.tags() | own | {"dagster/max_retries": "0"}  # an instance could not start it again


def job_of(home: Home, name: str) -> dg.JobDefinition:
    """Return a job of the home folder; raises `NotFoundError` where there is none of that name."""
    from export_pipeline.defs.build import definitions

    built = definitions(home)
    known = [job.name for job in built.jobs or []]
    if name not in known:
        raise NotFoundError(f"there is no job {name!r} in {home.root} ({did_you_mean(name, known)})")
    return built.get_job_def(name)


def create(home: Home, launch: Launch, job: dg.JobDefinition, instance: dg.DagsterInstance) -> dg.DagsterRun:
    """Write the run into the history; raises `ConfigError` where the launch is wrong."""
    import dagster as dg

    from export_pipeline.defs.jobs import InvalidExport

    try:
        return instance.create_run_for_job(
            job, run_id=launch.run_id, run_config=launch.config, tags=dict(job.tags) | tags(home, launch)
        )
    except InvalidExport as error:
        raise ConfigError(str(error)) from None
    except dg.DagsterInvalidConfigError as error:
        raise ConfigError("\n".join(problem.message for problem in error.errors or [])) from None


def execute(home: Home, launch: Launch, instance: dg.DagsterInstance, stop: Stop) -> None:
    """Create the run and execute it here; its end is in the history, whatever it is."""
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run_iterator

    from export_pipeline.defs.history import Follower, result

    job = job_of(home, launch.job)
    created = create(home, launch, job, instance)
    say({"run_id": created.run_id})
    stop.announce = partial(announce, instance, created.run_id)
    follower = Follower(instance, created.run_id, say, cancelled=stop.ask)
    done = threading.Event()
    watching = threading.Thread(target=follower.watch, args=(done,), daemon=True)
    watching.start()
    try:
        for _ in execute_run_iterator(InMemoryJob(job), created, instance):
            pass
    except KeyboardInterrupt:
        stop.ask()
    finally:
        stop.over()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        run = instance.get_run_by_id(created.run_id)
        if run is not None and not run.is_finished:
            if stop.asked:
                instance.report_run_canceled(run, message="cancelled from the command line")
            else:
                instance.report_run_failed(run, message="the process of the run ended in an error")
        done.set()
        watching.join(timeout=5)
        say(result(instance, created.run_id).model_dump(mode="json"))


def announce(instance: dg.DagsterInstance, run_id: str) -> None:
    """Say in the history that the run is to be cancelled, if nobody did."""
    import dagster as dg

    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished and run.status is not dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceling(run, "Nobody waits for this run any more: it is cancelled.")


def get_ready() -> None:
    """Import what every run needs."""
    import export_pipeline.defs.build
    import export_pipeline.defs.history
    import export_pipeline.ledger  # noqa: F401


def work(home: Home) -> None:
    """Run the launch that standard input describes."""
    from export_pipeline.defs.instance import open_instance
    from export_pipeline.defs.lives import alive
    from export_pipeline.launches import Launch

    line = "" if home.dagster.exists() else sys.stdin.readline()  # no folders are made for a mistyped command
    if line or home.dagster.exists():
        with open_instance(home.create()) as instance:
            line = line or sys.stdin.readline()
            if not line.endswith("\n"):
                return  # whoever started this process did not need it, or is gone
            stop = Stop()
            stop.when_closed()
            launch = Launch.model_validate_json(line)
            with alive(home.dagster, launch.run_id):
                execute(home, launch, instance, stop)


def main() -> None:
    """Get ready, run one launch, end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.setLoggerClass(Quiet)
    code = 0
    try:
        get_ready()
        work(Home.find(sys.argv[1]))
    except ExportError as error:
        say({"refused": type(error).__name__, "error": error.message, "cure": error.cure})
    except KeyboardInterrupt:
        pass
    except Exception as error:
        told = f"an error that nobody foresaw: {type(error).__name__}: {error}"
        say({"refused": "ExportError", "error": told, "cure": REPORT, "trace": traceback.format_exc()})
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # a native call that was cancelled may still run; the process ends, and with it the call


if __name__ == "__main__":
    main()
