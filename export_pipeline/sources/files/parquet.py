"""Parquet files: read in place, as long as they stay what they were when the export was planned."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import polars as pl
import pyarrow as pa

from export_pipeline.errors import SourceError
from export_pipeline.filters import Filter
from export_pipeline.snapshots import Pin, scan_parquet
from export_pipeline.snapshots.arrow import to_batches
from export_pipeline.sources.base import BATCH, Opened, check_columns
from export_pipeline.sources.files.base import FileFormat, FileRequest, united
from export_pipeline.sources.types import convert, dtype_named

_TAIL = 8
"""Bytes at the end of a Parquet file: the length of the footer, and the magic word."""
_MAGIC = b"PAR1"


class ParquetFile(FileFormat):
    """Parquet files. They are not copied: a file that is changed during the export is refused."""

    tag = "parquet"
    extensions: ClassVar = (".parquet", ".pq")
    packed = False

    def open_files(self, request: FileRequest) -> Opened:
        """Look at the footers of the files."""
        return ParquetRows(self, request)


class ParquetRows(Opened):
    """The rows of Parquet files, one file after another; columns are found by name."""

    still = True

    def __init__(self, format: ParquetFile, request: FileRequest) -> None:  # noqa: A002
        self.what, self.roles = request.what, request.roles
        self._looks = tuple(_look(path) for path in request.paths)
        pins = tuple(pin for pin, _, _ in self._looks)
        found = united([(pin.path, schema) for pin, _, schema in self._looks], self.what, request.types)
        check_columns(found, request.types, request.roles, self.what)
        self._found = pl.Schema(found)
        self._wished = {
            name: dtype for name, wish in request.types.items() if (dtype := dtype_named(wish)) != found[name]
        }
        self.schema = pl.Schema(found | self._wished)
        self.version = format.digest(pins, request)
        self._all_pins = pins
        self.pins = None if self._wished else pins

    def batches(
        self,
        columns: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002, ARG002 - statistics are used where the rows are used
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows with these columns."""
        wanted = self.wanted(columns)
        for pin in self._all_pins:
            pin.check()
        rows = scan_parquet([pin.path for pin in self._all_pins], self._found).select(wanted)
        before = 0
        try:
            for frame in rows.collect_batches(chunk_size=BATCH, maintain_order=True):
                changed = [
                    convert(frame[name], self._wished[name], self.what, before)
                    for name in wanted
                    if name in self._wished
                ]
                yield from to_batches(frame.with_columns(changed))
                before += frame.height
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceError(f"{self.what} cannot be read to its end: {_first_line(error)}") from error
        for pin in self._all_pins:
            pin.check()

    def count(self) -> int | None:
        """Return the rows as the footers tell them."""
        return sum(rows for _, rows, _ in self._looks)


def _look(path: Path) -> tuple[Pin, int, pl.Schema]:
    """Return what pins a Parquet file, its rows and its columns. Raises `SourceError` where it is broken."""
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            tail = file.read()
            length = int.from_bytes(tail[:4], "little")
            if size < 12 or tail[4:] != _MAGIC or length + 12 > size:
                raise SourceError(
                    f"{path} is no whole Parquet file ({size:,} bytes): its end is missing",
                    cure="Write or copy it again; it may still have been written to.",
                )
            file.seek(size - _TAIL - length)
            identity = hashlib.sha256(file.read(length)).hexdigest()[:32]
        metadata = pq.read_metadata(path)
        leaves = map(metadata.schema.column, range(len(metadata.schema)))
        if interval := next((leaf.path for leaf in leaves if leaf.converted_type == "INTERVAL"), None):
            raise SourceError(
                f"column {interval!r} of {path} is an interval of months, days and milliseconds, which cannot be read",
                cure="Write the file without it, or with its text.",
            )
        schema = pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} is no Parquet file that can be read: {_first_line(error)}") from error
    return Pin.of(path, identity), metadata.num_rows, pl.Schema(schema)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
