"""Checksums of rows on their way: of values and their places, whatever the order in which batches come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import polars as pl

from export_pipeline.errors import Cancelled
from export_pipeline.schemas import fields_of, inner_of, unused

MASK = (1 << 64) - 1
_AT_ONCE = 50_000
Progress = Callable[[int], None]
"""Told the number of rows so far; called from several threads, must be quick."""


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
        self._waiting: list[tuple[pl.DataFrame, pl.Series]] = []
        own = unused("meter", self._schema)
        self._position, self._weight = f"{own} position", f"{own} weight"
        # A hash, because positions themselves add up: values at rows 2 and 3 would count as much as at 1 and 4.
        self._weigh = pl.col(self._position).cast(pl.UInt64).hash() | 1 if ordered else self._row_weight()
        self._hashes = [canonical(pl.col(name), dtype).hash() for name, dtype in self._schema.items()]
        self._products = {f"{own} {n}": found * pl.col(self._weight) for n, found in enumerate(self._hashes)}

    @cached_property
    def _of_null(self) -> tuple[int, ...]:
        """The hash of null in each column: columns of nulls alone are common, and one multiplication each."""
        nulls = pl.select(pl.lit(None, dtype=dtype).alias(name) for name, dtype in self._schema.items())
        return nulls.select(found.alias(str(n)) for n, found in enumerate(self._hashes)).row(0)

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
        """Return the same rows, metered as they stream by; the last step before a sink, run exactly once.

        Columns that are not metered may pass, too. The stream itself makes the hashes, in the thread that has the rows
        at hand: an expression that a callback runs waits for other threads, which are busy.
        """
        schema = rows.collect_schema()
        numbered = rows.with_row_index(self._position)
        weighed = numbered.with_columns(self._weigh.alias(self._weight)).with_columns(**self._products)
        return weighed.map_batches(self._batch, schema=schema, streamable=True, validate_output_schema=False)

    def add(self, frame: pl.DataFrame) -> None:
        """Add the next rows, in order; columns that are not there are null."""
        start = self.rows
        self.put(frame, pl.int_range(start, start + frame.height, dtype=pl.UInt64, eager=True), start)

    def put(self, frame: pl.DataFrame, positions: pl.Series, start: int = 0) -> None:
        """Add rows whose positions are given, in any order and from any thread; columns that are not there are null."""
        self._look(frame, start)
        with self._lock:
            self.rows = rows = self.rows + frame.height
            self._waiting.append((frame, positions))
            enough = sum(waiting.height for waiting, _ in self._waiting) >= _AT_ONCE
            ready, self._waiting = (self._waiting, []) if enough else ([], self._waiting)
        self._sum(ready)
        if self._progress is not None:
            self._progress(rows)

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
            # `drop` makes a plan and runs it, which takes a millisecond where all threads are busy; `drop_in_place`
            # looks at all other columns each time; and a list of columns, as a frame, loses an empty name.
            positions, *given = frame.get_columns()
            given, weighed = given[: -1 - len(self._products)], given[len(given) - len(self._products) :]
            kept = {column.name: column for column in given}
            frame = pl.DataFrame(kept) if kept else frame.drop(frame.columns)  # which keeps the number of rows
            if frame.height:
                self._look(frame, int(positions[0]))
                self._take(frame.height, weighed)
        except BaseException as error:
            self.failure = self.failure or error
            if self._parent is not None:
                self._parent.failure = self._parent.failure or error
            raise
        return frame

    def _look(self, frame: pl.DataFrame, start: int) -> None:
        if self._stop is not None and self._stop.is_set():
            raise Cancelled("the export was stopped")
        if self._inspect is not None:
            self._inspect(frame, start)

    def _take(self, rows: int, weighed: list[pl.Series]) -> None:
        """Count rows whose hashes were made."""
        sums: list[Any] = [column.sum() for column in weighed]
        with self._lock:
            self.rows = so_far = self.rows + rows
            self._sums = [(total + found) & MASK for total, found in zip(self._sums, sums, strict=True)]
        if self._progress is not None:
            self._progress(so_far)

    def _sum(self, waiting: list[tuple[pl.DataFrame, pl.Series]]) -> None:
        """Add the checksums of some frames, at once: for small ones, the call costs more than the work."""
        if not waiting or not self._products:
            return
        rows = pl.concat([frame for frame, _ in waiting], rechunk=False, how="diagonal")
        positions = pl.concat([positions for _, positions in waiting], rechunk=False).alias(self._position)
        weighed = rows.with_columns(positions).with_columns(self._weigh.alias(self._weight))  # once for all columns
        there = {column.name for column in rows.get_columns() if _has_values(column)}
        full = {
            n: product.sum().alias(str(n))
            for n, (name, product) in enumerate(zip(self._schema, self._products.values(), strict=True))
            if name in there
        }
        weight, *sums = weighed.select(pl.col(self._weight).sum(), *full.values()).row(0)
        found = dict(zip(full, sums, strict=True))
        of_nulls = self._of_null
        with self._lock:
            for n, of_null in enumerate(of_nulls):
                self._sums[n] = (self._sums[n] + found.get(n, of_null * weight)) & MASK


def _has_values(column: pl.Series) -> bool:
    """Return whether a column may have anything but null."""
    return column.dtype.is_nested() or column.null_count() < len(column)
