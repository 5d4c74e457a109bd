"""A stable sort in bounded memory: sorted runs in one temporary file, merged by ranges of the key.

Polars' own sort keeps every row, or is several times slower where it is told to spill; DuckDB's is not stable.

::

    rows --budget--> run, sorted, in chunks --> temporary file               (as often as the budget is full)
    ranges of the key, each about a budget large: the rows of each run that are in it --concat, sort--> rows
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl

from export_pipeline.engines.spill import Chunk, Key, Run, Spill
from export_pipeline.errors import VerificationError

BUDGET = 8_000_000
"""Bytes of rows in memory before they are spilled. A few times as much is in use while a run is sorted."""

_FEW = 8
"""Rows per different key from which on keys count as few."""


class ExternalSort:
    """Rows sorted by columns; rows with equal keys stay in the order in which they were added.

    Of one column, nulls come last; of several, none may be null.

    Use it as a context manager. The temporary file lies in `folder`.
    """

    def __init__(
        self,
        by: Sequence[str],
        folder: Path,
        *,
        squeeze: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
        budget: int = BUDGET,
    ) -> None:
        self._by, self._budget = list(by), budget
        self._squeeze = squeeze
        """Drops rows that are not needed from rows that are sorted already."""
        self._spill = Spill(folder, by)
        self._waiting: list[pl.DataFrame] = []
        self._bytes = 0
        self._runs: list[list[Chunk]] = []
        self._nulls: list[Chunk] = []
        self._rows = 0
        """Rows that are to come out."""

    def __enter__(self) -> ExternalSort:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting = []
        self._spill.close()

    def add(self, frame: pl.DataFrame) -> None:
        """Take the next rows; raises StorageError when the disk refuses."""
        self._waiting.append(frame)
        self._rows += frame.height
        self._bytes += int(frame.estimated_size())
        if self._bytes >= self._budget:
            run = self._run()
            if self._squeeze is not None and run.estimated_size() < self._budget // 4:
                self._waiting, self._bytes = [run], int(run.estimated_size())  # little is left of it: it stays
            else:
                self._write(run)

    def sorted(self) -> Iterator[pl.DataFrame]:
        """Yield all rows in their order, in frames of about the budget; once.

        Raises VerificationError where they are not as many as were added.
        """
        given = 0
        for frame in self._merged():
            given += frame.height
            yield frame
        if given != self._rows:
            raise VerificationError(f"sorting made {given:,} rows of {self._rows:,}")

    def _merged(self) -> Iterator[pl.DataFrame]:
        run = self._run() if self._waiting else None
        if not self._runs and not self._nulls:
            if run is not None:
                yield run
            return
        if run is not None:
            self._write(run)
        runs = [Run(self._spill, chunks, self._by) for chunks in self._runs]
        for lo, hi, size in self._ranges():
            if lo is not None and size > 3 * self._budget:
                # Most of it has one key: no sort is needed, and no memory for all of it.
                for one in runs:
                    yield from one.take(lo, included=True)
            rest = [frame for one in runs for frame in one.take(hi)]
            if rest:
                yield self._in_order(rest)
        for chunk in self._nulls:
            yield self._spill.read(chunk)

    def _run(self) -> pl.DataFrame:
        """Return what waits, sorted."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        run = self._in_order(waiting)
        if self._squeeze is None:
            return run
        squeezed = self._squeeze(run)
        self._rows -= run.height - squeezed.height
        return squeezed

    def _write(self, run: pl.DataFrame) -> None:
        known = run.height - run[self._by[0]].null_count()
        self._runs.append(self._spill.write(run.head(known)))
        self._nulls += self._spill.write(run.slice(known))

    def _ranges(self) -> Iterator[tuple[Key | None, Key | None, float]]:
        """Yield first key, first key of the next range (None stands for no bound), and about how many bytes it has."""
        parts = ((key, chunk.size / len(chunk.keys)) for run in self._runs for chunk in run for key in chunk.keys)
        lo: Key | None = None
        held = 0.0
        for key, several in itertools.groupby(sorted(parts), key=lambda part: part[0]):
            size = sum(size for _, size in several)
            if held and held + size > 2 * self._budget:  # fewer of them are faster
                yield lo, key, held
                lo, held = key, 0
            lo, held = key if lo is None else lo, held + size
        yield lo, None, held

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
