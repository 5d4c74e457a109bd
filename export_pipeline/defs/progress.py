"""How far a stage is, in Dagster's event log: a line every few seconds, readable for people and for programs."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

INTERVAL = 2.0
"""Seconds between two lines; a stage that is faster says nothing."""

LINE = re.compile(
    r"(?P<stage>\w+): (?P<rows>[\d,]+)(?: of (?P<total>[\d,]+))? rows, (?P<rate>[\d,]+) rows/s"
    r"(?:, about (?P<left>[\d,]+) s left)?"
)


@dataclass(frozen=True)
class Pace:
    """Rows so far, how many there will be, and how fast they come."""

    stage: str
    rows: int
    total: int | None
    rate: float
    """Rows per second."""

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the stage is done at this rate; None where the total or the rate is not known."""
        if self.total is None or self.rate <= 0:
            return None
        return max(self.total - self.rows, 0) / self.rate

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total:,}"
        left = "" if self.seconds_left is None else f", about {self.seconds_left:,.0f} s left"
        return f"{self.stage}: {self.rows:,}{of} rows, {self.rate:,.0f} rows/s{left}"

    @classmethod
    def parse(cls, line: str) -> Pace | None:
        """Return what a line of the event log says; None for other lines."""
        found = LINE.fullmatch(line)
        if found is None:
            return None
        rows, rate = (int(found[name].replace(",", "")) for name in ("rows", "rate"))
        total = None if found["total"] is None else int(found["total"].replace(",", ""))
        return cls(found["stage"], rows, total, float(rate))


class Reporter:
    """Collects the rows of a stage, from any thread, and says now and then how far it is."""

    def __init__(self, say: Callable[[str], None], interval: float = INTERVAL) -> None:
        self._say, self._interval = say, interval
        self._started = time.monotonic()
        self._latest: tuple[str, int, int | None] | None = None
        self._said: tuple[str, int, int | None] | None = None
        self._done = threading.Event()

    def update(self, stage: str, rows: int, total: int | None = None) -> None:
        """Take note of the rows so far; cheap enough for every batch."""
        self._latest = (stage, rows, total)

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
                self._say(str(Pace(stage, rows, total, rows / (time.monotonic() - self._started))))
