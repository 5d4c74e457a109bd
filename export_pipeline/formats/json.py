"""JSON: strict at every setting, streamed by Polars' line sink; documents are made of its lines by adding commas."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, ClassVar, Literal, cast

import polars as pl

from export_pipeline.compression import Stage, Uncompressed
from export_pipeline.errors import FormatError
from export_pipeline.formats.base import About, TextFormat
from export_pipeline.formats.json_readers import LongLineError, Replaced, Unframed, is_plain, lines, plain_lines
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
from export_pipeline.schemas import names_inside
from export_pipeline.verification import Loss

_FRAMES = {"records": (b'{"records":[\n', b"\n]}\n"), "array": (b"[\n", b"\n]\n")}
"""Bytes before the first and after the last record of a document."""
_NON_FINITE = ("NaN", "Infinity", "-Infinity")
_INF = float("inf")
_EXACT_DIGITS = 15
"""A JSON number is a double for most readers, which keeps 15 digits of every decimal."""


class Json(TextFormat):
    """JSON: keeps texts, numbers, lists and structs; dates and decimals are text."""

    tag: ClassVar[str] = "json"
    extension: ClassVar[str] = ".json"
    media_type: ClassVar[str] = "application/json"

    layout: Literal["records", "array", "lines"] = "records"
    """A document `{"records": [...]}`, a bare array, or one record per line (NDJSON, `.ndjson`)."""
    non_finite: Literal["null", "string", "error"] = "null"
    """What NaN and the infinities become, which JSON cannot write: null, the texts `NaN`, `Infinity`, `-Infinity`, or
    an error that names the row."""
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
        floats = {name for name, dtype in schema.items() if dtype.is_float()}
        for name, dtype in schema.items():
            if self.non_finite == "string" and (both := floats & set(names_inside(dtype))):
                raise FormatError(
                    f"column {name!r} has a field {min(both)!r}, which is also a column of numbers: texts mix up",
                    cure="Rename the column, or use non_finite: null.",
                )
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
        written = rows.with_columns(changed) if changed else rows
        if self.layout == "lines":
            self._sink(written, sink)
            return
        head, foot = _FRAMES[self.layout]
        sink.write(head)
        self._sink(written, cast("BinaryIO", _Commas(sink)))
        sink.write(foot)

    def _sink(self, rows: pl.LazyFrame, sink: BinaryIO) -> None:
        """Stream the records as lines; numbers mixed with texts need lines put together from fragments."""
        schema = rows.collect_schema()
        if self.non_finite == "string" and any(dtype.is_float() for dtype in schema.values()):
            rows.select(_line(schema)).sink_csv(
                sink, include_header=False, quote_style="never", line_terminator="\n", engine="streaming"
            )
        else:
            rows.sink_ndjson(sink, engine="streaming")

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Read with DuckDB where it can, with Arrow else, after taking a document's frame and commas away."""
        done = 0
        plain = isinstance(self.compression, Uncompressed) and self.non_finite != "string" and is_plain(schema)
        if self.layout == "lines" and plain:
            try:
                for frame in plain_lines(path, schema):
                    done += frame.height
                    yield frame
            except LongLineError:
                pass  # Arrow goes on from there
            else:
                return
        yield from lines(lambda: self._lines(path, schema), schema, skip=done)

    def _lines(self, path: Path, schema: pl.Schema) -> IO[bytes]:
        """Open the file as one record per line, with numbers where numbers are."""
        file = self.compression.decompressing(path)
        if self.layout != "lines":
            file = cast("IO[bytes]", Unframed(file, *_FRAMES[self.layout]))
        floats = [name for name, dtype in schema.items() if dtype.is_float()]
        if self.non_finite == "string" and floats:
            texts = {f'{key(name)}:"{text}"': f"{key(name)}:{text}" for name in floats for text in _NON_FINITE}
            file = cast("IO[bytes]", Replaced(file, {a.encode(): b.encode() for a, b in texts.items()}))
        return file

    def _written(self, column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
        """Return how a column is spelled where Polars' sink would spell it differently."""
        if isinstance(dtype, pl.Datetime):
            return zoned(column, dtype) if dtype.time_zone else column.dt.to_string("iso:strict")
        if isinstance(dtype, pl.Decimal) and self.decimals == "number":
            return column.cast(pl.Float64)  # up to 15 digits come back from the shortest text of the double
        return None


def _line(schema: pl.Schema) -> pl.Expr:
    """Return the record as text, its numbers as texts where they are not finite."""
    parts = []
    for is_float, names in itertools.groupby(schema, lambda name: schema[name].is_float()):
        for group in ([name] for name in names) if is_float else [list(names)]:
            part = pl.struct(group).struct.json_encode().str.slice(1).str.head(-1)  # without its braces
            if is_float:
                number = pl.col(group[0])
                for text, where in zip(_NON_FINITE, (number.is_nan(), number == _INF, number == -_INF), strict=True):
                    part = pl.when(where).then(pl.lit(f'{key(group[0])}:"{text}"')).otherwise(part)
            parts.append(part)
    return pl.concat_str(pl.lit("{"), pl.concat_str(parts, separator=","), pl.lit("}"))


def key(name: str) -> str:
    """Return a name as Polars writes it into JSON."""
    return pl.select(pl.struct(pl.lit(None).alias(name)).struct.json_encode()).item()[1:-6]  # type: ignore[no-any-return]


class _Commas(Stage):
    """Lines, cut anywhere, as the elements of an array. A line holds no raw line end but its last byte."""

    pending = False

    def put(self, data: bytes) -> None:
        if not data:
            return
        if self.pending:
            self.target.write(b",\n")
        self.pending = data[-1:] == b"\n"
        parts = memoryview(data.replace(b"\n", b",\n"))
        self.target.write(parts[:-2] if self.pending else parts)
