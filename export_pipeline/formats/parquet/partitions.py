"""How rows are scattered over thousands of files with bounded memory, and each file keeps their order.

Polars' partitioned sink holds rows of every key that it has seen. With thousands of keys in every batch that is most of
the table, in tiny pieces. So rows go to a few unsorted buckets on disk first, by the hash of their keys; then bucket by
bucket, which has few of the keys, to their files.

The buckets are Arrow's IPC files, whose batches leave nothing behind in memory; of each group of Parquet rows, the
writer keeps what the footer will say, some 4 kB for each column.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import polars as pl

from export_pipeline.formats.parquet import hive
from export_pipeline.formats.parquet.sections import write_sections
from export_pipeline.formats.parquet.writers import polars_options
from export_pipeline.formats.parts import PartFolder, PartSink
from export_pipeline.schemas import unused

if TYPE_CHECKING:
    from export_pipeline.formats.parquet import Parquet

BUCKETS = 16
_BATCH = 5_000
"""Rows that each bucket holds in memory."""


def write_partitions(form: Parquet, rows: pl.LazyFrame, folder: PartFolder) -> None:
    """Write each partition into a file of its own."""
    schema = rows.collect_schema()
    inside = pl.Schema({name: dtype for name, dtype in schema.items() if name not in form.partition_by})
    options = polars_options(form, inside)
    if not form.partition_by:
        part = cast("BinaryIO", folder.part(f"{hive.folder(form.constants, [])}/part-0{form.extension}"))
        if form.is_sectioned:
            write_sections(rows, part, options)
        else:
            rows.sink_parquet(part, **options)
        return
    provide = _provider(form, folder)
    for bucket in _buckets(form, rows, folder):
        folder.check()
        pl.scan_ipc(bucket, glob=False, hive_partitioning=False).sink_parquet(
            pl.PartitionBy(
                "",
                key=form.partition_by,
                include_key=False,
                file_path_provider=provide,  # type: ignore[arg-type]
                approximate_bytes_per_file=None,
            ),
            **options,
        )
        bucket.unlink()


def _buckets(form: Parquet, rows: pl.LazyFrame, folder: PartFolder) -> list[Path]:
    """Scatter the rows over buckets by their keys; return those that have rows."""
    made: list[Path] = []
    name = unused("bucket", rows.collect_schema())  # the sink leaves this column out of the buckets

    def provide(given: Any) -> PartSink:
        sink = folder.temporary(f"{given.partition_keys.item()}-{given.index_in_partition}")
        made.append(sink.path)
        return sink

    buckets: Any = pl.PartitionBy(
        "",
        key={name: pl.struct(form.partition_by).hash() % BUCKETS},
        include_key=False,
        file_path_provider=provide,  # type: ignore[arg-type]
        approximate_bytes_per_file=None,
    )
    rows.sink_ipc(buckets, record_batch_size=_BATCH, compression="lz4", engine="streaming")
    return sorted(made)


def _provider(form: Parquet, folder: PartFolder) -> Callable[[Any], PartSink]:
    """Return what gives Polars the file of a partition."""

    def provide(given: Any) -> PartSink:
        try:
            (texts,) = given.partition_keys.cast(pl.String).rows()
            where = hive.folder(form.constants, zip(form.partition_by, texts, strict=True))
            return folder.part(f"{where}/part-{given.index_in_partition}{form.extension}")
        except BaseException as error:
            folder.failure = folder.failure or error
            raise

    return provide
