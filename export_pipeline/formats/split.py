"""Parts by number of rows or bytes, for text formats: each part is a whole file with its own header.

Part by part, the rows are those of one file that is not split, in the same order; they are proven as such.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Self, cast

import polars as pl
from pydantic import Field, model_validator

from export_pipeline.formats.about import About
from export_pipeline.formats.parts import PartFolder, PartSink, part_files
from export_pipeline.formats.plain import TextFormat
from export_pipeline.options import Options

_ROWS = 10_000
"""Rows written at a time."""
_STEP = 1_000
"""The same where bytes decide: a part may be larger than asked by these rows, and by what a codec holds back."""


class Split(Options):
    """Where a part ends: after so many rows, or when it has grown to so many bytes."""

    rows: Annotated[int, Field(ge=1)] | None = None
    """Rows in each part; the last one has the rest."""
    bytes: Annotated[int, Field(ge=1024)] | None = None
    """Bytes at which a part ends, with the row that it is at, or up to 1,000 rows later."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.rows is None) == (self.bytes is None):
            raise ValueError("split is written with one of rows, bytes: {rows: 1000000}")
        return self


class SplitFormat(TextFormat):
    """A text format that can be split; `first` and `rest` say how its parts begin and go on."""

    split: Split | None = None
    """Write several files instead of one, into a folder: `{rows: 1000000}` or `{bytes: 100000000}` each. They are
    called after the folder: `name-part-00001.csv`."""

    @property
    def is_folder(self) -> bool:
        """Whether the output is split."""
        return self.split is not None

    @property
    def suffix(self) -> str:
        """The extension and that of the compression; a folder has none."""
        return "" if self.is_folder else self._ending

    @property
    def _ending(self) -> str:
        return self.extension + self.compression.extension

    @abstractmethod
    def continued(self) -> Self:
        """Return the format that writes records without what stands before the first one."""

    def encode_parts(self, rows: pl.LazyFrame, folder: PartFolder, about: About, name: str) -> None:
        """Write batches into one part after the other."""
        assert self.split is not None  # noqa: S101 - else there are no parts
        step = _ROWS if self.split.bytes is None else _STEP
        limit = self.split.rows
        with contextlib.closing(_Parts(self, folder, about, name.rpartition("/")[2])) as writer:
            for batch in rows.collect_batches(chunk_size=step, maintain_order=True, engine="streaming"):
                frame = batch
                while frame.height:
                    free = step if limit is None else min(step, limit - writer.rows)
                    writer.add(frame.head(free))
                    frame = frame.slice(free)
                    if writer.rows == limit or (self.split.bytes is not None and writer.bytes >= self.split.bytes):
                        writer.end()
            if not folder.sinks:
                writer.add(pl.DataFrame(schema=rows.collect_schema()))
            writer.end()

    def read_parts(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Read one part after the other."""
        single = self.replace(split=None)
        for _, part in part_files(path):
            yield from single.read(part, schema)


class _Parts:
    """The part that is being written."""

    def __init__(self, form: SplitFormat, folder: PartFolder, about: About, name: str) -> None:
        self._first, self._rest = form.replace(split=None), form.continued()
        self._form, self._folder, self._about, self._name = form, folder, about, name
        self._sink: PartSink | None = None
        self._number = 0

    @property
    def rows(self) -> int:
        return self._sink.rows if self._sink is not None else 0

    @property
    def bytes(self) -> int:
        return self._sink.bytes if self._sink is not None else 0

    def add(self, frame: pl.DataFrame) -> None:
        """Write some rows; a new part is begun where none is open."""
        form = self._rest
        if self._sink is None:
            self._number += 1
            name = f"{self._name}-part-{self._number:05d}{self._form._ending}"
            self._sink = self._folder.part(name)
            self._stage = self._form.compression.named(name).stage(self._sink)
            form = self._first
        form.encode(frame.lazy(), cast("BinaryIO", self._stage), self._about)
        self._sink.rows += frame.height

    def end(self) -> None:
        """End the part that is open."""
        if self._sink is not None:
            self._stage.finish()
        self.close()
        self._sink = None

    def close(self) -> None:
        """Give back what a part that is open has, however its writing ended."""
        if self._sink is not None:
            self._stage.release()
