"""How often, and after which waits, a stage that failed for a passing reason is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from export_pipeline.options import Options
from export_pipeline.times import Duration


class Retry(Options):
    """Retries of extract and deliver; only errors that trying again can cure are retried."""

    attempts: int = Field(3, ge=0, le=20)
    """How many times to try again after the first failure; 0 switches retries off."""
    backoff: Literal["linear", "exponential"] = "exponential"
    """How the wait grows: by the same step each time, or doubling."""
    delay: Duration = Field(timedelta(seconds=5), validate_default=True)
    """Wait before the first retry, such as `5s`."""
    max_delay: Duration = Field(timedelta(minutes=5), validate_default=True)
    """The longest wait between two tries, such as `5m`."""

    def wait(self, attempt: int) -> float:
        """Return the seconds to wait before retry number `attempt`, counted from 1."""
        factor = attempt if self.backoff == "linear" else 2.0 ** min(attempt - 1, 32)
        return min(self.max_delay.total_seconds(), self.delay.total_seconds() * factor)
