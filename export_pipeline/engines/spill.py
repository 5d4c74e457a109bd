"""Sorted runs in one temporary file that has no name: whatever happens to the process, it is gone afterwards."""

from __future__ import annotations

import io
import os
import tempfile
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import polars as pl

from export_pipeline.files import storage_error

CHUNKS = 64
"""Chunks that a run is cut into: while runs are merged, one chunk of each is in memory."""
_KEYS = 4
"""Keys that are known of a chunk."""
Key = tuple[Any, ...]
"""The values of the columns that are sorted by."""


@dataclass(frozen=True)
class Chunk:
    """Some rows of a run in the file."""

    keys: tuple[Key, ...]
    """Some of its rows' keys, at equal distances, the first and the last among them."""
    at: int
    size: int
    """Place and size in the file; it is about as large in memory."""

    @property
    def first(self) -> Key:
        """The key of its first row."""
        return self.keys[0]

    @property
    def last(self) -> Key:
        """The key of its last row."""
        return self.keys[-1]


class Spill:
    """The file, and the chunks in it."""

    def __init__(self, folder: Path, by: Sequence[str]) -> None:
        self._folder, self._by = folder, list(by)
        self._file: IO[bytes] | None = None

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()

    def write(self, run: pl.DataFrame) -> list[Chunk]:
        """Write sorted rows; return their chunks in order. Raises StorageError when the disk refuses."""
        step = max(1, -(-run.height // CHUNKS))
        begins = range(0, run.height, step)
        ends = [min(begin + step, run.height) - 1 for begin in begins]
        places = [b + (e - b) * n // (_KEYS - 1) for b, e in zip(begins, ends, strict=True) for n in range(_KEYS)]
        keys = run.select(self._by)[places].rows()
        return [
            self._put(run.slice(begin, step), tuple(keys[n * _KEYS : (n + 1) * _KEYS]))
            for n, begin in enumerate(begins)
        ]

    def read(self, chunk: Chunk) -> pl.DataFrame:
        """Return the rows of a chunk."""
        if self._file is None:
            raise ValueError("nothing was written")
        return pl.read_ipc_stream(os.pread(self._file.fileno(), chunk.size, chunk.at))

    def _put(self, frame: pl.DataFrame, keys: tuple[Key, ...]) -> Chunk:
        packed = io.BytesIO()
        # The older form of texts holds those of the slice only, not all that its buffers hold.
        frame.write_ipc_stream(packed, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - `close` closes it
            at = self._file.seek(0, os.SEEK_END)
            self._file.write(packed.getbuffer())
            self._file.flush()
        except OSError as error:
            raise storage_error(error, self._folder) from error
        return Chunk(keys, at, packed.tell())


class Run:
    """Sorted rows that are taken from their begin on; each chunk is read once."""

    def __init__(self, spill: Spill, chunks: Iterable[Chunk], by: Sequence[str]) -> None:
        self._spill, self._chunks, self._by = spill, deque(chunks), by
        self._rest: tuple[pl.DataFrame, Key] | None = None
        """What is left of a chunk, and its last key."""

    def take(self, key: Key | None, *, included: bool = False) -> Iterator[pl.DataFrame]:
        """Yield the rows before a key, those with the key, too, if `included`; all for None."""
        while self._rest is not None or self._chunks:
            if self._rest is None:
                if not _ends_before(self._chunks[0].first, key, included):
                    return
                chunk = self._chunks.popleft()
                self._rest = self._spill.read(chunk), chunk.last
            rows, last = self._rest
            if key is None or _ends_before(last, key, included):
                self._rest = None
                yield rows
                continue
            # A few values in Python: a plan would wait for threads that are busy, once for each run.
            columns = [rows[name] for name in self._by]
            cut = bisect_right if included else bisect_left
            count = cut(range(rows.height), key, key=lambda n: tuple(column[n] for column in columns))
            self._rest = rows.slice(count), last
            if count:
                yield rows.head(count)
            return


def _ends_before(last: Key, key: Key | None, included: bool) -> bool:
    return key is None or last < key or (included and last == key)
