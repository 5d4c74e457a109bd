"""What every file format is: options, and how its files are opened."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from export_pipeline.errors import SourceError
from export_pipeline.filters import Roles
from export_pipeline.options import Options
from export_pipeline.snapshots import Pin
from export_pipeline.sources.base import Opened


class FileRequest(Options):
    """Which files to open and how."""

    paths: tuple[Path, ...]
    """The files, absolute, in order."""
    what: str
    """What is read, in words."""
    types: dict[str, str]
    """Column -> type that the export wants."""
    roles: Roles
    """The columns that the source names."""


class FileFormat(Options):
    """A format that rows are read from."""

    extensions: ClassVar[tuple[str, ...]]
    """How its files' names end."""
    packed: ClassVar[bool] = True
    """Whether its files may be compressed as a whole (.gz, .zst)."""

    @abstractmethod
    def open_files(self, request: FileRequest) -> Opened:
        """Open the files. Raises `SourceError`, by file."""

    def digest(self, pins: Sequence[Pin], request: FileRequest) -> str:
        """Return the identity of these files read in this way."""
        told = [self.tag, self.model_dump_json(), repr(sorted(request.types.items()))]
        told += [f"{pin.path}|{pin.size}|{pin.mtime_ns}|{pin.identity}" for pin in pins]
        return "files:" + hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]


def pin_all(paths: Sequence[Path]) -> tuple[Pin, ...]:
    """Look at files that have to stay as they are while they are read."""
    return tuple(Pin.of(path) for path in paths)


def no_columns(what: str) -> SourceError:
    """Return the error for files in which nothing tells the columns."""
    return SourceError(
        f"{what}: it is empty, nothing tells its columns",
        cure="Name them:  schema: {id: integer, name: text}, or leave the file out.",
    )
