"""What a snapshot is: Parquet files that do not change while they are read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from export_pipeline.errors import SourceError
from export_pipeline.options import Options
from export_pipeline.schemas import schema_of
from export_pipeline.snapshots.arrow import as_plain

_UNREADABLE = (
    pl.exceptions.ComputeError,
    pl.exceptions.SchemaError,
    OSError,  # a file that ended early
    pl.exceptions.PanicException,  # a file that became shorter than it was when the read began
)
"""What Polars raises where a file is not, or no longer, what its footer said."""


class Pin(Options):
    """A file as it was when it was looked at; enough to see that it was changed or replaced since."""

    path: Path
    """Where the file is, absolute."""
    size: int
    """Its bytes."""
    mtime_ns: int
    """When it was last changed."""
    identity: str = ""
    """Digest of the part that describes the rest (a Parquet footer); empty where there is no such part."""

    @classmethod
    def of(cls, path: Path, identity: str = "") -> Pin:
        """Look at a file. Raises `SourceError` where there is none or it may not be read."""
        try:
            stat = path.stat()
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error
        return cls(path=path, size=stat.st_size, mtime_ns=stat.st_mtime_ns, identity=identity)

    def check(self) -> None:
        """Raise `SourceError` where the file is gone or is not the same any more."""
        now = Pin.of(self.path)
        if (now.size, now.mtime_ns) != (self.size, self.mtime_ns):
            raise SourceError(
                f"{self.path} was changed after it was read first ({self.size:,} bytes then, {now.size:,} now)",
                cure="Run the export again: it will take the new file. Write new data under new names.",
            )


class Snapshot(Options):
    """Rows in Parquet files that do not change, as plain data that is stored with the run."""

    name: str
    """Name of the source in the export."""
    paths: tuple[Path, ...]
    """The Parquet files, absolute."""
    rows: int
    """Rows in them."""
    bytes: int
    """Their size."""
    types: dict[str, str]
    """Column -> type."""
    version: str
    """Identity of the rows: what was read, and in which state."""
    pushed: str | None = None
    """The condition that the store applied; None means all rows are here."""
    pins: tuple[Pin, ...] = ()
    """The user's own files; empty where the rows were staged."""

    @property
    def pinned(self) -> bool:
        """Whether these are the user's own files, not a copy."""
        return bool(self.pins)

    @property
    def dtypes(self) -> pl.Schema:
        """The columns with their Polars types."""
        return schema_of(self.types)

    def check(self) -> None:
        """Raise `SourceError` where a file is gone or was changed; after reading, too, for pinned files."""
        for pin in self.pins:
            pin.check()
        if not self.pins:
            for path in self.paths:
                if not path.is_file():
                    raise SourceError(f"the staged rows {path} are gone", cure="Run the export again from the start.")

    def scan(self) -> pl.LazyFrame:
        """Return the rows, lazily. Raises `SourceError` where a pinned file was changed since."""
        self.check()
        return scan_parquet(self.paths, self.dtypes)

    @contextlib.contextmanager
    def reading(self) -> Iterator[pl.LazyFrame]:
        """Give the rows, and say which files they are from where they cannot be read to the end."""
        try:
            yield self.scan()
        except _UNREADABLE as error:
            self.check()
            if getattr(error, "errno", None) is not None:
                raise  # the operating system's own word, about whatever else happened meanwhile
            names = ", ".join(str(path) for path in self.paths[:3])
            raise SourceError(f"{names} cannot be read: {error}") from error


def scan_parquet(paths: Sequence[Path], schema: pl.Schema) -> pl.LazyFrame:
    """Return the rows of Parquet files one after another with these columns, found by name; absent ones are null."""
    own = [pl.read_parquet_schema(path) for path in paths]
    if all(dict(found) == dict(schema) for found in own):
        return pl.scan_parquet(list(paths)).select(schema.names())
    frames = []
    for path, found in zip(paths, own, strict=True):
        chosen = [
            as_plain(name, found[name], dtype) if name in found else pl.lit(None, dtype=dtype).alias(name)
            for name, dtype in schema.items()
        ]
        frames.append(pl.scan_parquet(path).select(chosen))
    return pl.concat(frames, how="vertical")
