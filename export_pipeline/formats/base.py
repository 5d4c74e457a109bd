"""The base of every format: options and behaviour in one model; adding a format is one file and one name in a union.

::

    rows --render--> rows as the format holds them --meter--> checksums --encode--> bytes --compress--> Sink
    Artifact = path, rows, sha256, checksums, losses;   verify: path --read--> rows --meter--> the same checksums?
"""

from __future__ import annotations

import os
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

import polars as pl

from export_pipeline.compression import AnyCompression, Uncompressed
from export_pipeline.errors import ExportError, FormatError
from export_pipeline.formats.sink import Sink
from export_pipeline.options import Options
from export_pipeline.schemas import texts_of
from export_pipeline.verification import Artifact, Loss, Meter, Progress

_BATCH = 10_000
"""Rows that stream at a time. With Polars' 100,000, hundreds of megabytes of finished text wait for the sink."""


class About(Options):
    """What is known of the export besides its rows, for formats that write it into the file (metadata, properties)."""

    name: str = "export"
    """Name of the export."""
    logical_time: str | None = None
    """The run's logical time, ISO 8601; never the clock, so that the same input gives the same bytes."""
    timezone: str = "UTC"
    """The export's time zone."""
    filter: str | None = None
    """The filter as an English sentence."""
    version: str | None = None
    """The identity of the snapshot that was read."""
    folder: Path | None = None
    """The folder that relative names of files in the format's options stand in; None: the current one."""
    roots: tuple[Path, ...] | None = None
    """The folders that such files must be in; None: anywhere."""

    def told(self) -> dict[str, object]:
        """Return what a file may say of itself: nothing of this machine."""
        return self.model_dump(exclude={"folder", "roots"}, exclude_none=True)


class Format(Options):
    """How rows become a file.

    A format overrides `encode` and `read`, and where it needs to: `render`, `check`, `losses`, `inspect`.
    """

    extension: ClassVar[str]
    """With the dot."""
    media_type: ClassVar[str]

    @property
    def suffix(self) -> str:
        """The end of the file's name: the extension, and that of the compression where there is one."""
        return self.extension

    @property
    def content_type(self) -> str:
        """The media type that these options give the file."""
        return self.media_type

    def check(self, schema: pl.Schema) -> None:
        """Refuse before anything is read what these options cannot do with these columns: ConfigError, FormatError."""

    def check_files(self, schema: pl.Schema, about: About) -> None:
        """Refuse before anything is read files that these options name and that are not there or not right."""

    def losses(self, schema: pl.Schema) -> list[Loss]:  # noqa: ARG002
        """Return what this format cannot hold of these columns, by column and why."""
        return []

    def render(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the rows as the format holds them: same order, lossy columns cast; the checksums are of these."""
        return rows

    def inspect(self, frame: pl.DataFrame, start: int) -> None:
        """Refuse values (FormatError naming column and row). Called with batches of rendered rows, in any order, from
        several threads; `start` is the position of the batch's first row."""

    @abstractmethod
    def encode(self, rows: pl.LazyFrame, sink: BinaryIO, about: About) -> None:
        """Stream rendered rows as bytes into the sink.

        `rows` must be run exactly once (it is metered), with the streaming engine, and nothing else than bytes written
        to the sink may depend on it. The sink has `write` (returns the length of its input) and `flush`.
        """

    @abstractmethod
    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows of a file in batches, in order, with exactly the rendered schema: the same names and types.

        The reader must not be the library that wrote. Whatever it raises means: the file is broken.
        """

    def write(
        self,
        rows: pl.LazyFrame,
        path: Path,
        *,
        about: About | None = None,
        name: str | None = None,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
    ) -> Artifact:
        """Write the rows to `path`, streaming, in one pass, and return what verification needs.

        `path` appears complete or not at all. `stop`, once set, ends it with Cancelled within a batch; a blocking sort
        before the first batch does not hear it (see `engines.polars.run_native`).
        """
        began = time.perf_counter()
        _stream_in_small_batches()
        source = rows.collect_schema()
        if not source:
            raise FormatError("there is no column to write", cure="Keep at least one column.")
        self.check(source)
        rendered = self.render(rows)
        meter = Meter(rendered.collect_schema(), inspect=self.inspect, progress=progress, stop=stop)
        with Sink(path, stop=stop) as sink:
            try:
                filed = self._fill(rows, rendered, meter, sink, about or About())
            except Exception as error:
                if isinstance(error, ExportError) or meter.failure is None:
                    raise
                raise meter.failure from error  # Polars wraps an exception of a callback into an error of its own
        return Artifact(
            path=path,
            name=name or path.name,
            format=self.tag,
            media_type=self.content_type,
            rows=meter.rows,
            entries=filed.rows if filed.rows != meter.rows else None,
            columns=texts_of(filed.schema),
            bytes=sink.bytes,
            sha256=sink.sha256,
            checksums=filed.checksums,
            losses=tuple(self.losses(source)),
            seconds=round(time.perf_counter() - began, 3),
        )

    def _fill(self, rows: pl.LazyFrame, rendered: pl.LazyFrame, meter: Meter, sink: Sink, about: About) -> Meter:  # noqa: ARG002
        """Write the rows and return the meter of what the file holds, in the file's order.

        That is `meter`, which the rendered rows pass in the order of the source, unless a format arranges them anew.
        """
        self._stream(meter.tap(rendered), sink, about)
        return meter

    def _stream(self, rows: pl.LazyFrame, sink: Sink, about: About) -> None:
        """Encode into the sink, through the codec where the format has one."""
        self.encode(rows, cast("BinaryIO", sink), about)


def _stream_in_small_batches() -> None:
    """Set the batch size of Polars' streaming engine, for the process, unless somebody chose one already."""
    if "POLARS_IDEAL_MORSEL_SIZE" not in os.environ:
        pl.Config.set_streaming_chunk_size(_BATCH)


class TextFormat(Format):
    """A format of plain text, which can be compressed as a whole."""

    compression: AnyCompression = Uncompressed()
    """`none`, `gzip`, `zstd` or `brotli`, or with a level: `{gzip: 6}`. The file's name ends accordingly."""

    @property
    def suffix(self) -> str:
        """The extension and that of the compression: ``.csv.gz``."""
        return self.extension + self.compression.extension

    def _stream(self, rows: pl.LazyFrame, sink: Sink, about: About) -> None:
        """Encode through the codec into the sink."""
        with self.compression.compressing(sink) as stage:
            self.encode(rows, cast("BinaryIO", stage), about)
