"""One run in a process of its own, recorded in the home's history, for when no instance is up.

``python -m export_pipeline.defs.worker`` reads a `Launch` as JSON from standard input and writes what happens as JSON
lines: ``{"stage": ...}``, ``{"rows": ...}``, ``{"state": ..., ...}`` last. SIGTERM and SIGINT cancel the run.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator

from export_pipeline import labels, trust
from export_pipeline.defs.build import definitions
from export_pipeline.defs.history import Follower, result
from export_pipeline.defs.instance import open_instance
from export_pipeline.defs.jobs import InvalidExport
from export_pipeline.errors import ConfigError, ExportError, NotFoundError
from export_pipeline.home import Home
from export_pipeline.launches import Launch


def say(message: dict[str, Any]) -> None:
    """Write a line to whoever started this process."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def tags(home: Home, launch: Launch) -> dict[str, str]:
    """Return the run's tags; the local command line's rights are proven to the run."""
    proof = trust.sign(home, launch.run_id, launch.output_root)
    return launch.tags() | {labels.TRUST: proof, labels.WORKER: str(os.getpid())}


def execute(home: Home, launch: Launch, instance: dg.DagsterInstance) -> None:
    """Create the run and execute it here; its end is in the history, whatever it is."""
    built = definitions(home)
    try:
        job = built.get_job_def(launch.job)
        created = instance.create_run_for_job(
            job, run_id=launch.run_id, run_config=launch.config, tags=dict(job.tags) | tags(home, launch)
        )
    except InvalidExport as error:
        raise ConfigError(str(error)) from None
    except dg.DagsterInvalidConfigError as error:
        raise ConfigError("\n".join(problem.message for problem in error.errors or [])) from None
    except (KeyError, dg.DagsterInvariantViolationError):
        raise NotFoundError(f"there is no job {launch.job!r} in {home.root}") from None
    say({"run_id": created.run_id})
    follower = Follower(instance, created.run_id, say)
    done = threading.Event()
    watching = threading.Thread(target=follower.watch, args=(done,), daemon=True)
    watching.start()
    try:
        for _ in execute_run_iterator(InMemoryJob(job), created, instance):
            pass
    finally:
        done.set()
        watching.join(timeout=5)
        say(result(instance, created.run_id).model_dump(mode="json"))


def main() -> None:
    """Run the launch that standard input describes."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.disable(logging.CRITICAL)  # the event log has everything, the terminal shows the result
    request = json.load(sys.stdin)
    home, launch = Home.find(request["home"]).create(), Launch.model_validate(request["launch"])
    try:
        with open_instance(home) as instance:
            execute(home, launch, instance)
    except ExportError as error:
        say({"refused": type(error).__name__, "error": error.message, "cure": error.cure, "code": error.exit_code})
    except KeyboardInterrupt:
        pass
    finally:
        sys.stdout.flush()
        os._exit(0)  # a native call that was cancelled may still run; the process ends, and with it the call


if __name__ == "__main__":
    main()
