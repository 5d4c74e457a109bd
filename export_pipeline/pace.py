"""How fast a stage is, as one line of a log that people read and programs read back."""

from __future__ import annotations

import re
from dataclasses import dataclass

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
