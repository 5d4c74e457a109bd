"""What the readers of databases share: quoted names, the pushed condition, and where it may be put around a query."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from export_pipeline.filters import Filter

_UTC = ZoneInfo("UTC")


def quoted(name: str) -> str:
    """Return a name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Condition:
    """A WHERE clause with its values beside it."""

    text: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        shown = ", ".join(
            repr(str(value)) if not isinstance(value, int | float) else str(value) for value in self.values
        )
        return f"{self.text}  [{shown}]" if shown else self.text


def condition(filter: Filter | None, asked: Collection[str], schema: pl.Schema, dialect: str) -> Condition | None:  # noqa: A002
    """Return what of a bound filter the database can decide about the columns in `asked`; None: nothing.

    `dialect` is ``duckdb`` or ``sqlite``.
    """
    if filter is None:
        return None
    import sqlalchemy as sa
    from sqlalchemy.dialects import postgresql, sqlite

    make: Any = sa.sql.quoted_name
    dialects: Any = (sqlite.dialect, postgresql.dialect)
    columns: dict[str, Any] = {name: sa.column(make(name, True)) for name in asked}
    clause = filter.clause(columns, schema, _UTC, dialect)
    if clause is None:
        return None
    spoken = dialects[0](paramstyle="qmark") if dialect == "sqlite" else dialects[1](paramstyle="numeric_dollar")
    compiled = clause.compile(dialect=spoken, compile_kwargs={"render_postcompile": True})
    return Condition(str(compiled), tuple(compiled.params[name] for name in compiled.positiontup or ()))


def is_ordered(query: str) -> bool:
    """Return whether a query may have an order of its own; put into another one, a database may forget it."""
    return re.search(r"\border\s+by\b", query, re.IGNORECASE) is not None


def select(columns: Sequence[str], rows: str, where: Condition | None) -> str:
    """Return the statement that reads columns (SQL expressions) of a table or a query in brackets."""
    return f"SELECT {', '.join(columns)} FROM {rows}" + (f" WHERE {where.text}" if where else "")
