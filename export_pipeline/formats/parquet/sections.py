"""Sections: a file of many row groups is written as several small files, one after another, that are joined on the way.

Of each column of each row group, Polars' writer keeps some 4 kB until the footer is written. A section's footer comes
soon; what is kept of it is what the whole file's will say, some 100 bytes for each column of a row group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Any, BinaryIO

import polars as pl

from export_pipeline.formats.parquet.joined import Joined
from export_pipeline.formats.piped import piped, pipes
from export_pipeline.schemas import leaves_of

COLUMNS = 2_000
"""Columns of row groups in a section, at most; one row group at least."""


def write_sections(rows: pl.LazyFrame, sink: BinaryIO, options: dict[str, Any]) -> None:
    """Stream through Polars' Parquet sink with these options."""
    schema = rows.collect_schema()
    # With a column that is not nested it is known where pages end.
    column = next((name for name, dtype in reversed(schema.items()) if not dtype.is_nested()), None)
    if column is None:
        with piped(sink) as file:
            rows.sink_parquet(file, **options)
        return
    leaves = sum(1 for dtype in schema.values() for _ in leaves_of(dtype))
    with _sections(sink, column) as provide:
        target = pl.PartitionBy(
            "",
            file_path_provider=provide,
            max_rows_per_file=options["row_group_size"] * max(1, COLUMNS // leaves),
            approximate_bytes_per_file=None,
        )
        rows.sink_parquet(target, **options)


@contextmanager
def _sections(sink: BinaryIO, column: str) -> Iterator[Callable[[Any], IO[bytes]]]:
    """Give what provides Polars' partitioned sink with files, which become one in `sink`."""
    joined = Joined(sink, column)
    files: dict[int, IO[bytes]] = {}
    failures: list[BaseException] = []

    def take(number: int, data: bytes) -> None:
        try:
            if (file := files.pop(number, None)) is not None:
                file.close()  # Polars, which writes, has its own by now; the section ends when it closes that
                joined.begin()
            joined.write(data)
        except BaseException as error:
            failures.append(error)
            raise

    try:
        with pipes() as begin:

            def provide(given: Any) -> IO[bytes]:
                number: int = given.index_in_partition
                files[number] = begin(number, partial(take, number))
                return files[number]

            yield provide
    except Exception as error:
        if failures:  # what Polars raises says no more than that a pipe is broken
            raise failures[0] from error
        raise
    finally:
        for file in files.values():
            file.close()
    if failures:
        raise failures[0]
    joined.finish()
