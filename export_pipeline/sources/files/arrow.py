"""Arrow IPC files (Feather), as files or streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pyarrow as pa

from export_pipeline.errors import SourceError
from export_pipeline.filters import Filter
from export_pipeline.snapshots import Pin
from export_pipeline.snapshots.arrow import as_plain, to_batches
from export_pipeline.sources.base import Opened, check_columns
from export_pipeline.sources.files.base import FileFormat, FileRequest, united
from export_pipeline.sources.types import convert, dtype_named

_MAGIC = b"ARROW1"
_UNKNOWN = ("decimal256", "interval", "union", "run_end_encoded")
"""Types that Polars does not have; it may crash instead of refusing them."""


class ArrowFile(FileFormat):
    """Arrow IPC files, also called Feather, and Arrow streams."""

    tag = "arrow"
    extensions: ClassVar = (".arrow", ".arrows", ".feather", ".ipc")
    packed = False

    def open_files(self, request: FileRequest) -> Opened:
        """Look at the schemas of the files."""
        return ArrowRows(self, request)


class ArrowRows(Opened):
    """The rows of Arrow files, one file after another; columns are found by name."""

    still = True

    def __init__(self, format: ArrowFile, request: FileRequest) -> None:  # noqa: A002
        self.what, self.roles = request.what, request.roles
        self._pins = tuple(Pin.of(path) for path in request.paths)
        self.version = format.digest(self._pins, request)
        self._own = [_schema(pin.path) for pin in self._pins]
        found = united(
            [(pin.path, schema) for pin, schema in zip(self._pins, self._own, strict=True)], self.what, request.types
        )
        check_columns(found, request.types, request.roles, self.what)
        wished = {name: dtype_named(wish) for name, wish in request.types.items()}
        self._found, self.schema = found, pl.Schema(found | wished)

    def batches(
        self,
        columns: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002, ARG002 - a file decides nothing
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows with these columns."""
        wanted = self.wanted(columns)
        for pin, own in zip(self._pins, self._own, strict=True):
            pin.check()
            chosen = [
                as_plain(name, own[name], self._found[name])
                if name in own
                else pl.lit(None, dtype=self._found[name]).alias(name)
                for name in wanted
            ]
            before = 0
            for batch in _batches(pin.path):
                frame = pl.DataFrame(pl.from_arrow(batch)).select(chosen) if batch.num_rows else None
                if frame is None:
                    continue
                changed = [convert(frame[name], self.schema[name], str(pin.path), before) for name in wanted]
                yield from to_batches(pl.DataFrame(changed))
                before += batch.num_rows
            pin.check()


def _schema(path: Path) -> pl.Schema:
    """Return a file's columns. Raises `SourceError` for types that Polars does not have."""
    found = _open(path).schema
    for field in found:
        if any(word in str(field.type) for word in _UNKNOWN):
            raise SourceError(f"{path} has a column {field.name!r} of the type {field.type}, which cannot be read")
    return pl.DataFrame(pl.from_arrow(found.empty_table())).schema


def _open(path: Path) -> Any:
    """Open a file or a stream, told by its first bytes."""
    from pyarrow import ipc

    try:
        source = pa.memory_map(str(path), "rb")
        head = source.read(len(_MAGIC))
        source.seek(0)
        return ipc.open_file(source) if head == _MAGIC else ipc.open_stream(source)
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from error


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    reader = _open(path)
    try:
        if hasattr(reader, "num_record_batches"):
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)
        else:
            yield from reader
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> SourceError:
    text = str(error).strip().split("\n", 1)[0]
    return SourceError(f"{path} is no whole Arrow file: {text}", cure="Write or copy it again.")
