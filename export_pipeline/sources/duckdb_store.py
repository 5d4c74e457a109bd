"""DuckDB files: opened for reading only, without access to other files, read in the order of the rows."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from export_pipeline.errors import ConfigError, NotFoundError, SourceError, SourceUnavailableError, did_you_mean
from export_pipeline.filters import Filter
from export_pipeline.snapshots.arrow import arrow_schema, to_batches
from export_pipeline.sources.base import BATCH, Opened, check_columns
from export_pipeline.sources.duckdb_types import Reading, expression, reading
from export_pipeline.sources.ranges import check_ranges
from export_pipeline.sources.sql import Condition, condition, is_ordered, quoted, select
from export_pipeline.sources.stores import Request, Session, check_unique
from export_pipeline.sources.types import convert, dtype_named

if TYPE_CHECKING:
    import duckdb

_BUSY = re.compile(r"could not set lock|different configuration", re.IGNORECASE)
_TABLES = """
    SELECT table_schema, table_name, table_type = 'BASE TABLE' FROM information_schema.tables
    WHERE table_catalog = current_database() ORDER BY ALL
"""


class DuckDbSession(Session):
    """A read-only connection. Nobody can write while it is open, so all reads see the same rows."""

    def __init__(self, path: Path, name: str) -> None:
        import duckdb

        if not path.is_file():
            raise SourceError(f"store {name}: there is no file {path}", cure="Correct its path in stores.yaml.")
        settings: dict[str, str | bool | int | float | list[str]] = {
            "enable_external_access": "false",  # a query reads this file and no other
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "temp_directory": str(Path(tempfile.gettempdir()) / f"export_pipeline-duckdb-{os.getpid()}"),
        }
        try:
            self.connection = duckdb.connect(str(path), read_only=True, config=settings)
        except duckdb.Error as error:
            raise _unopened(error, path, name) from error
        stat = path.stat()
        self.name, self.version = name, f"duckdb:{path}:{stat.st_size}:{stat.st_mtime_ns}"

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a connection for one read: an open result keeps its connection to itself."""
        cursor = self.connection.cursor()
        cursor.execute("SET TimeZone = 'UTC'")
        return cursor

    def tables(self) -> list[str]:
        """Return the tables and views; those outside of ``main`` with their schema."""
        return list(self._tables())

    def _tables(self) -> dict[str, tuple[str, str, bool]]:
        with contextlib.closing(self.cursor()) as cursor:
            found = cursor.execute(_TABLES).fetchall()
        return {
            name if schema == "main" else f"{schema}.{name}": (schema, name, stored) for schema, name, stored in found
        }

    def open_table(self, table: str, request: Request) -> Opened:
        """Open a table or view."""
        tables = self._tables()
        found = tables.get(table) or tables.get(table.removeprefix("main."))
        if found is None:
            raise NotFoundError(f"store {self.name!r} has no table {table!r} ({did_you_mean(table, tables)})")
        return DuckDbRows(self, f"{quoted(found[0])}.{quoted(found[1])}", request, stored=found[2])

    def open_query(self, query: str, request: Request) -> Opened:
        """Open the rows of one SELECT."""
        import duckdb

        try:
            statements = duckdb.extract_statements(query)
        except duckdb.Error as error:
            raise ConfigError(f"{request.what}: {error}") from error
        if len(statements) != 1:
            raise ConfigError(f"{request.what}: it must be one SELECT, not {len(statements)} statements")
        if statements[0].type != duckdb.StatementType.SELECT:
            kind = str(statements[0].type).rpartition(".")[2]
            raise ConfigError(f"{request.what}: it must be one SELECT; {kind} is refused, exports only read")
        text = query.strip().rstrip(";").rstrip()
        try:
            with contextlib.closing(self.cursor()) as cursor:
                names = cursor.sql(f"{text}\n").columns
        except duckdb.Error as error:
            raise _unread(error, request.what) from error
        check_unique([name.lower() for name in names], request.what)  # DuckDB knows no capitals in names
        return DuckDbRows(self, f"({text}\n) AS q", request, ordered=is_ordered(text))

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


