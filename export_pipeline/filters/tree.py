"""The filters that join others, and `AnyFilter`: the choice of all of them.

::

    filter:
      and:
        - time_range: {last: 7 days}
        - status: [failed, timeout]
        - not: {command_types: scan}
        - where: {field: duration_ms, operator: gt, value: 250}
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar, cast
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl
from pydantic import AfterValidator

from export_pipeline.filters.base import Bounds, Filter, Pushdown, Roles
from export_pipeline.filters.roles import AgentIds, CommandTypes, Status
from export_pipeline.filters.time_range import TimeRange
from export_pipeline.filters.values import refuse
from export_pipeline.filters.where import Where
from export_pipeline.options import OneOf


def _filled(parts: list[Filter]) -> list[Filter]:
    if not parts:
        raise refuse("an empty list of filters; leave it out to keep all rows")
    return parts


class _Several(Filter):
    """Filters joined by a word."""

    whole: ClassVar[str | None] = "filters"
    word: ClassVar[str]

    filters: Annotated[list[AnyFilter], AfterValidator(_filled)]
    """The filters that are joined."""

    def resolve(self, logical_time: datetime, zone: ZoneInfo) -> AnyFilter:
        """Return this filter with absolute times."""
        return self._joined(part.resolve(logical_time, zone) for part in self.filters)

    def bind(self, schema: pl.Schema, roles: Roles, zone: ZoneInfo) -> AnyFilter:
        """Return this filter in terms of real columns."""
        return self._joined(part.bind(schema, roles, zone) for part in self.filters)

    def _joined(self, parts: Iterable[Filter]) -> AnyFilter:
        return cast("AnyFilter", type(self).model_validate({"filters": list(parts)}))

    def sentence(self) -> str:
        """Return this filter in English."""
        return f" {self.word} ".join(
            f"({part.sentence()})" if isinstance(part, _Several) and len(part.filters) > 1 else part.sentence()
            for part in self.filters
        )

    def columns(self) -> set[str]:
        """Return the columns of its parts."""
        return set().union(*(part.columns() for part in self.filters))


class And(_Several):
    """Keeps the rows that every one of these filters keeps."""

    tag: ClassVar[str] = "and"
    word: ClassVar[str] = "and"

    def expression(self, schema: pl.Schema, zone: ZoneInfo) -> nw.Expr:
        """Return this filter as a Narwhals expression."""
        return functools.reduce(operator.and_, (part.expression(schema, zone) for part in self.filters))

    def bounds(self, target: Pushdown) -> Bounds:
        """Return the SQL clauses around this filter."""
        from export_pipeline.filters.pushdown import all_of

        return all_of([part.bounds(target) for part in self.filters])


class Or(_Several):
    """Keeps the rows that at least one of these filters keeps."""

    tag: ClassVar[str] = "or"
    word: ClassVar[str] = "or"

    def expression(self, schema: pl.Schema, zone: ZoneInfo) -> nw.Expr:
        """Return this filter as a Narwhals expression."""
        return functools.reduce(operator.or_, (part.expression(schema, zone) for part in self.filters))

    def bounds(self, target: Pushdown) -> Bounds:
        """Return the SQL clauses around this filter."""
        from export_pipeline.filters.pushdown import any_of

        return any_of([part.bounds(target) for part in self.filters])


class Not(Filter):
    """Keeps the rows that this filter does not keep, those with missing values among them."""

    tag: ClassVar[str] = "not"
    whole: ClassVar[str | None] = "filter"

    filter: AnyFilter
    """The filter that is turned around."""

    def resolve(self, logical_time: datetime, zone: ZoneInfo) -> Not:
        """Return this filter with absolute times."""
        return Not.model_validate({"filter": self.filter.resolve(logical_time, zone)})

    def bind(self, schema: pl.Schema, roles: Roles, zone: ZoneInfo) -> Not:
        """Return this filter in terms of real columns."""
        return Not.model_validate({"filter": self.filter.bind(schema, roles, zone)})

    def expression(self, schema: pl.Schema, zone: ZoneInfo) -> nw.Expr:
        """Return this filter as a Narwhals expression."""
        return ~self.filter.expression(schema, zone).fill_null(False)

    def bounds(self, target: Pushdown) -> Bounds:
        """Return the SQL clauses around this filter."""
        from export_pipeline.filters.pushdown import none_of

        return none_of(self.filter.bounds(target))

    def sentence(self) -> str:
        """Return this filter in English."""
        return f"not ({self.filter.sentence()})"

    def columns(self) -> set[str]:
        """Return the columns of its parts."""
        return self.filter.columns()


AnyFilter = Annotated[
    And | Or | Not | TimeRange | AgentIds | CommandTypes | Status | Where,
    OneOf("filter"),
]
"""Every filter; in a file written with exactly one of their tags."""

for _model in (_Several, And, Or, Not):
    _model.model_rebuild()
