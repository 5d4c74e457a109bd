"""The launcher's side of a process that is ready for a run (`export_pipeline.defs.ready`)."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import export_pipeline

PROGRAM = "export_pipeline.defs.ready"
PATIENCE = 60.0
"""Seconds that a process gets to answer; one that is still importing answers as soon as it has."""


class Standby:
    """A process that imports what a run needs and waits: for one run, or until nobody holds this any more.

    The two talk over a socket that is its standard input. It ends when the other end closes, however that came about.
    """

    def __init__(self, instance: str, location: str) -> None:
        """Start it for a serialized `InstanceRef` and the name of a code location."""
        self._made_of = _state()
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen([sys.executable, "-m", PROGRAM], stdin=theirs.fileno())
        self._channel.settimeout(PATIENCE)
        self._answers = self._channel.makefile("r", encoding="utf-8")
        with contextlib.suppress(OSError):  # it died already, which is seen when it is needed
            self._say({"instance": instance, "location": location})

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it lives, and is made of the program as it is on disk."""
        return self._process.poll() is None and self._made_of == _state()

    def take(self, run_id: str, args: str, taken: Callable[[], None]) -> bool:
        """Hand over a run (serialized `ExecuteExternalJobArgs`); return False if it did not take it, and is gone.

        `taken` is called when the process holds the run's lock and has not begun.
        """
        try:
            self._say({"run": run_id, "args": args})
            if self._answers.readline() != "taken\n":
                self.end()
                return False
        except OSError:  # it is gone, or has been stopped
            self.end()
            return False
        try:
            taken()
        except BaseException:
            self.end()
            raise
        with contextlib.suppress(OSError):  # it died in this very moment: whoever waits for it sees that
            self._say({"go": run_id})
        self._answers.close()
        self._channel.close()
        return True

    def wait(self, timeout: float | None = None) -> int | None:
        """Return how the process ended; None while it lives."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout)
        return None

    def end(self) -> None:
        """End the process without having run anything."""
        self._answers.close()
        self._channel.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        threading.Thread(target=self._process.wait, name="ended", daemon=True).start()  # so that no zombie is left

    def _say(self, message: dict[str, Any]) -> None:
        self._channel.sendall(f"{json.dumps(message)}\n".encode())


def _state() -> frozenset[tuple[Path, int]]:
    """Return the program's modules and when they changed."""
    found = []
    for path in Path(export_pipeline.__file__).parent.rglob("*.py"):
        with contextlib.suppress(OSError):  # deleted in this moment, as by an upgrade
            found.append((path, path.stat().st_mtime_ns))
    return frozenset(found)
