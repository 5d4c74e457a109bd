"""JSON files: arrays of objects, one object a line (NDJSON), or objects one after another.

DuckDB streams the objects, each key as JSON text: 1M rows x 10 columns in 0.6 s with 180 MB. (Polars, looking at all
rows, needs 2.0 s and 344 MB, and makes texts of numbers in mixed columns.)
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from export_pipeline.errors import SourceError
from export_pipeline.sources.base import BATCH
from export_pipeline.sources.files.json_values import JsonValues
from export_pipeline.sources.files.rows import ColumnTexts, TextFormat
from export_pipeline.sources.files.text import compression_of, has_mark, open_text, unreadable

if TYPE_CHECKING:
    import duckdb

_FIRST_ROWS = 1_000
"""Rows whose keys come in the order in which they appear; later ones follow by name."""


class JsonFile(TextFormat):
    """JSON files: an array of objects, or objects one after another.

    Keys are columns. An absent key and null are missing values, "" is an empty text. A column of values of different
    kinds, such as numbers and texts, keeps each as its JSON text. Numbers in texts stay text.
    """

    tag = "json"
    extensions: ClassVar[tuple[str, ...]] = (".json",)
    lines: ClassVar[bool] = False
    """Whether each line is an object."""

    def evidence(self) -> ColumnTexts:
        """Return what finds out the type of a column."""
        return JsonValues()

    def names(self, path: Path) -> tuple[str, ...]:
        """Return all keys of all objects: those of the first rows in their order, then the others by name."""
        with self._reading(path) as (connection, rows):
            found = connection.execute(f"SELECT json_keys(json) FROM {rows} LIMIT {_FIRST_ROWS}").fetchall()
        with self._reading(path) as (connection, rows):
            all_keys = connection.execute(
                "SELECT DISTINCT unnest(CASE json_type(json) WHEN 'OBJECT' THEN json_keys(json) ELSE [NULL] END) "
                f"FROM {rows}"
            ).fetchall()
        if (None,) in all_keys:
            raise SourceError(f"{path}: a row is no object", cure="Rows are JSON objects, in one array or one a line.")
        first = dict.fromkeys(key for (keys,) in found for key in keys or ())
        return (*first, *sorted({key for (key,) in all_keys} - set(first)))

    def texts(self, path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Stream the values of keys as JSON texts."""
        pointers = [f"/{name.replace('~', '~0').replace('/', '~1')}" for name in columns]
        with self._reading(path) as (connection, rows):
            if pointers:
                picked = ", ".join(f'l[{place}] AS "{place}"' for place in range(1, len(columns) + 1))
                query = f"SELECT {picked} FROM (SELECT json_extract(json, $keys) AS l FROM {rows})"
                result = connection.sql(query, params={"keys": pointers})
            else:
                result = connection.sql(f"SELECT 1 AS nothing FROM {rows}")
            for batch in result.to_arrow_reader(BATCH):
                yield batch.rename_columns(list(columns)) if columns else batch

    @contextlib.contextmanager
    def _reading(self, path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """Give a connection and the table function that reads the objects of a file."""
        import duckdb

        with contextlib.ExitStack() as stack:
            name, packed = stack.enter_context(_named(path))
            shape = "newline_delimited" if self.lines else _shape(path)
            rows = f"read_json_objects('{name}', format='{shape}', compression='{packed}')"
            connection = stack.enter_context(duckdb.connect())
            try:
                yield connection, rows
            except duckdb.Error as error:
                raise self._broken(path, error) from error

    def _broken(self, path: Path, error: Exception) -> SourceError:
        """Return the error for a file that is no JSON; where lines are objects, it names the line."""
        text = str(error).split("\n", 1)[0].split(": ", 1)[-1]
        if self.lines:
            with contextlib.suppress(OSError, pa.ArrowException):
                for number, line in enumerate(_lines(path), start=1):
                    try:
                        json.loads(line or b"{}")
                    except ValueError as wrong:
                        return SourceError(f"{path}, line {number:,}: {str(wrong).split(':')[0]}: {_shown(line)}")
        return SourceError(f"{path} is no JSON that can be read: {text.replace(f' in file {path}', '')}")


class NdjsonFile(JsonFile):
    """Files with one JSON object on each line."""

    tag = "ndjson"
    extensions: ClassVar = (".ndjson", ".jsonl")
    lines = True


@contextlib.contextmanager
def _named(path: Path) -> Iterator[tuple[str, str]]:
    """Give a name under which DuckDB reads a file, and its compression.

    The name is that of an open file: DuckDB would take ``*`` and ``[`` in a path for a pattern. What DuckDB reads
    wrongly goes through a pipe: it takes a truncated .zst for an empty one, and refuses byte order marks.
    """
    packed = compression_of(path)
    if packed != "zstd" and not has_mark(path):
        with _opened(path) as handle:
            yield f"/proc/self/fd/{handle}", packed or "none"
            return
    reader, writer = os.pipe()
    failed: list[Exception] = []

    def pump() -> None:
        with open(writer, "wb") as sink, contextlib.suppress(BrokenPipeError):  # noqa: PTH123 - a number, no path
            try:
                stream = open_text(path)
                while data := stream.read(1 << 20):
                    sink.write(data)
            except (OSError, UnicodeError) as error:
                if not isinstance(error, BrokenPipeError):
                    failed.append(error)

    thread = threading.Thread(target=pump, name="json-pump", daemon=True)
    thread.start()
    try:
        yield f"/proc/self/fd/{reader}", "none"
    finally:
        os.close(reader)
        thread.join()
        if failed:
            raise unreadable(path, failed[0]) from failed[0]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        yield handle
    finally:
        os.close(handle)


def _shape(path: Path) -> str:
    """Return how DuckDB calls what the file is: an array, or objects one after another."""
    try:
        stream = open_text(path)
        head = b" "
        while head and not (stripped := head.strip()):
            head = stream.read(1 << 16)
    except (OSError, UnicodeError) as error:
        raise unreadable(path, error) from error
    return "array" if head and stripped.startswith(b"[") else "unstructured"


def _lines(path: Path) -> Iterator[bytes]:
    """Return the lines of a text file without the blanks around them."""
    stream: Any = open_text(path)
    rest = b""
    while data := stream.read(1 << 20):
        *lines, rest = (rest + data).split(b"\n")
        yield from (line.strip() for line in lines)
    yield rest.strip()


def _shown(line: bytes) -> str:
    text = line.decode(errors="replace")
    return text if len(text) <= 60 else f"{text[:57]}..."
