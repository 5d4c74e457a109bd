"""A filter's pushed clause as a database gets it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from export_pipeline.filters import AnyFilter, Roles, read_filter
from export_pipeline_tests.filters import samples
from export_pipeline_tests.filters.samples import BERLIN, COLUMNS

Case = tuple[Any, list[dict[str, Any]]]
_postgresql: Callable[..., sa.Dialect] = PGDialect  # DuckDB speaks as PostgreSQL does
DIALECTS: Mapping[str, sa.Dialect] = {
    "duckdb": _postgresql(paramstyle="numeric_dollar"),
    "sqlite": SQLiteDialect(paramstyle="qmark"),
}


def bound(written: Any, schema: pl.Schema) -> AnyFilter:
    return read_filter(written).bind(schema, Roles(), BERLIN)


def compiled(filter_: AnyFilter, schema: pl.Schema, dialect: str) -> tuple[str, list[Any]]:
    """Return the pushed clause as SQL with its values."""
    clause = filter_.clause({name: sa.column(name) for name in schema}, schema, BERLIN, dialect)
    if clause is None:
        return "true", []
    done = clause.compile(dialect=DIALECTS[dialect], compile_kwargs={"render_postcompile": True})
    assert done.positiontup is not None
    return str(done), [done.params[name] for name in done.positiontup]


def expected(written: Any, rows: Sequence[Mapping[str, Any]]) -> set[int]:
    return {index for index, row in enumerate(rows) if samples.keeps(written, row)}


def comparisons_of(name: str) -> Iterator[dict[str, Any]]:
    """Yield every comparison of a column, and not of it."""
    for operator in COLUMNS[name].operators:
        for asked in samples.values_for(name, operator):
            comparison = {"where": {"field": name, "operator": operator, "value": asked}}
            yield comparison
            yield {"not": comparison}
