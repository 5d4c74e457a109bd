"""Dagster's servers as child processes: started together, ended together, also when their parent is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from export_pipeline.home import VARIABLE, Home
from export_pipeline.instance import LOCATION

ENDS = ((signal.SIGINT, 20.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
"""Signal -> seconds until the next one."""
DAEMON = 5.0
"""Seconds that the daemon gets to end what it is at."""
OURS = (b"dagster", b"export_pipeline.defs.ready")
"""What is in the command line of a process that `up` or Dagster started."""
WHEN_PARENT_DIES = 1
"""Linux's PR_SET_PDEATHSIG."""
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Servers:
    """`dagster dev` with a home's history, in a group of its own; all of it is ended with the block."""

    def __init__(self, home: Home, host: str, port: int) -> None:
        self.log = home.dagster / "up.log"
        """What Dagster says."""
        variables = {
            VARIABLE: str(home.root),
            "DAGSTER_HOME": str(home.dagster),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dagster", "dev", "-m", LOCATION, "-h", host, "-p", str(port)],
                cwd=home.root,
                env=os.environ | variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches `up` alone, which then ends the servers in order
                preexec_fn=_prepare,
            )

    @property
    def pid(self) -> int:
        """The leader of the group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether Dagster is running."""
        return self._process.poll() is None

    def said(self) -> str:
        """Return the end of the log."""
        return " / ".join(self.log.read_text(errors="replace").strip().splitlines()[-5:])

    def stop_launching(self) -> None:
        """End the daemon before the rest: no queued run is started any more, running ones can still be cancelled.

        `dagster dev` would end everything as soon as it misses its daemon, so it is held until it is ended itself.
        """
        daemons = [pid for pid, leader in _groups() if leader == self.pid and _runs(pid, b"dagster._daemon")]
        if daemons:
            self._process.send_signal(signal.SIGSTOP)
        for pid in daemons:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + DAEMON
        while any(_runs(pid, b"dagster._daemon") for pid in daemons):  # a zombie has no command line
            if time.monotonic() > deadline:
                for pid in daemons:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # an impatient second Ctrl-C would leave some of them
        for sign, patience in ENDS:
            with suppress(ProcessLookupError):
                self._process.send_signal(sign)
                self._process.send_signal(signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                break
        _end_group(self.pid)


def _prepare() -> None:
    """Hear signals again that a shell in the background turned off, and end when `up` is killed, if the system can."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if LIBC is not None:
        LIBC.prctl(WHEN_PARENT_DIES, signal.SIGTERM)


def _end_group(group: int, patience: float = 5.0) -> None:
    """End what is left of a group of processes: politely, then surely."""
    deadline = time.monotonic() + patience
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < deadline and any(leader == group and _runs(pid, b"\0") for pid, leader in _groups()):
            time.sleep(0.1)
        os.killpg(group, signal.SIGKILL)


def end_leftovers(group: int) -> bool:
    """End the servers of an `up` that was killed; return whether there were any. Ids are used again: names count."""
    members = [pid for pid, leader in _groups() if leader == group and any(_runs(pid, name) for name in OURS)]
    if members:
        _end_group(group)
    return bool(members)


def _groups() -> list[tuple[int, int]]:
    """Return each process and the leader of its group, where the system tells."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((int(entry.name), os.getpgid(int(entry.name))))
    return found


def _runs(pid: int, program: bytes) -> bool:
    """Return whether a process runs a program."""
    try:
        return program in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
