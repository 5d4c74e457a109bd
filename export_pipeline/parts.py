"""The files of an output that is a folder, and the digests by which they are known again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from export_pipeline.options import Options


class Part(Options):
    """One file of an output that is a folder."""

    name: str
    """Its name below the folder, with slashes."""
    rows: int
    """Rows in it."""
    bytes: int
    """Its size."""
    sha256: str
    """Digest of its bytes, in hex."""


@dataclass(frozen=True)
class PartFile:
    """A part as it is delivered: where it is, and the name it is to get."""

    path: Path
    name: str
    bytes: int
    sha256: str
    part: str
    """Its name below the folder."""


def digest_of_parts(parts: Iterable[Part]) -> str:
    """Return the digest of a folder: the SHA-256 of its list, as ``sha256sum`` would print it."""
    listing = "".join(f"{part.sha256}  {part.name}\n" for part in parts)
    return hashlib.sha256(listing.encode()).hexdigest()


def digest_of_file(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()


def digest_of_folder(path: Path, parts: Sequence[Part]) -> tuple[int, str]:
    """Return size and digest of a folder: of the parts that were written, and of whatever else is in it."""
    known = [part.name for part in parts]
    there = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    found = []
    for name in known + sorted(there - set(known)):
        size, sha256 = digest_of_file(path / name)
        found.append(Part(name=name, rows=0, bytes=size, sha256=sha256))
    return sum(part.bytes for part in found), digest_of_parts(found)
