"""A process that is ready for a run: it has imported everything, and waits to be told which (`defs.standby`).

``python -m export_pipeline.defs.ready`` reads lines of JSON from the socket that is its standard input: the instance,
then a run, which it answers with ``taken`` once it holds the run's lock, then the word to begin. Where that socket
closes before, it ends. From then on it is what Dagster's code server would have started: the same function of Dagster
works on the run, and nobody else is needed for it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from export_pipeline.home import Home

if TYPE_CHECKING:
    import dagster as dg

NEEDED = (
    "dagster._core.executor.in_process",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._grpc.impl",
    "duckdb",
    "export_pipeline.ledger.database",
    "export_pipeline.sources.duckdb_store",
    "polars",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.parquet",
)
"""What is imported where it is used, and used by nearly every run."""
STOP = signal.SIGUSR1
"""Asks a process to cancel its run; means nothing to one that still waits."""


def get_ready(home: Home) -> None:
    """Import what every run needs, and do once what is slow the first time.

    Not `export_pipeline.definitions`: what runs is what the files say when the run starts.
    """
    for name in NEEDED:
        importlib.import_module(name)
    from export_pipeline.defs.build import definitions

    with contextlib.suppress(Exception):  # whatever is wrong with the files is said by the run that needs them
        definitions(home).get_repository_def()


def variables(instance: dg.DagsterInstance, location: str) -> dict[str, str]:
    """Return what Dagster's code server adds to the environment: this folder's `.env`, and what dagster.yaml says."""
    from dagster._core.secrets.env_file import get_env_var_dict

    loader: Any = instance._secrets_loader
    return get_env_var_dict(str(Path.cwd())) | ({} if loader is None else loader.get_secrets_for_environment(location))


def hear(lines: IO[str]) -> dict[str, Any]:
    """Return the next message; raises `EOFError` when there is nobody any more."""
    line = lines.readline()
    if not line.endswith("\n"):
        raise EOFError
    message: dict[str, Any] = json.loads(line)
    return message


def work(channel: socket.socket, lines: IO[str]) -> None:
    """Get ready, wait for a run, take it and run it."""
    first = hear(lines)
    import dagster as dg
    from dagster._core.instance import InstanceRef
    from dagster._serdes import deserialize_value

    from export_pipeline.defs.lives import alive

    with dg.DagsterInstance.from_ref(deserialize_value(first["instance"], InstanceRef)) as instance:
        given = variables(instance, first["location"])
        os.environ.update(given)  # before the imports, some of which look at them
        get_ready(Home.find())
        instance.get_runs(limit=1)
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)  # what a run starts has nobody to listen to; and who waits is known by it
        told = hear(lines)
        run = instance.get_run_by_id(told["run"])
        if run is None or run.remote_job_origin is None or run.job_code_origin is None:
            return
        if variables(instance, run.remote_job_origin.location_name) != given:
            return  # a process that begins with them has to be started
        folder = Path(instance.root_directory)
    with alive(folder, run.run_id):
        channel.sendall(b"taken\n")
        hear(lines)
        lines.close()
        channel.close()
        execute(run.job_code_origin, told["args"])


def execute(origin: Any, args: str) -> None:
    """Work on the run as Dagster's own processes do; a cancel interrupts it until it has ended."""
    import multiprocessing
    import queue

    from dagster._grpc.impl import start_run_in_subprocess
    from dagster._utils.hosted_user_process import recon_job_from_origin

    from export_pipeline.defs.worker import Stop

    stop = Stop()

    def listen() -> None:
        signal.sigwait({STOP})
        stop.ask()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    threading.Thread(target=listen, name="cancel", daemon=True).start()
    never = multiprocessing.get_context("fork").Event()  # another kind would start a process for it
    try:
        start_run_in_subprocess(  # type: ignore[no-untyped-call]
            args, recon_job_from_origin(origin), queue.SimpleQueue(), never
        )
    finally:
        stop.over()


def main() -> None:
    """Get ready, run one run, end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {STOP})  # before there are threads, so that none of them hears it
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # nothing is lost: it ends without a word
    code = 0
    try:
        channel = socket.socket(fileno=os.dup(0))
        work(channel, channel.makefile("r", encoding="utf-8"))
    except (EOFError, KeyboardInterrupt, ConnectionError):
        pass
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)  # a native call that was cancelled may still run; the process ends, and with it the call


if __name__ == "__main__":
    main()
