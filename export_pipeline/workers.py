"""A run in a process of its own, seen from the process that wants it: started early, followed, stopped.

The two talk in lines of JSON: one launch on the worker's standard input, what happens on its standard output. The
input stays open as long as the run is wanted: when it closes, because of a cancel or because this process is gone, the
worker stops its run and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from export_pipeline import interrupts
from export_pipeline.home import Home

MODULE = "export_pipeline.defs.worker"
Watch = Callable[[dict[str, Any]], None]
"""Told what happens: ``{"stage": ...}``, with ``rows``, ``total``, ``rate`` where known; ``{"waiting": "queued"}``."""
PATIENCE = 10.0
"""Seconds that a cancelled run gets to end cleanly before its process is killed."""


class Worker:
    """A process that gets ready to run something; what it runs may be said later."""

    def __init__(self, home: Home) -> None:
        self.cancelled = False
        """Whether the run was stopped from here."""
        self.said: list[str] = []
        """What the process wrote to standard error: nothing, if all goes well."""
        self._begun = False
        self._deadline = float("inf")
        self._last: dict[str, Any] = {}
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(home.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches this process alone, which then asks the worker to end
            env=os.environ | {"DAGSTER_DISABLE_TELEMETRY": "1", "PYTHONUTF8": "1"},
        )
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._drain)]
        for reader in self._readers:
            reader.start()

    def run(self, launch: dict[str, Any], watch: Watch) -> dict[str, Any]:
        """Run a launch to its end and return the last thing that the worker said; empty if it died without a word.

        An interrupt stops the run; a second one kills its process.
        """
        while True:
            try:
                if not self._begun:
                    self._begun = True
                    self._tell(launch)
                while (message := self._next()) is not None:
                    if "stage" in message:
                        watch(message)
                    elif message:
                        self._last = message
                self._process.wait()
            except KeyboardInterrupt:
                interrupts.heard()
                if self.cancelled:
                    self._process.kill()
                self.cancelled = True
                self._deadline = time.monotonic() + PATIENCE
                self._hang_up()
                watch({"waiting": "cancelling"})
            else:
                return self._last

    def close(self) -> None:
        """End the process; one that runs something ends it cleanly, if it can."""
        self._hang_up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE if self._begun else 0)
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(timeout=1)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _next(self) -> dict[str, Any] | None:
        """Return what the worker said next, nothing if it is silent, None if it is gone."""
        if self.cancelled and time.monotonic() > self._deadline:
            self._process.kill()
        interrupts.check()
        try:
            return self._messages.get(timeout=0.1)
        except queue.Empty:
            return {}

    def _tell(self, launch: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died: its output says so
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(launch) + "\n")
                self._process.stdin.flush()

    def _hang_up(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _read(self) -> None:
        for line in self._process.stdout or []:
            with contextlib.suppress(ValueError):  # somebody else's word on standard output
                self._messages.put(json.loads(line))
        self._messages.put(None)

    def _drain(self) -> None:
        for line in self._process.stderr or []:
            self.said.append(line)
            del self.said[:-200]
