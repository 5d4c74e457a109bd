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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from export_pipeline.files import storage_error

BUDGET = 48_000_000
"""Bytes of rows in memory before they are spilled. A few times as much is in use while a run is sorted."""
_CHUNKS = 64
"""Chunks that a run is cut into: what is read of a run in vain is one chunk at either end of a range."""


@dataclass(frozen=True)
class _Chunk:
    """Some rows of a run in the file."""

    run: int
    first: Any
    last: Any
    bytes: int
    """Size in memory."""
    at: int
    size: int
    """Place and size in the file."""


class ExternalSort:
    """Rows sorted by one column, nulls last; rows with equal keys stay in the order in which they were added.

    Use it as a context manager. The temporary file lies in `folder` and has no name there: whatever happens to the
    process, it is gone afterwards.
    """

    def __init__(
        self,
        by: str,
        folder: Path,
        *,
        squeeze: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
        budget: int = BUDGET,
    ) -> None:
        self._by, self._folder, self._budget = by, folder, budget
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
        self._bytes += frame.estimated_size()
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
        run = pl.concat(waiting).sort(self._by, nulls_last=True, maintain_order=True)
        return run if self._squeeze is None else self._squeeze(run)

    def _spill(self) -> None:
        run = self._run()
        if run is None or not run.height:
            return
        if self._squeeze is not None and run.estimated_size() < self._budget // 4:
            self._waiting, self._bytes = [run], run.estimated_size()  # little is left of it: it stays
            return
        known = run.height - run[self._by].null_count()
        step = max(1, -(-run.height // _CHUNKS))
        for at in range(0, known, step):
            self._chunks.append(self._write(run.slice(at, min(step, known - at))))
        for at in range(known, run.height, step):
            self._nulls.append(self._write(run.slice(at, step)))
        self._runs += 1

    def _write(self, frame: pl.DataFrame) -> _Chunk:
        packed = io.BytesIO()
        # The older form of texts holds those of the slice only, not all that its buffers hold.
        frame.write_ipc_stream(packed, compression="lz4", compat_level=pl.CompatLevel.oldest())
        keys = frame[self._by]
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by the `with` of this
            at = self._file.seek(0, os.SEEK_END)
            self._file.write(packed.getbuffer())
            self._file.flush()
        except OSError as error:
            raise storage_error(error, self._folder) from error
        return _Chunk(self._runs, keys[0], keys[-1], frame.estimated_size(), at, packed.tell())

    def _read(self, chunk: _Chunk) -> pl.DataFrame:
        return pl.read_ipc_stream(os.pread(self._file.fileno(), chunk.size, chunk.at))

    def _ranges(self) -> Iterator[tuple[Any, Any]]:
        """Yield (first key, first key of the next range); None stands for no bound."""
        lo, held = None, 0
        for chunk in sorted(self._chunks, key=lambda chunk: chunk.first):
            if held >= self._budget and (lo is None or chunk.first > lo):
                yield lo, chunk.first
                lo, held = chunk.first, 0
            held += chunk.bytes
        yield lo, None

    def _range(self, lo: Any, hi: Any) -> Iterator[pl.DataFrame]:
        """Yield the rows from `lo` to before `hi`."""
        key = pl.col(self._by)
        chunks = [c for c in self._chunks if (lo is None or c.last >= lo) and (hi is None or c.first < hi)]
        streamed = lo is not None and sum(chunk.bytes for chunk in chunks) > 3 * self._budget
        if streamed:
            # Most of it has one key: no sort is needed, and no memory for all of it.
            for chunk in chunks:
                if chunk.first <= lo:
                    yield self._read(chunk).filter(key == lo)
            chunks = [chunk for chunk in chunks if chunk.last > lo]
        rest = []
        for chunk in chunks:
            frame = self._read(chunk)
            if lo is not None and chunk.first <= lo:
                frame = frame.filter(key > lo if streamed else key >= lo)
            rest.append(frame if hi is None or chunk.last < hi else frame.filter(key < hi))
        if rest:
            yield pl.concat(rest).sort(self._by, maintain_order=True)
