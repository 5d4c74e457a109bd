"""Rows as deflated blocks of sheet XML, made in threads while the rows stream by.

Rows arrive in order, in batches of any size. Blocks always hold the same rows of a sheet (0 to n-1, n to 2n-1, ...), so
the same rows make the same bytes, whatever the batches and however many threads deflate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import polars as pl

from export_pipeline.formats.excel.cells import Column, Rows
from export_pipeline.formats.excel.package import Deflated
from export_pipeline.formats.excel.pivots.gathering import Gatherer, Part

SAMPLE = 1_000
"""Rows whose widths are measured; a first block never holds fewer unless there are fewer."""
_BLOCK_CELLS, _BLOCK_ROWS = 200_000, 8_192
_TEXT = 1 << 23
"""Bytes of text that become XML at once: a row may hold a thousand times what rows usually hold."""
_MAX_THREADS = 4


@dataclass(frozen=True)
class Block:
    """Rows that follow each other in one sheet."""

    sheet: int
    """Counted from 0."""
    rows: int
    xml: Deflated
    longest: list[int]
    """Longest text of each column among the first rows of all; empty for all blocks but the first."""
    totals: tuple[Any, ...] = ()
    """What the expressions for totals made of the rows."""
    pivots: Part | None = None
    """What the pivot tables need of the rows."""


@dataclass(frozen=True)
class _Cut:
    """The rows of a block, as slices of batches."""

    sheet: int
    row: int
    """Of the first among the sheet's rows of data, counted from 0."""
    slices: Sequence[pl.DataFrame]


class Packer:
    """Packs rows; `cap` is the number of rows of data that a sheet takes, `first` the row number of the first."""

    def __init__(
        self,
        columns: Sequence[Column],
        rows: Rows,
        *,
        cap: int,
        first: int,
        totals: Sequence[pl.Expr] = (),
        pivots: Gatherer | None = None,
    ) -> None:
        self._columns, self._rows, self._cap, self._first = columns, rows, cap, first
        self.pivots = pivots
        """Gathers what the pivot tables show; none for none."""
        self._totals = [total.alias(str(n)) for n, total in enumerate(totals)]
        self._size = max(1, min(_BLOCK_ROWS, _BLOCK_CELLS // max(1, len(columns))))

    def blocks(self, rows: pl.LazyFrame) -> Generator[Block]:
        """Yield the blocks of all rows, in order. Runs `rows` once; closing the generator ends that."""
        threads = min(_MAX_THREADS, pl.thread_pool_size())
        waiting: deque[Future[Block]] = deque()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="excel")
        try:
            for cut in self._cuts(rows.collect_batches(maintain_order=True, engine="streaming")):
                waiting.append(pool.submit(self._block, cut))
                if len(waiting) > threads:  # no more than this is ever in memory
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _cuts(self, batches: Iterator[pl.DataFrame]) -> Iterator[_Cut]:
        """Yield the rows of each block."""
        slices: list[pl.DataFrame] = []
        sheet, row, held = 0, 0, 0
        for batch in batches:
            done = 0
            while done < batch.height:
                wanted = min(self._size, self._cap - row)
                part = batch.slice(done, wanted - held)
                slices.append(part)
                done, held = done + part.height, held + part.height
                if held == wanted:
                    yield _Cut(sheet, row, slices)
                    slices, row, held = [], row + held, 0
                    if row == self._cap:
                        sheet, row = sheet + 1, 0
        if slices:
            yield _Cut(sheet, row, slices)

    def _block(self, cut: _Cut) -> Block:
        rows = pl.concat(cut.slices)
        rows.columns = [str(n) for n in range(rows.width)]
        xml = Deflated.of(self._xml(rows, self._first + cut.row))
        longest = self._longest(rows) if cut.sheet == cut.row == 0 else []
        totals = rows.select_seq(self._totals).row(0) if self._totals else ()
        pivots = self.pivots.part(rows) if self.pivots else None
        return Block(cut.sheet, rows.height, xml, longest, totals, pivots)

    def _xml(self, rows: pl.DataFrame, first: int) -> Iterator[memoryview]:
        """Yield the XML of rows: in one piece, in several where there is much text."""
        texts = [
            pl.col(str(n)).str.len_bytes().sum() for n, c in enumerate(self._columns) if c.data and c.dtype == pl.String
        ]
        size = sum(rows.select_seq(texts).row(0)) if texts else 0
        for part in rows.iter_slices(max(1, rows.height // (size // _TEXT + 1))):
            yield self._rows.xml(part, first)
            first += part.height

    def _longest(self, rows: pl.DataFrame) -> list[int]:
        """Return the longest text of each column among the first rows."""
        # The width of dates and times comes from their format.
        texts = [
            (n, pl.col(str(n)).cast(pl.String))
            for n, c in enumerate(self._columns)
            if c.data and not c.dtype.is_temporal()
        ]
        made = rows.head(SAMPLE).select(text.str.len_chars().max().fill_null(0).alias(str(n)) for n, text in texts)
        longest = [0] * len(self._columns)
        for (n, _), length in zip(texts, made.row(0) if texts else (), strict=True):
            longest[n] = length
        return longest
