"""Reading JSON back: Arrow's strict parser for everything, DuckDB's for plain lines, where it needs half the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

import polars as pl

from export_pipeline.formats.pieces import parsed, pieces
from export_pipeline.formats.readers import arrow_type, frame_of

_LATE = (pl.Date, pl.Time)
_DUCKDB: dict[pl.DataType, str] = {
    pl.Boolean(): "BOOLEAN",
    pl.Date(): "DATE",
    pl.Datetime("us"): "TIMESTAMP",
    pl.Float32(): "FLOAT",
    pl.Float64(): "DOUBLE",
    pl.Int8(): "TINYINT",
    pl.Int16(): "SMALLINT",
    pl.Int32(): "INTEGER",
    pl.Int64(): "BIGINT",
    pl.String(): "VARCHAR",
    pl.UInt8(): "UTINYINT",
    pl.UInt16(): "USMALLINT",
    pl.UInt32(): "UINTEGER",
    pl.UInt64(): "UBIGINT",
}
_BATCH = 65_536


class LongLineError(Exception):
    """A line is longer than DuckDB takes."""


def is_plain(schema: Mapping[str, pl.DataType]) -> bool:
    """Return whether DuckDB can tell these columns apart (it ignores case) and knows their types."""
    return (
        all(dtype in _DUCKDB for dtype in schema.values())
        and all(name.isascii() and name.isprintable() for name in schema)
        and len({name.lower() for name in schema}) == len(schema)
    )


def plain_lines(path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
    """Yield the rows of an uncompressed file of lines, read by DuckDB; LongLineError where one is too long for it."""
    import duckdb

    columns = ", ".join(f"{_literal(name)}: {_literal(_DUCKDB[dtype])}" for name, dtype in schema.items())
    query = f"SELECT * FROM read_json({_literal(str(path))}, format = 'newline_delimited', columns = {{{columns}}})"
    with duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": False}) as connection:
        try:
            # A relation streams; `execute` would hold the whole result.
            for batch in connection.sql(query).to_arrow_reader(_BATCH):
                yield frame_of(batch, schema)
        except duckdb.InvalidInputException as error:
            if "maximum_object_size" in str(error):
                raise LongLineError from error
            raise


def lines(
    opened: Callable[[], IO[bytes]], schema: pl.Schema, skip: int = 0, *, listed: bool = False
) -> Iterator[pl.DataFrame]:
    """Yield the rows of lines after the first `skip`, read by Arrow, by two threads.

    `listed` says that the lines are the elements of a list: a comma stands behind each but the last.
    """
    with opened() as file:
        given = _ended(pieces(file)) if listed else pieces(file)
        for table in parsed(given, lambda piece: _table(_unlisted(piece) if listed else piece, schema)):
            if skip < table.num_rows:
                yield frame_of(table.slice(skip), schema)
            skip = max(0, skip - table.num_rows)


def _ended(given: Iterator[bytes]) -> Iterator[bytes]:
    """Pass pieces of a list on, the last with a comma and a line end as all others have them."""
    last = b""
    for piece in given:
        if last:
            yield last
        last = piece
    if last:
        if last.endswith(b"\n"):
            raise ValueError("there is a comma behind the last record")
        yield last + b",\n"


def _unlisted(piece: bytes) -> Any:
    """Return records without the commas behind them, as a buffer; ValueError where one has none.

    By Arrow, which lets other threads run meanwhile: `bytes.replace` took as long as parsing.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    data = pa.Array.from_buffers(pa.uint8(), len(piece), [None, pa.py_buffer(piece)])
    line_end = pc.equal(data, ord("\n"))
    ends = pc.cast(pc.indices_nonzero(line_end), pa.int64())
    begins = pc.add(ends, 1)[:-1]
    around = ((pc.subtract(ends, 1), ","), (pc.subtract(ends, 2), "}"), (begins, "{"))
    if piece[:1] != b"{" or not all(
        pc.all(pc.equal(data.take(at), ord(mark))).as_py() is not False for at, mark in around
    ):
        raise ValueError("there is no comma between two records, or a line end where none must be")
    return pc.if_else(line_end[1:], pa.scalar(ord(" "), pa.uint8()), data[:-1]).buffers()[1][: len(piece) - 1]


def _table(piece: Any, schema: pl.Schema) -> Any:
    import pyarrow as pa
    import pyarrow.json as arrow

    # Arrow's JSON parser takes instants, but no dates and times, from texts: those are cast afterwards.
    texts = {name: pl.String() if isinstance(dtype, _LATE) else dtype for name, dtype in schema.items()}
    return arrow.read_json(
        pa.BufferReader(piece),
        read_options=arrow.ReadOptions(block_size=len(piece) + 1, use_threads=False),
        parse_options=arrow.ParseOptions(
            explicit_schema=pa.schema([(name, arrow_type(dtype)) for name, dtype in texts.items()]),
            unexpected_field_behavior="error",
        ),
    )


def _literal(text: str) -> str:
    """Return a text as SQL."""
    return "'" + text.replace("'", "''") + "'"


class Filtered:
    """A file that is read through a filter, as Arrow wants it."""

    def __init__(self, file: IO[bytes] | Filtered) -> None:
        self._file = file
        self._held, self._ended = b"", False
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def readable(self) -> bool:
        """Say that this is read from."""
        return True

    def read(self, size: int) -> bytes:
        """Return some more bytes, about `size`; none at the end."""
        return self._file.read(size)

    def close(self) -> None:
        """Close the file below."""
        self._file.close()
        self.closed = True


class Replaced(Filtered):
    """Lines with some texts replaced; no text may hold a line end."""

    def __init__(self, file: IO[bytes], texts: Mapping[bytes, bytes]) -> None:
        super().__init__(file)
        self._texts = texts

    def read(self, size: int) -> bytes:
        """Return some more whole lines."""
        while not self._ended:
            data = self._file.read(size)
            self._ended = not data
            cut = data.rfind(b"\n") + 1
            if not cut and data:
                self._held += data
                continue
            whole, self._held = self._held + data[:cut], data[cut:]
            for text, other in self._texts.items():
                whole = whole.replace(text, other)
            if whole:
                return whole
        return b""
