"""The folders that a batch of files goes to: each is opened, swept and synced once for all of its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import PurePosixPath
from types import TracebackType

from export_pipeline.destinations.beneath import Folder
from export_pipeline.destinations.unfinished import sweep

WORKERS = 8
"""Files and folders that are synced at a time: a disk writes the waiting ones down together."""


class Tree:
    """A folder and those below it that are asked for; a context manager that closes them."""

    def __init__(self, top: Folder, *, place: str) -> None:
        self.place = place
        """The path of the folder, as a person would look for it."""
        self.pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="sync")
        self._folders = {PurePosixPath("."): top}
        self._swept: set[PurePosixPath] = set()
        self._syncs: dict[PurePosixPath, Future[None]] = {}

    def __enter__(self) -> Tree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pool.shutdown()
        for folder in self._folders.values():
            os.close(folder.handle)

    def at(self, path: PurePosixPath, *, make: bool = True) -> Folder:
        """Return a folder, open, with those on the way to it."""
        if path not in self._folders:
            parent = self.at(path.parent, make=make)
            if make:
                parent.make(path.name)
            self._folders[path] = parent.enter(path.name)
        return self._folders[path]

    def sweep(self, path: PurePosixPath) -> None:
        """Remove unfinished files of dead processes from a folder, once."""
        if path not in self._swept:
            self._swept.add(path)
            sweep(self.at(path))

    def changed(self, path: PurePosixPath) -> None:
        """Take note that names in a folder are new: a sync that was begun before does not count."""
        for folder in (path, *path.parents):
            self._syncs.pop(folder, None)

    def begin_sync(self, path: PurePosixPath) -> Sequence[Future[None]]:
        """Begin to make the names in a folder, and of the folders on the way to it, survive a power cut.

        Those on the way may have been made by a process that died before it could sync them.
        """
        for folder in (path, *path.parents):
            if folder not in self._syncs:
                self._syncs[folder] = self.pool.submit(self.at(folder).sync)
        return [self._syncs[folder] for folder in (path, *path.parents)]

    def sync(self, path: PurePosixPath) -> None:
        """Make the names in a folder, and of the folders on the way to it, survive a power cut."""
        for done in self.begin_sync(path):
            done.result()
