"""What a run works in: where it is, who listens, and whether somebody stopped it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from export_pipeline.config import ExportConfig
from export_pipeline.engines.native import run_native
from export_pipeline.home import Home
from export_pipeline.sources import Opened, Stores, open_sources
from export_pipeline.staging import Staging


@dataclass(frozen=True)
class Progress:
    """How far a stage is."""

    stage: str
    rows: int
    total: int | None = None


@dataclass
class Context:
    """What a run has besides its plan: where it is, who listens, and whether somebody stopped it."""

    home: Home
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    output_root: Path | None = None
    """Folder that relative `local` folders stand under; None is ``out/`` of the home folder."""
    trusted: bool = False
    """Whether the local command line launched it: then files outside the allowed roots may be read and written."""
    folder: Path | None = None
    """Folder that relative paths of files stand in; None is the home folder."""
    progress: Callable[[Progress], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    redeliver: str | None = None
    """Send again what was sent: a text that is the same when the same request is repeated."""

    @property
    def staging(self) -> Staging:
        """The run's own folder."""
        return Staging(self.home.staging, self.run_id)

    @property
    def stores(self) -> Stores:
        """The stores of the home folder."""
        return Stores.load(self.home.stores)

    def counting(self, stage: str, total: int | None = None) -> Callable[[int], None]:
        """Return the callback that reports the rows of a stage."""
        return lambda rows: self.progress(Progress(stage, rows, total))

    @contextmanager
    def open(self, config: ExportConfig, *, trusted: bool) -> Iterator[dict[str, Opened]]:
        """Open the export's sources in one consistent view."""
        stores = self.stores
        roots = None if trusted else (self.home.root, *stores.roots)
        with ExitStack() as stack:
            several = open_sources(config.inputs, stores, roots, folder=self.folder or self.home.root)
            # Finding out the types of text files and loose tables reads all of their rows.
            yield run_native(lambda: stack.enter_context(several), stop=self.stop)
