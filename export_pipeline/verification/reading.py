"""A file, read back by a second reader and compared with what was written."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Protocol

import polars as pl

from export_pipeline.errors import Cancelled, StorageError, VerificationError
from export_pipeline.parts import digest_of_file, digest_of_folder
from export_pipeline.schemas import schema_of
from export_pipeline.verification.meter import Meter, Progress
from export_pipeline.verification.model import Artifact, Proof, Verified


class Readable(Protocol):
    """What verification needs of a format."""

    tag: ClassVar[str]

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows of the file, in order, with this schema; not with the library that wrote them."""
        ...

    def read_told(self, path: Path) -> dict[str, object] | None:
        """Return what the file says of itself."""
        ...

    def read_table(self, path: Path, part: str, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows of one part that has its own."""
        ...


def verify(
    artifact: Artifact,
    format: Readable,  # noqa: A002
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Verified:
    """Read the file back and compare it with what was written.

    Raises VerificationError that names what differs: the bytes, the number of rows, or the columns.
    """
    began = time.perf_counter()
    expected = artifact.rows if artifact.entries is None else artifact.entries
    whole = Proof(part="", rows=expected, columns=artifact.columns, checksums=artifact.checksums)
    # The bytes are hashed beside the reading: a core and the page cache are free for it.
    with ThreadPoolExecutor(1, thread_name_prefix="sha256") as pool:
        digest = pool.submit(_digest, artifact)
        looks = [_Look(proof, artifact, format, progress, stop) for proof in (whole, *artifact.tables)]
        try:
            size, sha256 = digest.result()
        except OSError as error:
            raise VerificationError(f"{artifact.name} cannot be read: {error}") from error
    found = [wrong for look in looks for wrong in look.differences()]
    if not found and (told := format.read_told(artifact.path)) != artifact.told:
        found.append(f"it says of itself {told}, and not {artifact.told}")
    if size != artifact.bytes:
        found.append(f"{artifact.bytes:,} bytes were written, {size:,} were read")
    elif sha256 != artifact.sha256:
        found.append(f"its sha256 is {sha256}, not {artifact.sha256}")
    if found:
        raise VerificationError(
            f"{artifact.name} is not what was written: {'; '.join(found)}",
            cure="It was not delivered. Run the export again; if it fails again, suspect the disk or the options.",
        ) from next((look.unreadable for look in looks if look.unreadable is not None), None)
    return Verified(
        rows=looks[0].meter.rows,
        columns=sum(len(look.proof.columns) for look in looks),
        bytes=size,
        sha256=sha256,
        seconds=round(time.perf_counter() - began, 3),
    )


class _Look:
    """What the second reader found in a file, or in one part of it."""

    def __init__(
        self,
        proof: Proof,
        artifact: Artifact,
        format: Readable,  # noqa: A002
        progress: Progress | None,
        stop: threading.Event | None,
    ) -> None:
        self.proof = proof
        schema = schema_of(proof.columns)
        self.meter = Meter(
            schema, progress=None if proof.part else progress, stop=stop, ordered=artifact.ordered or bool(proof.part)
        )
        self.unreadable: Exception | None = None
        """Why it could not be read to its end."""
        path = artifact.path
        frames: Iterator[pl.DataFrame] = iter(())
        try:
            frames = format.read_table(path, proof.part, schema) if proof.part else format.read(path, schema)
            for frame in frames:
                self.meter.add(frame)
        except (Cancelled, StorageError, MemoryError):
            raise
        except Exception as error:  # every reader has errors of its own; each means that the file is not readable
            self.unreadable = error
        finally:
            # Readers have threads, which the garbage collector must not wait for: it may run while one begins.
            getattr(frames, "close", bool)()

    def differences(self) -> list[str]:
        """Return what differs, in words, the most telling first."""
        where = f" in {self.proof.part!r}" if self.proof.part else ""
        if self.unreadable is not None:
            text = str(self.unreadable)
            reason = text.splitlines()[0] if text else type(self.unreadable).__name__
            return [f"it cannot be read after row {self.meter.rows:,}{where} ({reason})"]
        if self.meter.rows != self.proof.rows:
            return [f"{self.proof.rows:,} rows were written{where}, {self.meter.rows:,} were read"]
        now = self.meter.checksums
        wrong = [name for name, checksum in self.proof.checksums.items() if now.get(name) != checksum]
        if wrong:
            return [f"values differ{where} in column{'s' if len(wrong) > 1 else ''} {', '.join(map(repr, wrong))}"]
        return []


def _digest(artifact: Artifact) -> tuple[int, str]:
    """Return size and digest of the file, or of the folder."""
    return digest_of_folder(artifact.path, artifact.parts) if artifact.is_folder else digest_of_file(artifact.path)
