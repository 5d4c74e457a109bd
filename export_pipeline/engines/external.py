"""A stable sort in bounded memory: sorted runs in one temporary file, merged by ranges of the key.

Polars' own sort keeps every row, or is several times slower where it is told to spill; DuckDB's is not stable.

::

    rows --budget--> run, sorted, in 64 chunks --> temporary file        (as often as the budget is full)
    ranges of the key, each about a budget large: the chunks that overlap it --filter, concat, sort--> rows
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from export_pipeline.files import storage_error

BUDGET = 24_000_000
"""Bytes of rows in memory before they are spilled. A few times as much is in use while a run is sorted."""
_CHUNKS = 64
"""Chunks that a run is cut into: what is read of a run in vain is one chunk at either end of a range."""

_FEW = 8
"""Rows per different key from which on keys count as few."""
Key = tuple[Any, ...]
"""The values of the columns that are sorted by."""


@dataclass(frozen=True)
class _Chunk:
    """Some rows of a run in the file."""

    run: int
    first: Key
    last: Key
    bytes: int
    """Size in memory."""
    at: int
    size: int
    """Place and size in the file."""


class ExternalSort:
    """Rows sorted by columns; rows with equal keys stay in the order in which they were added.

    Of one column, nulls come last; of several, none may be null.

    Use it as a context manager. The temporary file lies in `folder` and has no name there: whatever happens to the
    process, it is gone afterwards.
    """

    def __init__(
        self,
        by: Sequence[str],
        folder: Path,
        *,
        squeeze: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
        budget: int = BUDGET,
    ) -> None:
        self._by, self._folder, self._budget = list(by), folder, budget
        self._squeeze = squeeze
        """Drops rows that are not needed from rows that are sorted already."""
        self._waiting: list[pl.DataFrame] = []
        self._bytes = 0
        self._runs = 0
        self._chunks: list[_Chunk] = []
        self._nulls: list[_Chunk] = []
        self._file: Any = None

    def __enter__(self) -> ExternalSort:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting = []
        if self._file is not None:
            self._file.close()

    def add(self, frame: pl.DataFrame) -> None:
        """Take the next rows; raises StorageError when the disk refuses."""
        self._waiting.append(frame)
        self._bytes += int(frame.estimated_size())
        if self._bytes >= self._budget:
            self._spill()

    def sorted(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in their order, in frames of about the budget; once."""
        if self._file is None:
            run = self._run()
            if run is not None:
                yield run
            return
        if self._waiting:
            self._spill()
        for lo, hi in self._ranges():
            yield from self._range(lo, hi)
        for chunk in self._nulls:
            yield self._read(chunk)

    def _run(self) -> pl.DataFrame | None:
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if not waiting:
            return None
        run = self._in_order(waiting)
        return run if self._squeeze is None else self._squeeze(run)

    def _spill(self) -> None:
        run = self._run()
        if run is None or not run.height:
            return
        if self._squeeze is not None and run.estimated_size() < self._budget // 4:
            self._waiting, self._bytes = [run], int(run.estimated_size())  # little is left of it: it stays
            return
        known = run.height - run[self._by[0]].null_count()
        step = max(1, -(-run.height // _CHUNKS))
        for at in range(0, known, step):
            self._chunks.append(self._write(run.slice(at, min(step, known - at))))
        for at in range(known, run.height, step):
            self._nulls.append(self._write(run.slice(at, step)))
        self._runs += 1

    def _write(self, frame: pl.DataFrame) -> _Chunk:
        packed = io.BytesIO()
        # The older form of texts holds those of the slice only, not all that its buffers hold.
        frame.write_ipc_stream(packed, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
        keys = frame.select(self._by)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by the `with` of this
            at = self._file.seek(0, os.SEEK_END)
            self._file.write(packed.getbuffer())
            self._file.flush()
        except OSError as error:
            raise storage_error(error, self._folder) from error
        return _Chunk(self._runs, keys.row(0), keys.row(-1), int(frame.estimated_size()), at, packed.tell())

    def _read(self, chunk: _Chunk) -> pl.DataFrame:
        return pl.read_ipc_stream(os.pread(self._file.fileno(), chunk.size, chunk.at))

    def _ranges(self) -> Iterator[tuple[Key | None, Key | None]]:
        """Yield (first key, first key of the next range); None stands for no bound."""
        lo: Key | None = None
        held = 0
        for chunk in sorted(self._chunks, key=lambda chunk: chunk.first):
            if held >= self._budget and (lo is None or chunk.first > lo):
                yield lo, chunk.first
                lo, held = chunk.first, 0
            held += chunk.bytes
        yield lo, None

    def _range(self, lo: Key | None, hi: Key | None) -> Iterator[pl.DataFrame]:
        """Yield the rows from `lo` to before `hi`."""
        chunks = [c for c in self._chunks if (lo is None or c.last >= lo) and (hi is None or c.first < hi)]
        streamed = lo is not None and sum(chunk.bytes for chunk in chunks) > 3 * self._budget
        if lo is not None and streamed:
            # Most of it has one key: no sort is needed, and no memory for all of it.
            for chunk in chunks:
                if chunk.first <= lo:
                    yield self._read(chunk).filter(~self._before(lo) & ~self._after(lo))
            chunks = [chunk for chunk in chunks if chunk.last > lo]
        rest = []
        for chunk in chunks:
            frame = self._read(chunk)
            if lo is not None and chunk.first <= lo:
                frame = frame.filter(self._after(lo) if streamed else ~self._before(lo))
            rest.append(frame if hi is None or chunk.last < hi else frame.filter(self._before(hi)))
        if rest:
            yield self._in_order(rest)

    def _before(self, key: Key) -> pl.Expr:
        """Return whether a row comes before a key."""
        found = pl.lit(value=False)
        for name, value in reversed(list(zip(self._by, key, strict=True))):
            found = (pl.col(name) < value) | ((pl.col(name) == value) & found)
        return found

    def _after(self, key: Key) -> pl.Expr:
        """Return whether a row comes after a key."""
        found = pl.lit(value=False)
        for name, value in reversed(list(zip(self._by, key, strict=True))):
            found = (pl.col(name) > value) | ((pl.col(name) == value) & found)
        return found

    def _in_order(self, frames: list[pl.DataFrame]) -> pl.DataFrame:
        """Return the rows of some frames, sorted."""
        frame = pl.concat(frames)
        by = list(self._by)
        # Often rows come in the order of their last key, such as a number that counts them: that need not be sorted by.
        while by and frame[by[-1]].is_sorted(nulls_last=True):
            by.pop()
        if not by:
            return frame
        codes: dict[str, pl.Series] = {}
        for name in by:
            keys = frame[name]
            if isinstance(keys.dtype, pl.String):
                different = keys.drop_nulls().unique()
                if len(different) * _FEW < len(keys):
                    # The numbers of few texts in their order sort three times as fast as the texts.
                    codes[f"{name} code"] = keys.cast(pl.Enum(different.sort())).to_physical().alias(f"{name} code")
        by = [f"{name} code" if f"{name} code" in codes else name for name in by]
        return frame.with_columns(codes.values()).sort(by, nulls_last=True, maintain_order=True).drop(codes)
