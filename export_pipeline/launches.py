"""A launch: which job with which values, for which instant; the same for every door."""

from __future__ import annotations

import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from export_pipeline import labels, times
from export_pipeline.options import Options


class Launch(Options):
    """What is asked of Dagster."""

    job: str
    """Name of the job."""
    export: str
    """Name of the export, for people."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Run config: values merged over the file's, or a whole export for the ad-hoc job."""
    run_id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    """The run's id, where this side may choose it."""
    logical_time: datetime | None = None
    """The instant that the run stands for; None is the moment of its start."""
    output_root: Path | None = None
    """Folder that relative `local` folders stand under."""
    redeliver: str | None = None
    """Send again what was sent; a text that is the same when the same request is repeated."""
    private: bool = False
    """Whether it needs the local command line's rights: then a process of this user runs it, not the instance."""

    def tags(self) -> dict[str, str]:
        """Return the run's tags."""
        given = {
            labels.EXPORT: self.export,
            labels.TRIGGER: "command",
            labels.LOGICAL_TIME: times.format_instant(self.logical_time) if self.logical_time else None,
            labels.OUTPUT_ROOT: str(self.output_root) if self.output_root else None,
            labels.REDELIVER: self.redeliver,
        }
        return {key: value for key, value in given.items() if value is not None}
