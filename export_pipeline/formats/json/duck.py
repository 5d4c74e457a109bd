"""Reading plain JSON lines back by DuckDB, which needs less than half of Arrow's time; of a file, or of pieces.

It is not as strict as Arrow: it passes over fields that it was not asked for, and commas before a closing brace.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import polars as pl

from export_pipeline.formats.readers import frame_of

if TYPE_CHECKING:
    import duckdb

_TYPES: dict[pl.DataType, str] = {
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
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    # Texts as Polars keeps them, too.
    "arrow_output_version": "1.5",
    "produce_arrow_string_view": True,
}
_BATCH = 65_536
PIECE = 1 << 22
"""Bytes of a piece: each is a query of its own, which costs a millisecond."""


class LongLineError(Exception):
    """A line is longer than DuckDB takes."""


def is_plain(schema: Mapping[str, pl.DataType]) -> bool:
    """Return whether DuckDB can tell these columns apart (it ignores case) and knows their types.

    Only where a file in memory has a path, which is on Linux.
    """
    return (
        hasattr(os, "memfd_create")
        and all(dtype in _TYPES for dtype in schema.values())
        and all(name and name.isascii() and name.isprintable() for name in schema)
        and len({name.lower() for name in schema}) == len(schema)
    )


def of_file(path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
    """Yield the rows of an uncompressed file of lines; LongLineError where one is too long."""
    import duckdb

    with path.open("rb") as file, duckdb.connect(config=_SETTINGS | {"threads": 2}) as connection, _long_lines():
        # A relation streams; `execute` would hold the whole result.
        for batch in connection.sql(_query(file, schema, "newline_delimited")).to_arrow_reader(_BATCH):
            yield frame_of(batch, schema)


class Reader:
    """Reads pieces of whole records, each in the thread that asks; a context manager."""

    def __init__(self, schema: pl.Schema, form: str) -> None:
        """`form` is what DuckDB calls the format of a piece: ``newline_delimited`` or ``array``."""
        self._schema, self._form = schema, form
        self._kept = contextlib.ExitStack()
        self._of_thread = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def table(self, piece: Iterable[Any]) -> Any:
        """Return the rows of a piece (bytes or buffers) as an Arrow table; LongLineError where a line is too long."""
        own = self._of_thread
        if not hasattr(own, "connection"):
            own.connection, own.file = self._open()
        own.file.seek(0)
        for part in piece:
            left = memoryview(part)
            while left:
                left = left[own.file.write(left) :]
        own.file.truncate()
        with _long_lines():
            return own.connection.sql(_query(own.file, self._schema, self._form)).to_arrow_table()

    def _open(self) -> tuple[duckdb.DuckDBPyConnection, IO[bytes]]:
        """Return a connection, and a file in memory: DuckDB reads nothing but files."""
        import duckdb

        file = self._kept.enter_context(os.fdopen(os.memfd_create("lines"), "w+b", buffering=0))
        return self._kept.enter_context(duckdb.connect(config=_SETTINGS | {"threads": 1})), file


@contextlib.contextmanager
def _long_lines() -> Iterator[None]:
    """Tell a line that is too long from what is wrong."""
    import duckdb

    try:
        yield
    except duckdb.InvalidInputException as error:
        if "maximum_object_size" in str(error):
            raise LongLineError from error
        raise


def _query(file: IO[bytes], schema: pl.Schema, form: str) -> str:
    """Return what reads an open file; of its own path DuckDB would take columns (``k=v/``), patterns and an ending."""
    path = f"/dev/fd/{file.fileno()}"
    columns = ", ".join(f"{_literal(name)}: {_literal(_TYPES[dtype])}" for name, dtype in schema.items())
    return f"SELECT * FROM read_json({_literal(path)}, format = '{form}', columns = {{{columns}}})"


def _literal(text: str) -> str:
    """Return a text as SQL."""
    return "'" + text.replace("'", "''") + "'"
