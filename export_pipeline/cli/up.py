"""`up`: the code server, the webserver and the daemon of one home folder, and a watch over its exports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from export_pipeline.catalog import Catalog
from export_pipeline.cli.screen import Screen
from export_pipeline.errors import ConfigError, ExportError
from export_pipeline.home import VARIABLE, Home
from export_pipeline.instance import LOCATION, Instance

START = 120.0
"""Seconds that Dagster gets to answer."""
LOOK = 1.0
"""Seconds between two looks at the exports folder."""


def serve(home: Home, host: str, port: int) -> int:
    """Run Dagster for a home folder until it is interrupted; returns the exit code."""
    from export_pipeline.defs.instance import prepare

    screen = Screen()
    running = Instance.find(home)
    if running is not None:
        screen.say(f"Dagster is up already for {home.root}: {running.url}")
        return 0
    prepare(home)
    port = _free(host, port, screen)
    url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104
    log = home.dagster / "up.log"
    with _dagster(home, host, port, log) as process:
        instance = Instance(url, process.pid)
        _wait(instance, process, log, screen)
        announced = instance.announce(home)
        try:
            _welcome(screen, home, instance)
            return _watch(home, instance, process, screen)
        except KeyboardInterrupt:
            screen.note("stopping")
            return 0
        finally:
            announced.unlink(missing_ok=True)


def _free(host: str, port: int, screen: Screen) -> int:
    """Return the port if it is free, else the next one that is."""
    for candidate in range(port, min(port + 50, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
        if candidate != port:
            screen.note(f"port {port} is busy; taking {candidate}")
        return candidate
    raise ConfigError(f"ports {port} to {port + 49} are busy", cure="Name a free one with --port.")


@contextmanager
def _dagster(home: Home, host: str, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start `dagster dev` with this home's history; ended with everything it started when the block ends."""
    variables = os.environ | {
        VARIABLE: str(home.root),
        "DAGSTER_HOME": str(home.dagster),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    command = [sys.executable, "-m", "dagster", "dev", "-m", LOCATION, "-h", host, "-p", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=home.root,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_default_signals,
        )
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield process
    finally:
        _end(process)
        signal.signal(signal.SIGTERM, previous)


def _default_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End Dagster and what it started: politely, then surely."""
    for sign, patience in ((signal.SIGINT, 20.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign) if sign == signal.SIGKILL else process.send_signal(sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _wait(instance: Instance, process: subprocess.Popen[bytes], log: Path, screen: Screen) -> None:
    """Wait until Dagster answers with its jobs."""
    deadline = time.monotonic() + START
    with screen.progress("starting Dagster"):
        while time.monotonic() < deadline:
            if process.poll() is not None:
                said = log.read_text(errors="replace").strip().splitlines()[-5:]
                raise ExportError("Dagster did not start: " + " / ".join(said), cure=f"All it said is in {log}.")
            with suppress(ExportError):
                if instance.jobs():
                    return
            time.sleep(0.3)
    raise ExportError(f"Dagster does not answer after {START:.0f} s", cure=f"What it said is in {log}.")


def _welcome(screen: Screen, home: Home, instance: Instance) -> None:
    screen.say(f"Dagster UI   {instance.url}", "bold")
    screen.say(f"GraphQL      {instance.url}/graphql")
    screen.say(f"exports      {home.exports}  (a saved file is a job within seconds)")
    screen.say("Ctrl-C stops it; the history stays.")


def _watch(home: Home, instance: Instance, process: subprocess.Popen[bytes], screen: Screen) -> int:
    """Reload the jobs when the exports folder or the stores change, until Dagster ends."""
    seen = _state(home)
    stopped = threading.Event()
    while not stopped.wait(LOOK):
        if process.poll() is not None:
            screen.failure("Dagster ended by itself", f"What it said is in {home.dagster / 'up.log'}.", None)
            return 1
        now = _state(home)
        if now == seen:
            continue
        seen = now
        try:
            wrong = instance.reload()
        except ExportError as error:
            wrong = error.message
        if wrong:
            screen.failure(f"the exports could not be reloaded: {wrong.splitlines()[0]}", None, None)
            continue
        entries = Catalog(home).entries()
        broken = [entry for entry in entries if entry.problem is not None]
        screen.note(f"reloaded: {len(entries)} exports" + (f", {len(broken)} broken" if broken else ""))
        for entry in broken:
            screen.failure(str(entry.problem), None, None)
    return 0


def _state(home: Home) -> dict[str, tuple[int, int]]:
    """Return what the files looked like: name, size, time of change."""
    state = {}
    for path in (*Catalog(home).paths(), home.stores):
        with suppress(OSError):
            found = path.stat()
            state[str(path)] = (found.st_mtime_ns, found.st_size)
    return state
