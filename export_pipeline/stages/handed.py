"""What the stages hand on to one another, as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import polars as pl
from pydantic import Field

from export_pipeline.destinations import Receipt
from export_pipeline.options import Options
from export_pipeline.snapshots import Snapshot
from export_pipeline.verification import Artifact


class Extracted(Options):
    """The rows of all sources, in one consistent view."""

    snapshots: dict[str, Snapshot]
    """Source -> its rows; the export's are those of the first."""

    @property
    def first(self) -> Snapshot:
        """The source that the export's rows are of."""
        return next(iter(self.snapshots.values()))

    @property
    def version(self) -> str:
        """Identity of all rows."""
        return " ".join(snapshot.version for snapshot in self.snapshots.values())

    @contextmanager
    def reading(self) -> Iterator[dict[str, pl.LazyFrame]]:
        """Give the rows of each source; SourceError where they are not what was extracted."""
        with ExitStack() as stack:
            yield {name: stack.enter_context(snapshot.reading()) for name, snapshot in self.snapshots.items()}

    def check(self) -> None:
        """Raise `SourceError` where a file is gone or was changed."""
        for snapshot in self.snapshots.values():
            snapshot.check()


class Written(Options):
    """The finished files of a run."""

    artifacts: dict[str, Artifact] = Field(default_factory=dict)
    """Output -> its file."""
    rows: int = 0
    """Rows in each file."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """Output -> how long it took."""


class Delivered(Options):
    """What arrived where."""

    receipts: dict[str, list[Receipt]] = Field(default_factory=dict)
    """Output -> its receipts, in the order of its destinations."""
    skipped: str = ""
    """Why nothing was sent."""
