"""Results of queries that several files, or several parts of one, show."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from export_pipeline import snapshots
from export_pipeline.engines.native import run_native
from export_pipeline.formats.sink import Sink
from export_pipeline.query import Query


class Results:
    """Results of queries, each computed once where several files or parts show it: float sums may differ in the last
    bit from one computation to the next."""

    def __init__(self, rows: Mapping[str, pl.LazyFrame], folder: Path, stop: threading.Event) -> None:
        self._rows, self._folder, self._stop = rows, folder, stop
        self._made: list[tuple[str, Query, pl.LazyFrame]] = []

    def of(self, source: str, query: Query, *, shared: bool) -> pl.LazyFrame:
        """Return the result of a query over the rows of a source."""
        for place, asked, result in self._made:
            if (place, asked) == (source, query):
                return result
        result = query.apply(self._rows[source], stop=self._stop)
        if shared and not query.streams:
            path = self._folder / f".result-{len(self._made)}.parquet"
            with Sink(path, stop=self._stop) as sink:
                target = cast("BinaryIO", sink)
                run_native(
                    lambda: result.sink_parquet(target, row_group_size=snapshots.ROW_GROUP, compression="lz4"),
                    stop=self._stop,
                )
            result = pl.scan_parquet(path)
        self._made.append((source, query, result))
        return result