class DuckDbRows(Opened):
    """The rows of a table or a query."""

    def __init__(
        self, session: DuckDbSession, rows: str, request: Request, *, ordered: bool = False, stored: bool = False
    ) -> None:
        self.what, self.version, self.roles = request.what, session.version, request.roles
        self._session, self._rows, self._ordered, self._stored = session, rows, ordered, stored
        self._cursors: list[duckdb.DuckDBPyConnection] = []
        with self._reading() as cursor:
            found = cursor.sql(f"SELECT * FROM {rows}")
            names, kinds = found.columns, found.types
        check_columns(names, request.types, request.roles, self.what)
        self._wished = {name: dtype_named(wish) for name, wish in request.types.items()}
        self._native = {
            name: Reading(pl.String(), "VARCHAR") if self._wished.get(name) == pl.String else reading(kind)
            for name, kind in zip(names, kinds, strict=True)
        }
        self.schema = pl.Schema({name: self._wished.get(name, how.dtype) for name, how in self._native.items()})

    def batches(
        self,
        columns: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows; columns and what DuckDB can decide of the filter are pushed."""
        wanted, where = self.wanted(columns), self._condition(filter)
        text = select([expression(name, self._native[name].cast) for name in wanted], self._rows, where)
        native = arrow_schema(pl.Schema({name: self._native[name].dtype for name in wanted}))
        wished = {name: self.schema[name] for name in wanted if self.schema[name] != self._native[name].dtype}
        before = 0
        with self._reading() as cursor:
            rows = cursor.sql(text, params=list(where.values) if where else None)
            for batch in rows.to_arrow_reader(BATCH):
                check_ranges(batch, self.what)
                if wished:
                    frame = pl.DataFrame(pl.from_arrow(_as(batch, native)))
                    changed = [convert(frame[name], dtype, self.what, before) for name, dtype in wished.items()]
                    yield from to_batches(frame.with_columns(changed))
                else:
                    yield _as(batch, native)
                before += batch.num_rows

    def pushed(self, filter: Filter | None) -> str | None:  # noqa: A002
        """Return the condition that DuckDB applies."""
        where = self._condition(filter)
        return str(where) if where else None

    def count(self) -> int | None:
        """Return the rows of a table; those of a view would have to be found first."""
        if not self._stored:
            return None
        with self._reading() as cursor:
            found = cursor.execute(f"SELECT count(*) FROM {self._rows}").fetchone()
        return int(found[0]) if found else None

    def interrupt(self) -> None:
        """End a running read."""
        for cursor in list(self._cursors):
            cursor.interrupt()

    def _condition(self, filter: Filter | None) -> Condition | None:  # noqa: A002
        if self._ordered:  # the order of a query is kept only where nothing is put around it
            return None
        return condition(filter, [name for name in self.schema if name not in self._wished], self.schema, "duckdb")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection for one read, and turn DuckDB's errors into ours."""
        import duckdb

        try:
            cursor = self._session.cursor()
            self._cursors.append(cursor)
            try:
                yield cursor
            finally:
                self._cursors.remove(cursor)
                cursor.close()
        except duckdb.Error as error:
            raise _unread(error, self.what) from error


def _as(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the batch with exactly these types; names of list items and units of times may differ before."""
    return (
        batch
        if batch.schema.equals(schema)
        else pa.RecordBatch.from_struct_array(batch.to_struct_array().cast(pa.struct(list(schema))))
    )


def _unopened(error: Exception, path: Path, name: str) -> SourceError:
    text = str(error)
    if _BUSY.search(text):
        holder = re.search(r"\(PID (\d+)\)", text)
        who = f"process {holder[1]}" if holder else "another part of this process"
        return SourceUnavailableError(
            f"store {name}: {path} is open for writing in {who}; DuckDB lets nobody read meanwhile",
            cure="Let that program close the file, or keep what is written all the time in SQLite and export that.",
        )
    return SourceError(f"store {name}: {path} cannot be opened: {_first_line(error)}")


def _unread(error: Exception, what: str) -> SourceError | ConfigError:
    """Return our error for one of DuckDB's: a wrong query is the export's fault, wrong rows the store's."""
    import duckdb

    text = _first_line(error)
    if "read-only mode" in text:
        return ConfigError(f"{what}: it writes, which is refused: exports only read ({text})")
    if isinstance(error, duckdb.PermissionException):
        return ConfigError(f"{what}: it asks for another file, which is refused", cure="Use a source {files: ...}.")
    if isinstance(error, duckdb.BinderException | duckdb.CatalogException | duckdb.ParserException):
        return ConfigError(f"{what}: {text}")
    if isinstance(error, duckdb.ConversionException):
        return SourceError(
            f"{what}: {text}", cure="Read the column as text:  schema: {name: text}, or write a query that casts it."
        )
    return SourceError(f"{what}: {text}")


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split("\n\nLINE")[0].split())
