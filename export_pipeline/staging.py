"""The folder of one run: its snapshot, its artifacts, and a lock that says the run is alive."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from export_pipeline.files import storage_error

RETENTION = timedelta(days=3)
"""How long the files of a run that failed stay, so that it can be taken up again from where it failed."""


@dataclass(frozen=True)
class Staging:
    """Where one run keeps what is not delivered yet."""

    root: Path
    run_id: str

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self.root / self.run_id

    @contextlib.contextmanager
    def held(self) -> Iterator[Path]:
        """Make the folder and hold its lock: no sweep takes what a living process uses."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o640)
        except OSError as error:
            raise storage_error(error, self.folder) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            os.utime(self.folder / ".lock")
            yield self.folder
        finally:
            os.close(lock)

    def remove(self) -> None:
        """Delete what the run staged."""
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep(root: Path, retention: timedelta = RETENTION) -> list[str]:
    """Delete the folders of runs whose lock is free and that nobody touched for `retention`; return their run ids."""
    swept: list[str] = []
    if not root.is_dir():
        return swept
    for folder in root.iterdir():
        lock = folder / ".lock"
        with contextlib.suppress(OSError):
            age = time.time() - (lock if lock.exists() else folder).stat().st_mtime
            if age >= retention.total_seconds() and _take(lock):
                shutil.rmtree(folder, ignore_errors=True)
                swept.append(folder.name)
    return swept


def _take(lock: Path) -> bool:
    """Return whether no living process holds this lock."""
    if not lock.exists():
        return True
    handle = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(handle)
