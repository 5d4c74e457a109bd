"""What every filter can do, and the columns that a data set names for its common questions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, cast
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl

from export_pipeline.errors import ConfigError
from export_pipeline.options import Options

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from export_pipeline.filters.tree import And, AnyFilter, Not, Or


class Roles(Options):
    """Which column of a data set is its time, agent, command type and status."""

    time: str | None = None
    """The column that `time_range` is about."""
    agent: str | None = None
    """The column that `agent_ids` is about."""
    command_type: str | None = None
    """The column that `command_types` is about."""
    status: str | None = None
    """The column that `status` is about."""


class Bounds(NamedTuple):
    """Two clauses around a filter: `upper` selects at least its rows, `lower` at most. None: all rows; no row."""

    upper: ColumnElement[bool] | None
    lower: ColumnElement[bool] | None


@dataclass(frozen=True)
class Pushdown:
    """Where clauses go: the columns by name, their types, the export's zone, and the database's dialect."""

    columns: Mapping[str, ColumnElement[object]]
    schema: pl.Schema
    zone: ZoneInfo
    dialect: str


class Filter(Options):
    """A question about a row. Filters compose: ``status("failed") & ~command_types("scan")``.

    What is unknown (a comparison with a missing value, or with NaN, which counts as missing) is false, so ``not`` of it
    is true.
    """

    def __and__(self, other: Filter) -> And:
        from export_pipeline.filters.tree import And

        return And.model_validate({"filters": [*_parts(And, self), *_parts(And, other)]})

    def __or__(self, other: Filter) -> Or:
        from export_pipeline.filters.tree import Or

        return Or.model_validate({"filters": [*_parts(Or, self), *_parts(Or, other)]})

    def __invert__(self) -> Not:
        from export_pipeline.filters.tree import Not

        return Not.model_validate({"filter": self})

    def resolve(self, logical_time: datetime, zone: ZoneInfo) -> AnyFilter:
        """Return this filter with relative ranges made absolute; resolving again changes nothing."""
        del logical_time, zone
        return cast("AnyFilter", self)

    @abstractmethod
    def bind(self, schema: pl.Schema, roles: Roles, zone: ZoneInfo) -> AnyFilter:
        """Return this filter in terms of real columns: only and, or, not, where; binding again changes nothing.

        Raises:
            ConfigError: A column does not exist, an operator or a value does not fit its type, a role is not named.
        """

    def expression(self, schema: pl.Schema, zone: ZoneInfo) -> nw.Expr:
        """Return this bound filter as a Narwhals expression for rows of this schema."""
        del schema, zone
        raise ConfigError(f"the filter '{self.sentence()}' has to be bound to columns first")

    def bounds(self, target: Pushdown) -> Bounds:
        """Return the SQL clauses around this bound filter."""
        del target
        raise ConfigError(f"the filter '{self.sentence()}' has to be bound to columns first")

    def clause(
        self, columns: Mapping[str, ColumnElement[object]], schema: pl.Schema, zone: ZoneInfo, dialect: str
    ) -> ColumnElement[bool] | None:
        """Return an SQL clause that selects at least this bound filter's rows, None for all rows.

        Args:
            columns: The columns that may be asked, by name; a column that is not in it is not asked. A column whose
                values are changed after reading (a type override, a cast) must not be in it.
            schema: The types that the columns have once read.
            zone: The export's zone.
            dialect: ``duckdb`` or ``sqlite``; for any other nothing is pushed down.
        """
        return self.bounds(Pushdown(columns, schema, zone, dialect)).upper

    @abstractmethod
    def sentence(self) -> str:
        """Return this filter in English."""

    @abstractmethod
    def columns(self) -> set[str]:
        """Return the names of the columns that this filter reads; roles count once they are bound."""


def _parts(kind: type[Filter], given: Filter) -> list[Filter]:
    """Return the parts of a filter that is an `and` within an `and` (an `or` within an `or`), else the filter."""
    return list(getattr(given, "filters")) if isinstance(given, kind) else [given]  # noqa: B009
