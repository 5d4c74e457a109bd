"""What happens to rows between source and file, as data: kept, grouped, pivoted, sorted, limited, their columns chosen.

The parts apply in this order, each to the result of the one before. A query is small and declarative: it can be stored,
handed on and picked up by any process. Rows that are not grouped stream; groups stream too, and need memory for the
groups only (percentiles, counts of different values and sorts of single rows keep what they look at).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, ClassVar

import narwhals as nw
import polars as pl
from pydantic import BeforeValidator, Field, model_validator

from export_pipeline import times
from export_pipeline.aggregations import Aggregate
from export_pipeline.aggregations.kinds import ORDERED, kind_of, settle_key, settled, spare
from export_pipeline.columns import TOTAL, Columns, Pivot
from export_pipeline.engines import polars as engine
from export_pipeline.errors import ConfigError
from export_pipeline.filters import AnyFilter, Roles
from export_pipeline.lists import listed
from export_pipeline.options import SHORT, Options
from export_pipeline.schemas import refuse_patterns


def all_of(value: Any) -> Any:
    """A list of filters means all of them."""
    return {"and": value} if isinstance(value, (list, tuple)) else value


Filters = Annotated[
    AnyFilter | None,
    BeforeValidator(all_of, json_schema_input_type=AnyFilter | Annotated[list[AnyFilter], SHORT] | None),
]


class Sort(Options):
    """One key of the order of the rows; ``-name`` is descending. Nulls (and NaN) come last both ways."""

    short: ClassVar[str | None] = "field"

    field: str
    """Column to sort by, with its name before `columns` renames it."""
    descending: bool = False
    """Whether the greatest comes first."""

    @model_validator(mode="before")
    @classmethod
    def _minus(cls, value: Any) -> Any:
        """Read ``-name``; in the long form a name may begin with a minus."""
        if isinstance(value, str) and value.startswith("-"):
            return {"field": value[1:], "descending": True}
        return value


Sorts = Annotated[list[Sort], BeforeValidator(listed, json_schema_input_type=str | list[Sort])]
"""`-cost`, or a list of such: what to sort by."""


class Query(Options):
    """What happens to the rows of a source before they are written."""

    timezone: times.ZoneName = "UTC"
    """IANA time zone of time buckets and of local times in filters."""
    filter: AnyFilter | None = None
    """Which rows to keep."""
    aggregate: Aggregate | None = None
    """Groups and measures instead of single rows."""
    pivot: Pivot | None = None
    """Values of a column become columns."""
    sort: list[Sort] = Field(default_factory=list)
    """Order of the rows. Groups that are equal in it follow their keys, rows the source."""
    limit: int | None = Field(None, ge=1)
    """At most this many rows, after sorting."""
    columns: Columns = Field(default_factory=Columns)
    """Which columns, under which names, in which order."""

    @property
    def streams(self) -> bool:
        """Whether rows pass one by one: nothing is computed from several, and running it twice gives the same."""
        return self.aggregate is None and self.pivot is None and not self.sort

    def resolve(self, logical_time: datetime) -> Query:
        """Return this query with relative time ranges made absolute; resolving again changes nothing."""
        zone = times.zone(self.timezone)
        changes: dict[str, Options] = {}
        if self.filter is not None:
            changes["filter"] = self.filter.resolve(logical_time, zone)
        if self.aggregate is not None and self.aggregate.having is not None:
            having = self.aggregate.having.resolve(logical_time, zone)
            changes["aggregate"] = self.aggregate.replace(having=having)
        return self.replace(**changes) if changes else self

    def bind(self, schema: pl.Schema, roles: Roles) -> Query:
        """Return this query with filters in terms of real columns; binding again changes nothing.

        Raises:
            ConfigError: A filter does not fit the columns.
        """
        zone = times.zone(self.timezone)
        changes: dict[str, Options] = {}
        if self.filter is not None:
            changes["filter"] = self.filter.bind(schema, roles, zone)
        if self.aggregate is not None and self.aggregate.having is not None:
            groups = self.aggregate.check(schema, self.timezone)
            having = self.aggregate.having.bind(groups, Roles(), zone)
            changes["aggregate"] = self.aggregate.replace(having=having)
        return self.replace(**changes) if changes else self

    def check(self, schema: pl.Schema) -> pl.Schema:
        """Return the columns and types of the result, from those of the source alone.

        The columns that a pivot makes of values are not known yet: one stands for all of a kind (``runs by status``),
        and names in `sort` and `columns` that may be theirs are checked when the query is applied.

        Raises:
            ConfigError: A column is unknown, a type does not fit, or names collide.
        """
        self.bind(schema, Roles())
        if self.aggregate is not None:
            schema = self.aggregate.check(schema, self.timezone)
            refuse_patterns(schema, "the aggregation")
        if self.pivot is not None:
            schema = self.pivot.check(schema)
            self._check_sort(schema, [key for key in self.sort if key.field in self.pivot.rows])
            self.columns.check_later(self.pivot.rows)
            kept = [name for name in schema if name not in self.columns.exclude]
            made = {self.columns.rename.get(name, name): schema[name] for name in kept}
        else:
            self._check_sort(schema, self.sort)
            made = {new: schema[old] for old, new in self.columns.check(schema.names()).items()}
        refuse_patterns(made, "the result")
        return self.columns.types(made)

    def needs(self, schema: pl.Schema) -> list[str]:
        """Return the source's columns that the query reads, in the source's order; always at least one."""
        if self.aggregate is not None:
            read = self.aggregate.columns()
        elif self.pivot is not None:
            read = self.pivot.needs()
        else:
            read = {*self.columns.pick(schema.names()), *(key.field for key in self.sort)}
        if self.filter is not None:
            read |= self.filter.columns()
        # Rows without a column cannot be counted.
        return [name for name in schema if name in read] or schema.names()[:1]

    def apply(self, rows: pl.LazyFrame, *, stop: threading.Event | None = None) -> pl.LazyFrame:
        """Return the result of the query over rows, as a plan that nothing has run yet.

        A pivot is the exception: which columns it has is in the rows, so it reads them once here, and can be stopped.

        Args:
            rows: Rows with at least the columns that the query `needs`, in the source's order.
            stop: Set when the run is cancelled.

        Raises:
            ConfigError: As `check`, and where a pivot would have too many columns.
        """
        rows = self._filtered(rows, self.filter)
        keys: list[str] = []
        if self.aggregate is not None:
            rows, keys = self._grouped(rows, self.aggregate), self.aggregate.keys
        if self.pivot is not None:
            return self._pivoted(rows, self.pivot, stop)
        return self._chosen(self._sorted(rows, keys))

    def _filtered(self, rows: pl.LazyFrame, keep: AnyFilter | None) -> pl.LazyFrame:
        if keep is None:
            return rows
        zone, schema = times.zone(self.timezone), rows.collect_schema()
        bound = keep.bind(schema, Roles(), zone)
        return nw.from_native(rows).filter(bound.expression(schema, zone)).to_native()

    def _grouped(self, rows: pl.LazyFrame, aggregate: Aggregate) -> pl.LazyFrame:
        schema = rows.collect_schema()
        kinds = aggregate.check(schema, self.timezone)
        bucket = spare(schema.names(), "bucket")
        number = spare([*schema.names(), bucket], "row")
        if aggregate.time_bucket is not None:
            step = aggregate.time_bucket
            rows = engine.bucketed(rows, step.field, step.every.polars, self.timezone, bucket)
        if aggregate.ordered:
            rows = rows.with_row_index(number)
        groups = aggregate.group(nw.from_native(rows), schema, bucket=bucket, number=number)
        return self._filtered(engine.narrowed(groups.to_native(), kinds), aggregate.having)

    def _pivoted(self, rows: pl.LazyFrame, pivot: Pivot, stop: threading.Event | None) -> pl.LazyFrame:
        if self.aggregate is not None:
            # Two passes follow: groups are few, and are not made twice.
            groups = engine.sorted_by(rows, [(key, False) for key in self.aggregate.keys])
            rows = engine.collected(groups, stop).lazy()
        given = rows.collect_schema()
        pivot.check(given)
        keys = [*pivot.rows, *pivot.columns]
        settled_keys = (settle_key(nw.col(key), given[key]).alias(key) for key in keys)
        rows = nw.from_native(rows).with_columns(*settled_keys).to_native()
        schema = pl.Schema(dict(given) | {key: settled(given[key]) for key in keys})
        number = spare(schema.names(), "number")
        places = rows.select(pivot.columns).with_row_index(number)
        found = engine.collected(engine.distinct(places, pivot.columns, number, ordered=pivot.sorted), stop)
        layout = pivot.layout(found)
        kinds = {key: schema[key] for key in pivot.rows} | pivot.kinds(layout, schema)
        numbered = nw.from_native(engine.labelled(rows, found.with_row_index(number), pivot.columns))
        cells = pivot.cells(layout, schema, number)
        count = spare(layout.names, "count")
        whole = numbered.select(*cells, nw.len().alias(count))  # of all rows, with how many there are
        made = numbered.group_by(*pivot.rows).agg(*cells) if pivot.rows else whole.filter(nw.col(count) > 0).drop(count)
        body = self._sorted(engine.narrowed(made.to_native(), kinds), pivot.rows)
        if pivot.total_row:
            if (combined := pivot.combined(layout)) is not None:
                whole = made.select(*combined, nw.len().alias(count))
            total = engine.narrowed(whole.to_native(), pivot.kinds(layout, schema))
            body = engine.with_total(body, total, label=TOTAL, count=count)
        return self._chosen(body)

    def _sorted(self, rows: pl.LazyFrame, keys: Iterable[str]) -> pl.LazyFrame:
        """Sort and limit; `keys` make the order of groups total."""
        self._check_sort(rows.collect_schema(), self.sort)
        named = [(key.field, key.descending) for key in self.sort]
        given = {key.field for key in self.sort}
        rows = engine.sorted_by(rows, [*named, *((key, False) for key in keys if key not in given)])
        return rows if self.limit is None else rows.head(self.limit)

    def _chosen(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        names = rows.collect_schema().names()
        if self.pivot is not None:
            chosen = self.columns.check(names, made=True)
        else:
            # Of single rows, columns that are left out need not have been read.
            chosen = self.columns.pick(names) if self.aggregate is None else self.columns.check(names)
        rows = rows.select(pl.col(old).alias(new) for old, new in chosen.items())
        return rows if self.columns.timezone is None else rows.cast(self.columns.types(rows.collect_schema()))

    def _check_sort(self, schema: pl.Schema, keys: Iterable[Sort]) -> None:
        seen: set[str] = set()
        renamed = {new: old for old, new in self.columns.rename.items()}
        for key in keys:
            if key.field not in schema and key.field in renamed:
                raise ConfigError(
                    f"sort: {key.field!r} is the new name of {renamed[key.field]!r}",
                    cure=f"write {renamed[key.field]!r}",
                )
            kind_of(schema, key.field, "sort", ORDERED)
            if key.field in seen:
                raise ConfigError(f"sort: column {key.field!r} is named twice")
            seen.add(key.field)

    def sentence(self) -> str:
        """Return the query in English."""
        parts = [] if self.filter is None else [f"rows where {self.filter.sentence()}"]
        if self.aggregate is not None:
            zone = f" ({self.timezone})" if self.aggregate.time_bucket is not None else ""
            parts.append(f"{self.aggregate.sentence()}{zone}")
        if self.pivot is not None:
            parts.append(self.pivot.sentence())
        if self.sort:
            by = ", ".join(f"{key.field}{' descending' if key.descending else ''}" for key in self.sort)
            parts.append(f"sorted by {by}")
        if self.limit is not None:
            parts.append("the first row" if self.limit == 1 else f"the first {self.limit:,} rows")
        chosen = self.columns.sentence()
        if chosen:
            parts.append(chosen)
        if self.filter is None and self.aggregate is None and self.pivot is None and self.limit is None:
            parts.insert(0, "all rows")
        return "; ".join(parts)
