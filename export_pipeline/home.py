"""The home folder: where stores, exports, results and history live."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from export_pipeline.errors import StorageError

VARIABLE = "EXPORT_PIPELINE_HOME"


@dataclass(frozen=True)
class Home:
    """A folder with ``stores.yaml``, ``exports/`` and ``out/``; staging and history stand hidden beside them."""

    root: Path

    @classmethod
    def find(cls, path: str | Path | None = None) -> Home:
        """Return the home folder: `path`, else ``$EXPORT_PIPELINE_HOME``, else this folder if it has a
        ``stores.yaml``, else ``~/export_pipeline``.
        """
        given = path or os.environ.get(VARIABLE)
        if given:
            return cls(Path(given).expanduser().resolve())
        here = Path.cwd()
        return cls(here if (here / "stores.yaml").is_file() else Path.home() / "export_pipeline")

    @property
    def stores(self) -> Path:
        """The file that names the stores."""
        return self.root / "stores.yaml"

    @property
    def exports(self) -> Path:
        """The folder of export files, one job each."""
        return self.root / "exports"

    @property
    def out(self) -> Path:
        """The folder that relative `local` folders stand under."""
        return self.root / "out"

    @property
    def staging(self) -> Path:
        """The folder of running exports' snapshots and artifacts."""
        return self.root / ".staging"

    @property
    def dagster(self) -> Path:
        """Dagster's own folder: history, logs, schedules."""
        return self.root / ".dagster"

    @property
    def ledger_url(self) -> str:
        """The database of deliveries: ``$EXPORT_PIPELINE_LEDGER``, else a SQLite file in the home folder."""
        return os.environ.get("EXPORT_PIPELINE_LEDGER") or f"sqlite:///{self.root / 'ledger.sqlite'}"

    def create(self) -> Home:
        """Make the folders; raises `StorageError` where that is not allowed."""
        try:
            for folder in (self.exports, self.out, self.staging, self.dagster):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"the home folder {self.root} cannot be written: {error.strerror}",
                cure=f"Choose another one with --home or {VARIABLE}.",
            ) from error
        return self
