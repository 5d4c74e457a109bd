"""Rows of files that hold texts: one pass over all of them for the types, one for the rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import polars as pl
import pyarrow as pa

from export_pipeline.filters import Filter
from export_pipeline.snapshots import Pin
from export_pipeline.snapshots.arrow import arrow_schema
from export_pipeline.sources.base import Opened, check_columns
from export_pipeline.sources.files.base import FileFormat, FileRequest, no_columns
from export_pipeline.sources.types import dtype_named


class ColumnTexts(Protocol):
    """What is found out of a column's texts, and how they become values."""

    def add(self, text: pl.Series) -> None:
        """Take more texts into account."""

    @property
    def dtype(self) -> pl.DataType:
        """The type that holds every value."""

    def read(self, text: pl.Series, dtype: pl.DataType, what: str, before: int) -> pl.Series:
        """Return the texts as values of `dtype`; `before` rows came before. Raises `SourceError` by row and column."""


class TextFormat(FileFormat):
    """A format whose files are streams of texts by column."""

    def open_files(self, request: FileRequest) -> Opened:
        """Read all rows for the types of their columns."""
        return TextRows(self, request)

    @abstractmethod
    def names(self, path: Path) -> tuple[str, ...]:
        """Return a file's columns in order, none for an empty file."""

    @abstractmethod
    def texts(self, path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Stream columns of a file as texts, missing values as null; the batches tell the rows even of no column."""

    @abstractmethod
    def evidence(self) -> ColumnTexts:
        """Return what finds out the type of a column."""


class _Found(NamedTuple):
    """What a pass over all rows told."""

    names: tuple[tuple[str, ...], ...]
    columns: dict[str, ColumnTexts]
    rows: int | None


_KNOWN: dict[str, _Found] = {}
"""Version -> what was found: planning and reading in one process look at all rows once."""
_KEPT = 64


class TextRows(Opened):
    """The rows of text files, one file after another; columns are found by name."""

    still = True

    def __init__(self, format: TextFormat, request: FileRequest) -> None:  # noqa: A002
        self.what, self.roles = request.what, request.roles
        self._format, self._wished = format, {name: dtype_named(wish) for name, wish in request.types.items()}
        self._pins = tuple(Pin.of(path) for path in request.paths)
        self.version = format.digest(self._pins, request)
        if self.version not in _KNOWN:
            while len(_KNOWN) >= _KEPT:
                del _KNOWN[next(iter(_KNOWN))]
            _KNOWN[self.version] = self._look()
        self._found = _KNOWN[self.version]
        schema = {name: self._wished.get(name) or column.dtype for name, column in self._found.columns.items()}
        if not schema:  # nothing but empty files: the columns are those that the export names
            schema = dict(self._wished)
        if not schema:
            raise no_columns(self.what)
        check_columns(schema, self._wished, self.roles, self.what)
        self.schema = pl.Schema(schema)

    def _look(self) -> _Found:
        """Read all rows; columns whose type is given are passed over."""
        names, columns, rows = [], dict[str, ColumnTexts](), 0
        for pin in self._pins:
            own = self._format.names(pin.path)
            names.append(own)
            asked = [name for name in own if name not in self._wished]
            columns |= {name: self._format.evidence() for name in own if name not in columns}
            if not own:
                continue
            for batch in self._format.texts(pin.path, asked):
                rows += batch.num_rows
                for name in asked:
                    columns[name].add(series(batch, name))
        self._check()
        return _Found(tuple(names), columns, rows)

    def _check(self) -> None:
        for pin in self._pins:
            pin.check()

    def batches(
        self,
        columns: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002, ARG002 - a text file decides nothing
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows with these columns."""
        wanted = self.wanted(columns)
        arrow = arrow_schema(pl.Schema({name: self.schema[name] for name in wanted}))
        self._check()
        for pin, own in zip(self._pins, self._found.names, strict=True):
            before = 0
            for batch in self._format.texts(pin.path, [name for name in wanted if name in own]) if own else ():
                made = [
                    self._column(batch, field, str(pin.path), before)
                    if field.name in own
                    else pa.nulls(batch.num_rows, field.type)
                    for field in arrow
                ]
                before += batch.num_rows
                yield pa.RecordBatch.from_arrays(made, schema=arrow)
        self._check()

    def _column(self, batch: pa.RecordBatch, field: pa.Field, what: str, before: int) -> pa.Array:
        column = self._found.columns[field.name]
        values = column.read(series(batch, field.name), self.schema[field.name], what, before)
        return values.rechunk().to_arrow().cast(field.type)

    def count(self) -> int | None:
        """Return the rows, as counted while the types were found."""
        return self._found.rows


def series(batch: pa.RecordBatch, name: str) -> pl.Series:
    """Return a column of a batch with its name."""
    found = pl.from_arrow(batch.column(name))
    assert isinstance(found, pl.Series)  # noqa: S101
    return found.alias(name)
