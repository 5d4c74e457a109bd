"""Proof that a file holds the rows that were written: checksums taken on the way in, compared with a second reader's.

A column's checksum is the sum over its rows of `hash(value) * hash(position)`, modulo 2**64. It depends on each
value and on its place, yet not on the order in which batches are added (Polars uses several threads). A lost, doubled,
swapped or changed cell changes it. Two columns have equal checksums where they hold equal values: -0.0 is not
0.0, null is not "", every NaN is the same NaN, a category is its text.

The checksums are of the rows as the format holds them (`Format.render`): of the values for what a format keeps, of the
text for what it writes as text. A format that arranges rows anew meters them twice: on the way in, in the order of the
source, and in the order of the file, which the reader finds.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Protocol

import polars as pl

from export_pipeline.errors import Cancelled, StorageError, VerificationError
from export_pipeline.options import Options
from export_pipeline.schemas import fields_of, inner_of, schema_of

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


class Artifact(Options):
    """A finished file, with what is needed to prove later that it is unchanged and right."""

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
    """Size of the file."""
    sha256: str
    """Digest of the file's bytes, in hex, taken while they were written."""
    checksums: dict[str, str]
    """Name -> checksum of each column, 16 hex digits."""
    losses: tuple[Loss, ...] = ()
    """What the format could not hold."""
    seconds: float = 0.0
    """How long writing took."""


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
    ) -> None:
        self.rows = 0
        self.failure: BaseException | None = None
        """What was raised in a callback: Polars reports it as an error of its own."""
        self._schema = pl.Schema(schema)
        self._sums = [0] * len(self._schema)
        self._inspect, self._progress, self._stop = inspect, progress, stop
        self._lock = threading.Lock()
        self._waiting: list[pl.DataFrame] = []
        self._position = _unused("position", self._schema)
        # A hash, because positions themselves add up: values at rows 2 and 3 would count as much as at 1 and 4.
        position = pl.col(self._position)
        self._weight = (position.cast(pl.UInt64).hash() | 1).alias(self._position)
        hashes = [canonical(pl.col(name), dtype).hash() for name, dtype in self._schema.items()]
        self._expressions = [(found * position).sum().alias(str(n)) for n, found in enumerate(hashes)]
        nulls = pl.select(pl.lit(None, dtype=dtype).alias(name) for name, dtype in self._schema.items())
        # Columns of nulls alone are common, and one multiplication each.
        self._of_null = nulls.select(found.alias(str(n)) for n, found in enumerate(hashes)).row(0) if hashes else ()

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
    meter = Meter(schema_of(artifact.columns), progress=progress, stop=stop)
    # The bytes are hashed beside the reading: a core and the page cache are free for it.
    with ThreadPoolExecutor(1, thread_name_prefix="sha256") as pool:
        digest = pool.submit(_digest, artifact.path)
        unreadable = _read(artifact, format, meter)
        try:
            size, sha256 = digest.result()
        except OSError as error:
            raise VerificationError(f"{artifact.name} cannot be read: {error}") from error
    found = _differences(artifact, meter, size, sha256, unreadable)
    if found:
        raise VerificationError(
            f"{artifact.name} is not what was written: {'; '.join(found)}",
            cure="It was not delivered. Run the export again; if it fails again, suspect the disk or the options.",
        ) from unreadable
    return Verified(
        rows=meter.rows,
        columns=len(artifact.columns),
        bytes=size,
        sha256=sha256,
        seconds=round(time.perf_counter() - began, 3),
    )


def _read(artifact: Artifact, format: Readable, meter: Meter) -> Exception | None:  # noqa: A002
    """Feed the file's rows to the meter; return why it could not be read to its end."""
    try:
        for frame in format.read(artifact.path, schema_of(artifact.columns)):
            meter.add(frame)
    except (Cancelled, StorageError, MemoryError):
        raise
    except Exception as error:  # every reader has errors of its own; each means that the file is not readable
        return error
    return None


def _differences(artifact: Artifact, meter: Meter, size: int, sha256: str, unreadable: Exception | None) -> list[str]:
    """Return what differs, in words, the most telling first."""
    found = []
    if unreadable is not None:
        reason = str(unreadable).splitlines()[0] if str(unreadable) else type(unreadable).__name__
        found.append(f"it cannot be read after row {meter.rows:,} ({reason})")
    elif meter.rows != (expected := artifact.rows if artifact.entries is None else artifact.entries):
        found.append(f"{expected:,} rows were written, {meter.rows:,} were read")
    else:
        now = meter.checksums
        wrong = [name for name, checksum in artifact.checksums.items() if now.get(name) != checksum]
        if wrong:
            found.append(f"values differ in column{'s' if len(wrong) > 1 else ''} {', '.join(map(repr, wrong))}")
    if size != artifact.bytes:
        found.append(f"{artifact.bytes:,} bytes were written, {size:,} were read")
    elif sha256 != artifact.sha256:
        found.append(f"its sha256 is {sha256}, not {artifact.sha256}")
    return found


def _digest(path: Path) -> tuple[int, str]:
    """Return size and sha256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    """Return a column name that is not taken."""
    while name in taken:
        name = f"_{name}"
    return name
