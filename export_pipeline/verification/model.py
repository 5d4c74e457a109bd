"""What is kept of a file: what proves it, and what it could not hold."""

from __future__ import annotations

from pathlib import Path

from export_pipeline.options import Options
from export_pipeline.parts import Part, PartFile
from export_pipeline.schemas import texts_of
from export_pipeline.verification.meter import Meter


class Loss(Options):
    """Something that a format cannot hold as it is, and what became of it."""

    column: str | None = None
    """The column; none where the whole table is meant."""
    why: str
    """What is lost, in words."""


class Proof(Options):
    """What is needed to prove the rows of one part of a file that has rows of its own."""

    part: str
    """Name of the part: a sheet."""
    rows: int
    """Rows in it."""
    columns: dict[str, str]
    """Name -> type of each column, as the format holds it."""
    checksums: dict[str, str]
    """Name -> checksum of each column, 16 hex digits."""

    @classmethod
    def of(cls, part: str, meter: Meter) -> Proof:
        """Return the proof of the rows that have passed a meter."""
        return cls(part=part, rows=meter.rows, columns=texts_of(meter.schema), checksums=meter.checksums)


class Artifact(Options):
    """A finished file, or a folder of them, with what is needed to prove later that it is unchanged and right."""

    path: Path
    """Where the file is."""
    name: str
    """The name it is to be delivered under."""
    format: str
    """The tag of its format."""
    media_type: str = "application/octet-stream"
    """Its media type, for mail and HTTP."""
    rows: int
    """Rows in the file; a header does not count."""
    entries: int | None = None
    """Rows of the columns below where those are not the rows that were written but what the format makes of them: the
    entities and relationships of a normalized document."""
    columns: dict[str, str]
    """Name -> type of each column, as the format holds it."""
    bytes: int
    """Size of the file, of all parts together."""
    sha256: str
    """Digest of the file's bytes, in hex, taken while they were written; of a folder, see `digest_of_parts`."""
    is_folder: bool = False
    """Whether `path` is a folder, whose files are the parts."""
    parts: tuple[Part, ...] = ()
    """The files of a folder, in the order in which they are delivered."""
    ordered: bool = True
    """Whether the checksums also prove the order of the rows."""
    checksums: dict[str, str]
    """Name -> checksum of each column, 16 hex digits."""
    tables: tuple[Proof, ...] = ()
    """Parts of the file that have rows of their own."""
    told: dict[str, object] | None = None
    """What the file says of itself: its metadata; null where it says nothing that is read back."""
    losses: tuple[Loss, ...] = ()
    """What the format could not hold."""
    seconds: float = 0.0
    """How long writing took."""

    @property
    def files(self) -> list[PartFile]:
        """The parts of a folder, as they are delivered."""
        return [
            PartFile(self.path / part.name, f"{self.name}/{part.name}", part.bytes, part.sha256, part.name)
            for part in self.parts
        ]


class Verified(Options):
    """What the second reader found; equal to what was written, else there is no such object."""

    rows: int
    """Rows read."""
    columns: int
    """Columns compared."""
    bytes: int
    """Bytes read."""
    sha256: str
    """Digest of the file's bytes, in hex."""
    seconds: float
    """How long reading took."""
