"""Proof that a file holds the rows that were written: checksums taken on the way in, compared with a second reader's.

A column's checksum is the sum over its rows of `hash(value) * hash(position)`, modulo 2**64. It depends on each
value and on its place, yet not on the order in which batches are added (Polars uses several threads). A lost, doubled,
swapped or changed cell changes it. Two columns have equal checksums where they hold equal values: -0.0 is not
0.0, null is not "", every NaN is the same NaN, a category is its text.

Where the rows are scattered over partitions, the place of a row in the whole is gone: the weight is then a hash of the
row itself, with its keys. That proves every cell, bound to its row and its row to its partition, and the number of
rows; the order inside a partition is kept by the writer, and not proven.

The checksums are of the rows as the format holds them (`Format.render`): of the values for what a format keeps, of the
text for what it writes as text. A format that arranges rows anew meters them twice: on the way in, in the order of the
source, and in the order of the file, which the reader finds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Protocol

import polars as pl

from export_pipeline.errors import Cancelled, StorageError, VerificationError
from export_pipeline.options import Options
from export_pipeline.parts import Part, PartFile, digest_of_file, digest_of_folder
from export_pipeline.schemas import fields_of, inner_of, schema_of, texts_of

MASK = (1 << 64) - 1
_AT_ONCE = 50_000
Progress = Callable[[int], None]
"""Told the number of rows so far; called from several threads, must be quick."""


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


class Readable(Protocol):
    """What verification needs of a format."""

    tag: ClassVar[str]

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows of the file, in order, with this schema; not with the library that wrote them."""
        ...

    def read_table(self, path: Path, part: str, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows of one part that has its own."""
        ...


def canonical(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return the expression of what is hashed for values of this type: equal exactly where the values are equal."""
    if isinstance(dtype, (pl.Float16, pl.Float32, pl.Float64)):
        # The bits, because -0.0 hashes like 0.0; every NaN as one, because no text format keeps their payloads.
        return column.cast(pl.Float64).fill_nan(float("nan")).reinterpret(dtype=pl.Int64)
    if isinstance(dtype, (pl.Enum, pl.Categorical)):
        return column.cast(pl.String)
    if isinstance(dtype, (pl.List, pl.Array, pl.Map)):
        inner = inner_of(dtype)
        lists = column if isinstance(dtype, pl.List) else column.cast(pl.List(inner))
        return lists.list.eval(canonical(pl.element(), inner))
    if isinstance(dtype, pl.Struct):
        fields = [
            canonical(column.struct.field(name), inner).alias(str(n))
            for n, (name, inner) in enumerate(fields_of(dtype).items())
        ]
        return pl.struct(column.is_null().alias("null"), *fields)
    if dtype.is_temporal() or isinstance(dtype, pl.Decimal):
        return column.to_physical()
    return column


class Meter:
    """Counts and sums rows on their way; `tap` for a lazy plan, `add` for rows that come back in order."""

    def __init__(
        self,
        schema: Mapping[str, pl.DataType],
        *,
        inspect: Callable[[pl.DataFrame, int], None] | None = None,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
        ordered: bool = True,
    ) -> None:
        self.rows = 0
        self.failure: BaseException | None = None
        """What was raised in a callback: Polars reports it as an error of its own."""
        self._schema = pl.Schema(schema)
        self._sums = [0] * len(self._schema)
        self._inspect, self._progress, self._stop = inspect, progress, stop
        self._parent: Meter | None = None
        self._lock = threading.Lock()
        self._waiting: list[pl.DataFrame] = []
        self._position = _unused("position", self._schema)
        # A hash, because positions themselves add up: values at rows 2 and 3 would count as much as at 1 and 4.
        position = pl.col(self._position)
        weight = (position.cast(pl.UInt64).hash() | 1) if ordered else self._row_weight()
        self._weight = weight.alias(self._position)
        hashes = [canonical(pl.col(name), dtype).hash() for name, dtype in self._schema.items()]
        self._expressions = [(found * position).sum().alias(str(n)) for n, found in enumerate(hashes)]
        nulls = pl.select(pl.lit(None, dtype=dtype).alias(name) for name, dtype in self._schema.items())
        # Columns of nulls alone are common, and one multiplication each.
        self._of_null = nulls.select(found.alias(str(n)) for n, found in enumerate(hashes)).row(0) if hashes else ()

    def _row_weight(self) -> pl.Expr:
        """Return a hash of the whole row, for rows whose place is not known."""
        mixed = pl.lit(0, dtype=pl.UInt64)
        for n, (name, dtype) in enumerate(self._schema.items()):
            mixed = (mixed + canonical(pl.col(name), dtype).hash(seed=n + 1)).hash()
        return mixed | 1

    def beside(self, schema: Mapping[str, pl.DataType]) -> Meter:
        """Return a meter of other rows of the same file: it stops with this one, and this one keeps its failure."""
        other = Meter(schema, inspect=self._inspect, stop=self._stop)
        other._parent = self
        return other

    def tap(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the same rows, metered as they stream by; the last step before a sink, run exactly once."""
        numbered = rows.with_row_index(self._position)
        # Columns that are not metered may pass, too.
        schema = rows.collect_schema()
        return numbered.map_batches(self._batch, schema=schema, streamable=True, validate_output_schema=False)

    def add(self, frame: pl.DataFrame) -> None:
        """Add the next rows, in order."""
        start = self.rows
        self._count(frame.with_row_index(self._position, offset=start), start)

    def put(self, frame: pl.DataFrame, positions: pl.Series) -> None:
        """Add rows whose positions are given, in any order and from any thread."""
        self._count(frame.with_columns(positions.alias(self._position)), 0)

    @property
    def schema(self) -> pl.Schema:
        """The columns that are metered."""
        return self._schema

    @property
    def checksums(self) -> dict[str, str]:
        """Column -> checksum of all rows so far, 16 hex digits."""
        with self._lock:
            ready, self._waiting = self._waiting, []
        self._sum(ready)
        return {name: f"{value:016x}" for name, value in zip(self._schema, self._sums, strict=True)}

    def _batch(self, frame: pl.DataFrame) -> pl.DataFrame:
        try:
            if frame.height:
                self._count(frame, int(frame.item(0, self._position)))
        except BaseException as error:
            self.failure = self.failure or error
            if self._parent is not None:
                self._parent.failure = self._parent.failure or error
            raise
        return frame.drop(self._position)

    def _count(self, frame: pl.DataFrame, start: int) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Cancelled("the export was stopped")
        if self._inspect is not None:
            self._inspect(frame.drop(self._position), start)
        with self._lock:
            self.rows = rows = self.rows + frame.height
            self._waiting.append(frame)
            enough = sum(waiting.height for waiting in self._waiting) >= _AT_ONCE
            ready, self._waiting = (self._waiting, []) if enough else ([], self._waiting)
        self._sum(ready)
        if self._progress is not None:
            self._progress(rows)

    def _sum(self, frames: list[pl.DataFrame]) -> None:
        """Add the checksums of some frames, at once: for small ones, the call costs more than the work."""
        if not frames or not self._expressions:
            return
        weighed = pl.concat(frames, rechunk=False).with_columns(self._weight)  # once for all columns
        full = [n for n, (name, dtype) in enumerate(self._schema.items())
                if dtype.is_nested() or weighed[name].null_count() < weighed.height]  # fmt: skip
        weight, *sums = weighed.select(pl.col(self._position).sum(), *(self._expressions[n] for n in full)).row(0)
        found = dict(zip(full, sums, strict=True))
        with self._lock:
            for n, of_null in enumerate(self._of_null):
                self._sums[n] = (self._sums[n] + found.get(n, of_null * weight)) & MASK


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
        try:
            for frame in format.read_table(path, proof.part, schema) if proof.part else format.read(path, schema):
                self.meter.add(frame)
        except (Cancelled, StorageError, MemoryError):
            raise
        except Exception as error:  # every reader has errors of its own; each means that the file is not readable
            self.unreadable = error

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


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    """Return a column name that is not taken."""
    while name in taken:
        name = f"_{name}"
    return name
