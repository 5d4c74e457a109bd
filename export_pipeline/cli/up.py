"""`up`: the code server, the webserver and the daemon of one home folder, and a watch over its exports."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress

from export_pipeline import interrupts
from export_pipeline.catalog import Catalog
from export_pipeline.cli import failures
from export_pipeline.cli.ports import address, free_port
from export_pipeline.cli.screen import Screen
from export_pipeline.cli.servers import Servers, end_leftovers
from export_pipeline.errors import ExportError, SourceUnavailableError
from export_pipeline.home import Home
from export_pipeline.instance import Instance, claimed

START = 120.0
"""Seconds that Dagster gets to answer."""
LOOK = 0.5
"""Seconds between two looks at the exports folder."""
BURY = 15.0
"""Seconds between two looks for runs whose process is gone, and for jobs that are."""
HEAL = 3
"""How often lost jobs are loaded again before it is said why they cannot be."""


def serve(home: Home, host: str, port: int) -> int:
    """Run Dagster for a home folder until it is interrupted; returns the exit code."""
    from export_pipeline.defs.instance import open_instance
    from export_pipeline.defs.lives import bury_abandoned

    screen = Screen()
    interrupts.listen(signal.SIGINT)  # a shell without job control hands on a deaf ear
    with claimed(home.create()) as mine:
        if not mine:
            return _is_up(screen, home)
        left = Instance.announced(home)
        if left is not None and end_leftovers(left.pid):
            screen.note("ended what a former `up` had left")
        with open_instance(home) as dagster:
            for run_id in bury_abandoned(dagster, home):
                screen.note(f"run {run_id} had lost its process")
        free = free_port(host, port)
        if free != port:
            screen.note(f"port {port} is busy; taking {free}")
        url = f"http://{address(host)}:{free}"
        announced = None
        try:
            with Servers(home, host, free) as servers:
                instance = Instance(url, servers.pid)
                announced = instance.announce(home)
                _wait(instance, servers, screen)
                _welcome(screen, home, instance)
                try:
                    return _watch(home, instance, servers, screen)
                finally:
                    if servers.running:
                        servers.stop_launching()
                        _cancel_runs(home, instance, screen)
        except KeyboardInterrupt:
            screen.note("stopped")
            return 0
        finally:
            if announced is not None:
                announced.unlink(missing_ok=True)


def _is_up(screen: Screen, home: Home) -> int:
    """Say where the other `up` of this home answers."""
    other = Instance.announced(home)
    if other is None or Instance.find(home) is None:
        screen.say(f"Dagster is starting already for {home.root}")
    else:
        screen.say(f"Dagster is up already for {home.root}: {other.url}")
    return 0


def _wait(instance: Instance, servers: Servers, screen: Screen) -> None:
    """Wait until Dagster answers with its jobs."""
    deadline = time.monotonic() + START
    with screen.progress("starting Dagster", steps=False):
        while time.monotonic() < deadline:
            interrupts.check()
            if not servers.running:
                raise ExportError(f"Dagster did not start: {servers.said()}", cure=f"All it said is in {servers.log}.")
            with suppress(ExportError):
                if instance.jobs():
                    return
            time.sleep(0.3)
    raise ExportError(f"Dagster does not answer after {START:.0f} s", cure=f"What it said is in {servers.log}.")


def _welcome(screen: Screen, home: Home, instance: Instance) -> None:
    screen.say(f"Dagster UI   {instance.url}", "bold")
    screen.say(f"GraphQL      {instance.url}/graphql")
    screen.say(f"exports      {home.exports}  (a saved file is a job within seconds)")
    screen.say("Ctrl-C stops it; the history stays.")


def _watch(home: Home, instance: Instance, servers: Servers, screen: Screen) -> int:
    """Reload the jobs when the exports folder or the stores change, until Dagster ends."""
    from export_pipeline.defs.instance import open_instance
    from export_pipeline.defs.lives import bury

    seen = _state(home)
    looked = time.monotonic()
    stopped = threading.Event()
    with open_instance(home) as dagster:
        while not stopped.wait(LOOK):
            interrupts.check()
            if not servers.running:
                screen.failure("Dagster ended by itself", f"What it said is in {servers.log}.", failures.command("up"))
                return 1
            if time.monotonic() - looked > BURY:
                looked = time.monotonic()
                bury(dagster, home)
                _heal(home, instance, screen)
            now = _state(home)
            if now != seen:
                seen = now
                _reload(home, instance, screen)
    return 0


def _heal(home: Home, instance: Instance, screen: Screen) -> None:
    """Load the jobs again where Dagster has lost them.

    Its code server ends when nobody was heard for half a minute, as it seems after a computer slept, and Dagster itself
    starts no other.
    """
    try:
        if instance.jobs():
            return
    except SourceUnavailableError:
        return  # the webserver is busy, or ended, which is looked for elsewhere
    except ExportError:
        pass
    screen.note("Dagster had lost the exports, as after a sleep of the computer: loading them again")
    for _ in range(HEAL):
        with suppress(ExportError):
            if instance.reload() is None:
                return
        time.sleep(1)  # the first answer may still be that of the connection that was lost
    _reload(home, instance, screen)


def _reload(home: Home, instance: Instance, screen: Screen) -> None:
    """Make the jobs those of the files as they are now, and say which files are broken."""
    try:
        wrong = instance.reload()
    except ExportError as error:
        wrong = error.message
    if wrong:
        screen.problem(f"the exports could not be reloaded: {wrong.splitlines()[0]}")
        return
    entries = Catalog(home).entries()
    broken = [entry for entry in entries if entry.problem is not None]
    screen.note(f"reloaded: {len(entries)} exports" + (f", {len(broken)} broken" if broken else ""))
    for entry in broken:
        screen.problem(failures.one_line(str(entry.problem)))


def _state(home: Home) -> dict[str, tuple[int, int, int]]:
    """Return what the files look like: name, inode, size, time of change."""
    state = {}
    for path in (*Catalog(home).paths(), home.stores):
        with suppress(OSError):
            found = path.stat()
            state[str(path)] = (found.st_ino, found.st_mtime_ns, found.st_size)
    return state


def _cancel_runs(home: Home, instance: Instance, screen: Screen) -> None:
    """Cancel what the instance is running, so that it ends cleanly; queued runs wait for the next `up`."""
    from export_pipeline.defs.instance import open_instance
    from export_pipeline.defs.lives import going, is_over

    with open_instance(home) as dagster:
        runs = going(dagster)
        if not runs:
            return
        screen.note(f"cancelling {len(runs)} running exports")
        for _ in range(5):
            for run_id in runs:
                with suppress(ExportError):
                    instance.terminate(run_id)
            time.sleep(1)
            runs = [run_id for run_id in runs if not is_over(dagster, run_id)]
            if not runs:
                return
