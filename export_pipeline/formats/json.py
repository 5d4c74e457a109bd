"""JSON: strict at every setting, streamed by Polars' line sink; documents are made of its lines by adding commas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, ClassVar, Literal, cast

import polars as pl

from export_pipeline.compression import Stage, Uncompressed
from export_pipeline.errors import FormatError
from export_pipeline.formats.base import About, TextFormat
from export_pipeline.formats.json_readers import LongLineError, Unframed, is_plain, lines, plain_lines
from export_pipeline.formats.texts import (
    finite,
    held,
    is_wide,
    nested,
    refuse_non_finite,
    refuse_objects,
    refuse_years,
    text_losses,
    zoned,
)
from export_pipeline.verification import Loss

_FRAMES = {"records": (b'{"records":[\n', b"\n]}\n"), "array": (b"[\n", b"\n]\n")}
"""Bytes before the first and after the last record of a document."""
_EXACT_DIGITS = 15
"""A JSON number is a double for most readers, which keeps 15 digits of every decimal."""


class Json(TextFormat):
    """JSON: keeps texts, numbers, lists and structs; dates and decimals are text."""

    tag: ClassVar[str] = "json"
    extension: ClassVar[str] = ".json"
    media_type: ClassVar[str] = "application/json"

    layout: Literal["records", "array", "lines"] = "records"
    """A document `{"records": [...]}`, a bare array, or one record per line (NDJSON, `.ndjson`)."""
    non_finite: Literal["null", "error"] = "null"
    """What NaN and the infinities become, which JSON cannot write: null, or an error that names the row."""
    integers: Literal["number", "text"] = "number"
    """How 64-bit integers are written: JavaScript keeps numbers only up to 2^53, text is safe for every reader."""
    decimals: Literal["text", "number"] = "text"
    """How decimals are written: as exact text, or as numbers (columns of up to 15 digits only)."""

    @property
    def suffix(self) -> str:
        """``.json`` or ``.ndjson``, and that of the compression."""
        return (".ndjson" if self.layout == "lines" else self.extension) + self.compression.extension

    @property
    def content_type(self) -> str:
        """The media type of documents or of lines."""
        return "application/x-ndjson" if self.layout == "lines" else self.media_type

    def check(self, schema: pl.Schema) -> None:
        """Refuse decimals that a number would round, and columns of objects."""
        refuse_objects(schema, "JSON")
        if self.decimals == "number":
            for name, dtype in schema.items():
                digits = 38 if is_wide(dtype) else dtype.precision if isinstance(dtype, pl.Decimal) else 0
                if digits > _EXACT_DIGITS:
                    raise FormatError(
                        f"column {name!r} has up to {digits} digits; a JSON number keeps {_EXACT_DIGITS}",
                        cure="Use decimals: text.",
                    )

    def losses(self, schema: pl.Schema) -> list[Loss]:
        """Return what JSON cannot hold of these columns."""
        return list(text_losses(schema, self.non_finite))

    def render(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Cast what JSON has no form for to text, and apply the policy for non-finite numbers."""
        changed = []
        for name, dtype in rows.collect_schema().items():
            column = pl.col(name)
            value = nested(column, dtype) if dtype.is_nested() else held(column, dtype)
            if dtype.is_float() and self.non_finite == "null":
                value = finite(value)
            if isinstance(dtype, (pl.Int64, pl.UInt64)) and self.integers == "text":
                value = value.cast(pl.String)
            if value is not column:
                changed.append(value.alias(name))
        return rows.with_columns(changed) if changed else rows

    def inspect(self, frame: pl.DataFrame, start: int) -> None:
        """Refuse years beyond four digits and, if asked to, non-finite numbers."""
        refuse_years(frame, start)
        if self.non_finite == "error":
            refuse_non_finite(frame, start)

    def encode(self, rows: pl.LazyFrame, sink: BinaryIO, about: About) -> None:  # noqa: ARG002
        """Stream the records through Polars' line sink, in the frame of a document where one is asked for."""
        changed = [
            value.alias(name)
            for name, dtype in rows.collect_schema().items()
            if (value := self._written(pl.col(name), dtype)) is not None
        ]
        lines = rows.with_columns(changed) if changed else rows
        if self.layout == "lines":
            lines.sink_ndjson(sink, engine="streaming")
            return
        head, foot = _FRAMES[self.layout]
        sink.write(head)
        lines.sink_ndjson(cast("BinaryIO", _Commas(sink)), engine="streaming")
        sink.write(foot)

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Read with DuckDB where it can, with Arrow else, after taking a document's frame and commas away."""
        done = 0
        if self.layout == "lines" and isinstance(self.compression, Uncompressed) and is_plain(schema):
            try:
                for frame in plain_lines(path, schema):
                    done += frame.height
                    yield frame
            except LongLineError:
                pass  # Arrow goes on from there
            else:
                return
        yield from lines(lambda: self._lines(path), schema, skip=done)

    def _lines(self, path: Path) -> IO[bytes]:
        """Open the file as one record per line."""
        file = self.compression.decompressing(path)
        return file if self.layout == "lines" else cast("IO[bytes]", Unframed(file, *_FRAMES[self.layout]))

    def _written(self, column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
        """Return how a column is spelled where Polars' sink would spell it differently."""
        if isinstance(dtype, pl.Datetime):
            return zoned(column, dtype) if dtype.time_zone else column.dt.to_string("iso:strict")
        if isinstance(dtype, pl.Decimal) and self.decimals == "number":
            return column.cast(pl.Float64)  # up to 15 digits come back from the shortest text of the double
        return None


class _Commas(Stage):
    """Lines, cut anywhere, as the elements of an array. A line holds no raw line end but its last byte."""

    pending = False

    def put(self, data: bytes) -> None:
        if not data:
            return
        if self.pending:
            self.target.write(b",\n")
        self.pending = data[-1:] == b"\n"
        self.target.write((data[:-1] if self.pending else data).replace(b"\n", b",\n"))
