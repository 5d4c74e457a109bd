"""The list of an export's delivered files, for programs that read a folder: what is not in the list is not complete.

It is written last, when every file that it names is there, and in one step. A reader that waits for the manifest never
sees half a delivery and never takes a file of an earlier, larger run for part of this one. People who just want the
file are not bothered with it: destinations write it only where their option says so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime

from export_pipeline.files import atomic
from export_pipeline.options import Options


class ManifestPart(Options):
    """One file of an output that is a folder."""

    name: str
    """Its name below the destination's folder."""
    rows: int
    """Rows in it."""
    bytes: int
    """Its size."""
    sha256: str
    """Digest of its bytes, in hex."""


class ManifestFile(Options):
    """One delivered file, or a folder of files."""

    name: str
    """Its name below the destination's folder."""
    output: str
    """The output of the export that it is."""
    format: str
    """Tag of its format."""
    rows: int
    """Rows in it."""
    bytes: int
    """Its size."""
    sha256: str
    """Digest of its bytes, in hex."""
    columns: dict[str, str]
    """Column -> type."""
    losses: tuple[dict[str, Any], ...] = ()
    """What the format could not hold, by column and why."""
    parts: tuple[ManifestPart, ...] = ()
    """The files of a folder; `bytes` is then their sum, `sha256` that of their list as ``sha256sum`` prints it."""


class Manifest(Options):
    """All files of one run at one destination."""

    manifest_version: int = 1
    """Version of this form."""
    export: str
    """Name of the export."""
    run_id: str
    """The run that delivered the files."""
    logical_time: AwareDatetime
    """The instant that ranges and file names refer to."""
    plan_hash: str
    """Hash of what was decided before the first row was read; the same hash means the same question."""
    files: list[ManifestFile]
    """The files, in the order of the outputs."""

    def write(self, path: Path) -> Written:
        """Write it as JSON, whole or not at all; return what a destination needs to deliver it."""
        data = (self.model_dump_json(indent=2) + "\n").encode()
        with atomic(path) as file:
            file.write(data)
        return Written(path, path.name, len(data), hashlib.sha256(data).hexdigest())

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read one back."""
        return cls.model_validate_json(path.read_bytes())


@dataclass(frozen=True)
class Written:
    """A finished file that is no artifact of a format."""

    path: Path
    name: str
    bytes: int
    sha256: str
