"""Writing documents: the text around the records, and the records in the order of the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import polars as pl

from export_pipeline.compression import Stage
from export_pipeline.formats.json.entities import KEY, Rows, Section, taken_apart
from export_pipeline.formats.json.grouping import Hidden, grouped, in_order
from export_pipeline.formats.json.records import Style, ahead, joined, records, value
from export_pipeline.formats.json.spelling import Part
from export_pipeline.verification import Meter

Work = tuple[pl.DataFrame, int, tuple[str, ...] | None]
"""A frame, the place of its first row in the file, and the keys of the row before."""

Spelled = Callable[[pl.DataFrame], pl.DataFrame]
"""Returns the columns of the records as they are spelled."""


class Between(Stage):
    """Texts that each end with the separator, without the last one's."""

    def __init__(self, target: Any, separator: str) -> None:
        super().__init__(target)
        self._separator = separator.encode()
        self._held = b""

    def put(self, data: bytes) -> None:
        """Hold back what may be the last separator."""
        data = self._held + data
        cut = max(0, len(data) - len(self._separator))
        self._held = data[cut:]
        self.target.write(data[:cut])

    def finish(self) -> None:
        """Forget the last separator."""
        if self._held != self._separator:
            self.target.write(self._held)


class Commas(Stage):
    """Lines, cut anywhere, as the elements of an array. A line holds no raw line end but its last byte."""

    pending = False

    def put(self, data: bytes) -> None:
        """Put a comma before each line end that another line follows."""
        if not data:
            return
        if self.pending:
            self.target.write(b",\n")
        self.pending = data[-1:] == b"\n"
        parts = memoryview(data.replace(b"\n", b",\n"))
        self.target.write(parts[:-2] if self.pending else parts)


def write_texts(rows: pl.LazyFrame, stage: Stage, style: Style, depth: int, ending: str) -> None:
    """Stream the rows as records that each end with `ending`."""

    def texts(frame: pl.DataFrame) -> pl.DataFrame:
        return records(frame, style, depth).alias("text").to_frame()

    made = rows.map_batches(
        texts, schema=pl.Schema({"text": pl.String()}), streamable=True, validate_output_schema=False
    )
    target = cast("BinaryIO", stage)
    made.sink_csv(target, include_header=False, quote_style="never", line_terminator=ending, engine="streaming")


def write_groups(
    rows: pl.LazyFrame,
    hidden: Hidden,
    meter: Meter,
    stage: Stage,
    part: Part,
    *,
    spelled: Spelled,
    style: Style,
    missing: str,
    folder: Path,
) -> Meter:
    """Write the rows in groups of their keys; return the meter of the rows in the order of the file."""
    filed = Meter(meter.schema)

    def work(given: Work) -> list[memoryview]:
        frame, start, before = given
        filed.put(frame.select(*meter.schema), _places(frame, start))
        return grouped(frame, before, part, hidden.keys, records(spelled(frame), style, part.depth))

    last: tuple[str, ...] | None = None
    for texts in ahead(work, _numbered(in_order(rows, hidden, meter, folder, missing), hidden.keys)):
        for text in texts:
            stage.write(cast("bytes", text))  # codecs and sinks take any buffer
        last = ()
    if last is not None:
        stage.write(part.closes[0].encode())
    return filed


def write_entities(
    given: Sequence[Rows],
    order: Sequence[str],
    stage: Stage,
    parts: list[Part],
    schema: Mapping[str, pl.DataType],
    *,
    spelled: Spelled,
    style: Style,
    duplicates: str,
    folder: Path,
) -> Meter:
    """Write entities and relationships; return the meter of all their columns side by side, one section at a time."""
    filed = Meter(schema)
    for (section, frames), part in zip(taken_apart(given, order, folder, duplicates), parts, strict=True):
        stage.write(part.before.encode())
        base = filed.rows
        names = {old: new.split(".", 1)[1] for old, new in section.names.items() if old not in section.keys}

        def work(
            piece: Work, section: Section = section, part: Part = part, base: int = base, names: dict[str, str] = names
        ) -> list[memoryview]:
            frame, start, before = piece
            filed.put(beside(frame, section.names, schema), _places(frame, base + start))
            if len(section.keys) == 1:
                if names:
                    fields = spelled(frame.select(pl.col(old).alias(new) for old, new in names.items()))
                    bodies = records(fields, style, part.depth)
                else:
                    bodies = pl.repeat("{}", frame.height, dtype=pl.String, eager=True)
                return _members(frame, bodies, part, style, first=before is None)
            texts = frame.select(_quoted(section.keys[1], frame.schema)).to_series()
            return grouped(
                frame.with_columns(pl.col(section.keys[0]).cast(pl.String)), before, part, section.keys[:1], texts
            )

        some = False
        for texts in ahead(work, _numbered(frames, section.keys[:1])):
            for text in texts:
                stage.write(cast("bytes", text))  # codecs and sinks take any buffer
            some = True
        if some and part.closes:
            stage.write(part.closes[0].encode())
        stage.write(part.end.encode())
    return filed


def beside(frame: pl.DataFrame, names: Mapping[str, str], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return the columns under the names of the file; those of other sections, which are null, are left out."""
    return frame.select(pl.col(old).cast(schema[new]).alias(new) for old, new in names.items())


def _members(frame: pl.DataFrame, bodies: pl.Series, part: Part, style: Style, *, first: bool) -> list[memoryview]:
    """Return the members of an entity as text."""
    whole = pl.DataFrame([frame[KEY], bodies.alias("text")])
    key = _quoted(KEY, frame.schema)
    texts = whole.select(pl.concat_str(pl.lit(part.between), key, pl.lit(style.spelling.colon), "text")).to_series()
    return joined(texts, len(part.between.encode()) if first else 0)


def _quoted(key: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """Return a key as JSON text."""
    if schema[key].is_integer():
        return pl.concat_str(pl.lit('"'), pl.col(key).cast(pl.String), pl.lit('"'))
    return value(pl.col(key), pl.String())


def _numbered(frames: Iterator[pl.DataFrame], keys: tuple[str, ...]) -> Iterator[Work]:
    start = 0
    last: tuple[str, ...] | None = None
    for frame in frames:
        if not frame.height:
            continue
        yield frame, start, last
        start += frame.height
        last = frame.select(pl.col(keys).tail(1).cast(pl.String)).row(0)


def _places(frame: pl.DataFrame, start: int) -> pl.Series:
    return pl.int_range(start, start + frame.height, dtype=pl.UInt32 if start < 2**31 else pl.UInt64, eager=True)
