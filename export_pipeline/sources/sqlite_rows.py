"""The rows of a SQLite table, view or query: which types its values have, and the values."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from export_pipeline.filters import Filter
from export_pipeline.snapshots.arrow import arrow_schema
from export_pipeline.sources.base import BATCH, Opened, check_columns
from export_pipeline.sources.evidence import TIMES, Evidence
from export_pipeline.sources.sql import Condition, condition, quoted, select
from export_pipeline.sources.sqlite_types import (
    BYTES,
    HUGE,
    MIXED,
    TIME,
    Declared,
    Reader,
    by_content,
    declared,
    plain_reader,
)
from export_pipeline.sources.stores import Request
from export_pipeline.sources.types import convert, dtype_named, unfit

if TYPE_CHECKING:
    from export_pipeline.sources.sqlite_store import SqliteSession

_ROWS = 400
"""Rows fetched at once: with more, Python's garbage collector looks at them again and again."""
_TOGETHER = 4
"""Columns looked at in one pass: their storage classes give few combinations."""
_SETTLED = 0.1
"""Seconds after which a file's time tells its last change for sure."""
_KNOWN: dict[object, dict[str, Reader]] = {}
_KEPT = 64


class SqliteRows(Opened):
    """The rows of a table, a view or a query."""

    def __init__(
        self,
        session: SqliteSession,
        schema: str,
        name: str,
        request: Request,
        *,
        query: str = "",
        ordered: bool = False,
    ) -> None:
        self.what, self.version, self.roles = request.what, session.version, request.roles
        self._session, self._connection, self._query, self._ordered = session, session.connection, query, ordered
        self._rows = f"{schema}.{quoted(name)}"
        with session.errors(self.what):
            info = self._connection.execute(f"PRAGMA {schema}.table_xinfo({quoted(name)})").fetchall()
            kinds = self._connection.execute(f"PRAGMA {schema}.table_list({quoted(name)})").fetchall()
        columns = {str(row[1]): str(row[2]) for row in info if row[6] != 1}
        check_columns(columns, request.types, self.roles, self.what)
        self._plain_table = bool(kinds) and kinds[0][2] == "table"
        self._keyed = self._plain_table and not kinds[0][4] and "rowid" not in {column.lower() for column in columns}
        strict = bool(kinds) and bool(kinds[0][5])
        self._wished = {column: dtype_named(wish) for column, wish in request.types.items()}
        self._readers = self._known(columns, [str(row[1]) for row in info if row[5]], strict=strict)
        self.schema = pl.Schema({column: self._wished.get(column, how.dtype) for column, how in self._readers.items()})

    def _known(self, columns: dict[str, str], keys: list[str], *, strict: bool) -> dict[str, Reader]:
        """Return how each column is read; looked at once for one state of the file."""
        state = self._session.state()
        rowid = keys[0] if self._keyed and len(keys) == 1 and columns[keys[0]].upper() == "INTEGER" else None
        key = (
            self._session.version,
            state,
            self._rows,
            self._query,
            repr(sorted(self._wished.items())),
            self.roles.time,
        )
        if key not in _KNOWN:
            with self._session.errors(self.what):
                found = self._look(columns, rowid, strict=strict)
            if time.time_ns() - max(state[1::2], default=0) < _SETTLED * 1e9:
                return found
            while len(_KNOWN) >= _KEPT:
                del _KNOWN[next(iter(_KNOWN))]
            _KNOWN[key] = found
        return _KNOWN[key]

    def _look(self, columns: dict[str, str], key: str | None, *, strict: bool) -> dict[str, Reader]:
        """Find out what the values are: one pass for the declared types, another for what differs from them.

        `key` is the column that is another name of the row's number, which is always an integer.
        """
        said: dict[str, Declared] = {}
        for name, kind in columns.items():
            found = declared(kind)
            said[name] = TIME if found.family == "text" and name == self.roles.time else found
        open_ = {name: how for name, how in said.items() if name not in self._wished and how.family != "text"}
        checked = {name: how for name, how in open_.items() if how.stored and name != key}
        open_ = {name: how for name, how in open_.items() if name != key}
        if checked and (strict or not self._odd(checked)):
            open_ = {name: how for name, how in open_.items() if name not in checked}
        readers = {name: plain_reader(how.dtype) for name, how in said.items()}
        readers |= self._by_values(open_) if open_ else {}
        for name, dtype in self._wished.items():
            readers[name] = BYTES if dtype == pl.Binary() else MIXED
        return readers

    def _odd(self, checked: dict[str, Declared]) -> bool:
        """Return whether a value is not what its column was declared to hold."""
        tests = []
        for name, how in checked.items():
            column = quoted(name)
            stored = ", ".join(f"'{kind}'" for kind in ("null", *how.stored))
            tests.append(f"typeof({column}) NOT IN ({stored})")
            tests += [f"({how.odd.format(c=column)})"] if how.odd else []
        return self._exists(" OR ".join(tests))

    def _exists(self, test: str) -> bool:
        query = f"SELECT EXISTS (SELECT 1 FROM {self._rows} WHERE {test})"
        return bool(self._connection.execute(query).fetchone()[0])

    def _classes(self, columns: list[str]) -> dict[str, set[str]]:
        """Return the storage classes that occur in each column."""
        found: dict[str, set[str]] = {name: set() for name in columns}
        for start in range(0, len(columns), _TOGETHER):
            names = columns[start : start + _TOGETHER]
            asked = ", ".join(f"typeof({quoted(name)})" for name in names)
            for row in self._connection.execute(f"SELECT DISTINCT {asked} FROM {self._rows}"):
                for name, kind in zip(names, row, strict=True):
                    found[name] |= {kind} - {"null"}
        return found

    def _by_values(self, columns: dict[str, Declared]) -> dict[str, Reader]:
        """Return how columns are read whose values decide."""
        classes = self._classes(list(columns))
        readers, texts = dict[str, Reader](), dict[str, Evidence]()
        for name, how in columns.items():
            found = classes[name]
            if how.stored and found and found <= {*how.stored} and not self._odd({name: how}):
                readers[name] = plain_reader(how.dtype)
                continue
            huge = {"integer", "real"} <= found and self._exists(HUGE.format(c=quoted(name)))
            reader = by_content(how.dtype, found, huge=huge)
            if reader is not None:
                readers[name] = reader
            elif how.family in ("time", "content"):
                texts[name] = Evidence(TIMES, blank=False)
            else:
                texts[name] = Evidence(("boolean",) if how.family == "boolean" else (), blank=False)
        if texts:
            cursor = self._connection.execute(f"SELECT {', '.join(map(quoted, texts))} FROM {self._rows}")
            while rows := cursor.fetchmany(20 * _ROWS):
                for evidence, values in zip(texts.values(), zip(*rows, strict=True), strict=True):
                    evidence.add(pl.Series(values, dtype=pl.String))
        return readers | {
            name: plain_reader(evidence.dtype) if evidence.dtype != pl.Boolean() else MIXED._replace(dtype=pl.Boolean())
            for name, evidence in texts.items()
        }

    def batches(
        self,
        columns: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows; columns and what SQLite can decide of the filter are pushed."""
        wanted, where = self.wanted(columns), self._condition(filter)
        if self._ordered:
            text, wanted_all = self._query, self.schema.names()
        else:
            picked = [self._readers[name].select.format(c=quoted(name)) for name in wanted] or ["1"]
            text, wanted_all = select(picked, self._rows, where), wanted
            if where and self._keyed:
                text += " ORDER BY rowid"  # an index would give another order than without the condition
        arrow = arrow_schema(pl.Schema({name: self.schema[name] for name in wanted}))
        places = {name: wanted_all.index(name) for name in wanted}
        before = 0
        with self._session.errors(self.what), contextlib.closing(self._connection.cursor()) as cursor:
            cursor.execute(text, where.values if where else ())
            while True:
                parts: list[list[pa.Array]] = [[] for _ in wanted]
                count = 0
                while count < BATCH and (rows := cursor.fetchmany(_ROWS)):
                    values = list(zip(*rows, strict=True))
                    for part, name in zip(parts, wanted, strict=True):
                        part.append(self._array(name, values[places[name]], before + count))
                    count += len(rows)
                if not count:
                    return
                made = [
                    self._typed(pa.concat_arrays(part), field, before) for part, field in zip(parts, arrow, strict=True)
                ]
                yield (
                    pa.RecordBatch.from_arrays(made, schema=arrow) if made else pa.RecordBatch.from_pylist([{}] * count)
                )
                before += count

    def _array(self, name: str, values: Sequence[Any], before: int) -> pa.Array:
        """Return values as SQLite keeps them. Raises `SourceError` for one of another class than was found before."""
        reader = self._readers[name]
        try:
            return reader.make(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            kind = {pl.Int64(): int, pl.Float64(): (int, float), pl.Binary(): bytes}.get(reader.dtype, str)
            place, value = next((n, v) for n, v in enumerate(values) if v is not None and not isinstance(v, kind))  # type: ignore[arg-type]
            raise unfit(self.what, name, before + place + 1, value, reader.dtype) from None

    def _typed(self, values: pa.Array, field: pa.Field, before: int) -> pa.Array:
        """Return values as the column's type."""
        if values.type == field.type:
            return values
        column = pl.Series(field.name, pl.from_arrow(values))
        return convert(column, self.schema[field.name], self.what, before).rechunk().to_arrow().cast(field.type)

    def _condition(self, filter: Filter | None) -> Condition | None:  # noqa: A002
        if self._ordered:  # the order of a query is kept only where nothing is put around it
            return None
        asked = [name for name, how in self._readers.items() if how.exact and name not in self._wished]
        return condition(filter, asked, self.schema, "sqlite")

    def pushed(self, filter: Filter | None) -> str | None:  # noqa: A002
        """Return the condition that SQLite applies."""
        where = self._condition(filter)
        return str(where) if where else None

    def count(self) -> int | None:
        """Return the rows of a table."""
        if not self._plain_table:
            return None
        with self._session.errors(self.what):
            return int(self._connection.execute(f"SELECT count(*) FROM {self._rows}").fetchone()[0])

    def interrupt(self) -> None:
        """End a running read."""
        self._connection.interrupt()
