"""How far a stage is, in Dagster's event log: a line every few seconds, readable for people and for programs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from export_pipeline.pace import Pace

INTERVAL = 2.0
"""Seconds between two lines; a stage that is faster says nothing."""


class Reporter:
    """Collects the rows of a stage, from any thread, and says now and then how far it is."""

    def __init__(self, say: Callable[[str], None], interval: float = INTERVAL) -> None:
        self._say, self._interval = say, interval
        self._started = time.monotonic()
        self._first: tuple[str, int, float] | None = None
        self._latest: tuple[str, int, int | None] | None = None
        self._said: tuple[str, int, int | None] | None = None
        self._done = threading.Event()

    def update(self, stage: str, rows: int, total: int | None = None) -> None:
        """Take note of the rows so far; cheap enough for every batch."""
        if self._first is None or self._first[0] != stage:
            self._first = (stage, rows, time.monotonic())
        self._latest = (stage, rows, total)

    def _rate(self, rows: int) -> float:
        """Return rows per second since the first ones came: a sort before them says nothing of those to come."""
        now = time.monotonic()
        if self._first is not None:
            _, first, since = self._first
            if rows > first and now > since:
                return (rows - first) / (now - since)
        return rows / max(now - self._started, 1e-9)

    @contextlib.contextmanager
    def running(self) -> Iterator[Reporter]:
        """Say something every `interval` seconds as long as the block lasts.

        A thread of its own speaks, so that no thread that handles rows waits for the event log.
        """
        speaker = threading.Thread(target=self._speak, name="progress", daemon=True)
        speaker.start()
        try:
            yield self
        finally:
            self._done.set()
            speaker.join(timeout=5)

    def _speak(self) -> None:
        while not self._done.wait(self._interval):
            latest = self._latest
            if latest is not None and latest != self._said:
                stage, rows, total = self._said = latest
                self._say(str(Pace(stage, rows, total, self._rate(rows))))
