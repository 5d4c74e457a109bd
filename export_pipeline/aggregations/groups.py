"""Groups of rows: their keys, a step of time among them, and what is measured in each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import narwhals as nw
import polars as pl
from pydantic import Field, model_validator

from export_pipeline.aggregations.base import Simple
from export_pipeline.aggregations.edges import Edge, First
from export_pipeline.aggregations.kinds import FLAT, Family, kind_of, settle_key, settled, spare
from export_pipeline.aggregations.measures import AnyMeasure, Count
from export_pipeline.errors import ConfigError
from export_pipeline.filters import AnyFilter
from export_pipeline.lists import Names
from export_pipeline.options import Options
from export_pipeline.times import Every


class TimeBucket(Options):
    """Rows of one step of time together, in the export's zone; the column holds the first moment of the step.

    A step is cut by the clock on the wall. An hour that happens twice stays two steps; a step whose first moment a
    clock change skips begins at the change. Dates stay dates; a date and time without a zone is read as UTC.
    """

    also: ClassVar[Mapping[str, str]] = {"interval": "every"}

    field: str
    """Column of dates, or of dates with time."""
    every: Every
    """Length of a step: `minute`, `15 minutes`, `hour`, `4 hours`, `day`, `week` (from Monday), `month`, ..."""
    name: str = ""
    """Name of the resulting column; that of the field if not given."""

    @property
    def label(self) -> str:
        """The name of the resulting column."""
        return self.name or self.field

    def check(self, schema: pl.Schema, zone: str) -> pl.DataType:
        """Return the type of the column of steps; ConfigError where the field has none."""
        kind = kind_of(schema, self.field, "time_bucket", {Family.DATE, Family.DATETIME})
        if isinstance(kind, pl.Datetime):
            return pl.Datetime(kind.time_unit, zone)
        if self.every.unit in ("minute", "hour"):
            raise ConfigError(
                f"time_bucket: column {self.field!r} holds dates, which have no {self.every.unit}s",
                cure="take day or a longer step",
            )
        return kind

    def sentence(self) -> str:
        """Return the step in English."""
        return f"{self.every} of {self.field}"


class Aggregate(Options):
    """Groups and measures instead of single rows.

    The groups come out in the order of their keys, nulls last. Without keys all rows are one group, also if there are
    none.
    """

    group_by: Names = Field(default_factory=list)
    """Columns whose equal values make a group; null (and NaN) is a group of its own."""
    time_bucket: TimeBucket | None = None
    """Step of time that makes groups too: the first key, or where `group_by` has its name."""
    measures: dict[str, AnyMeasure] = Field(default_factory=dict)
    """What is measured in each group: column name -> measure."""
    having: AnyFilter | None = None
    """Which groups to keep, by the columns of the result."""

    @model_validator(mode="after")
    def _names(self) -> Aggregate:
        if not self.keys and not self.measures:
            raise ValueError("nothing is grouped and nothing is measured: name group_by, time_bucket or measures")
        for name in self.group_by:
            if self.group_by.count(name) > 1:
                raise ValueError(f"group_by names {name!r} twice")
        for name in self.measures:
            if name in self.keys:
                raise ValueError(f"{name!r} is the name of a measure and of a group: rename the measure")
            if not name:
                raise ValueError("a measure needs a name")
        return self

    @property
    def keys(self) -> list[str]:
        """The names of the key columns, in their order."""
        bucket = [] if self.time_bucket is None or self.time_bucket.label in self.group_by else [self.time_bucket.label]
        return [*bucket, *self.group_by]

    def _columns_of_keys(self) -> dict[str, str]:
        """Return key -> column it is made of, for all keys but the step of time."""
        return {key: key for key in self.keys if self.time_bucket is None or key != self.time_bucket.label}

    def columns(self) -> set[str]:
        """Return the columns it reads."""
        bucket = set() if self.time_bucket is None else {self.time_bucket.field}
        return bucket.union(self._columns_of_keys(), *(measure.columns() for measure in self.measures.values()))

    def check(self, schema: pl.Schema, zone: str) -> pl.Schema:
        """Return the columns and types of the groups, before `having`; ConfigError for what does not fit."""
        kinds: dict[str, pl.DataType] = {}
        for key in self.keys:
            if self.time_bucket is not None and key == self.time_bucket.label:
                kinds[key] = self.time_bucket.check(schema, zone)
            else:
                kinds[key] = settled(kind_of(schema, key, "group_by", FLAT))
        for name, measure in self.measures.items():
            kinds[name] = measure.check(schema, f"measure {name!r}")
        return pl.Schema(kinds)

    @property
    def ordered(self) -> bool:
        """Whether a measure asks for the order of the rows."""
        return any(isinstance(measure, Edge) for measure in self.measures.values())

    def group(
        self, rows: nw.LazyFrame[pl.LazyFrame], schema: pl.Schema, *, bucket: str, number: str
    ) -> nw.LazyFrame[pl.LazyFrame]:
        """Return the groups of rows with this schema, in no order; sums of whole numbers still in 128 bits.

        Args:
            rows: Rows with this schema, and the two columns named next.
            schema: The rows' columns and types.
            bucket: Name of the column of steps of time; not read where there is no `time_bucket`.
            number: Name of the column of the rows' places in the source; only read where `ordered`.
        """
        taken = [*schema.names(), bucket, number]
        sources: dict[str, nw.Expr] = {}
        for key in self.keys:
            name = spare([*taken, *self.keys, *self.measures], f"key {key}")
            stepped = key not in self._columns_of_keys()
            sources[name] = nw.col(bucket) if stepped else settle_key(nw.col(key), schema[key])
            taken.append(name)
        rows = rows.with_columns(*(key.alias(name) for name, key in sources.items())) if sources else rows
        folds: dict[str, nw.Expr] = {}
        edges = {name: measure for name, measure in self.measures.items() if isinstance(measure, Edge)}
        if edges:
            rows, folds = _edges(rows, schema, edges, taken, number)
        for name, measure in self.measures.items():
            if isinstance(measure, Simple):
                folds[name] = _fold(measure, schema)
        measured = [folds[name].alias(name) for name in self.measures]
        if not sources:
            return rows.select(*measured)
        grouped = rows.group_by(*sources).agg(*measured)
        return grouped.select(
            *(nw.col(source).alias(key) for source, key in zip(sources, self.keys, strict=True)),
            *(nw.col(name) for name in self.measures),
        )

    def sentence(self) -> str:
        """Return the groups and measures in English."""
        measured = [f"{measure.sentence()} as {name}" for name, measure in self.measures.items()]
        by = [
            self.time_bucket.sentence() if self.time_bucket is not None and key == self.time_bucket.label else key
            for key in self.keys
        ]
        what = ", ".join(measured) if measured else "the different values"
        text = f"{what} for each {' and '.join(by)}" if by else f"{what} of all rows"
        return text if self.having is None else f"{text}, only where {self.having.sentence()}"


def _fold(measure: Simple, schema: pl.Schema) -> nw.Expr:
    """Return the expression of a measure that needs no order."""
    if isinstance(measure, Count) and measure.field is None:
        return nw.len().cast(nw.Int64())
    (column,) = measure.columns()
    return measure.expression(nw.col(column), schema[column])


def _edges(
    rows: nw.LazyFrame[pl.LazyFrame], schema: pl.Schema, edges: Mapping[str, Edge], taken: list[str], number: str
) -> tuple[nw.LazyFrame[pl.LazyFrame], dict[str, nw.Expr]]:
    """Return rows with the columns that first and last need, and their expressions.

    They become the value at the smallest (greatest) of three columns: whether the row counts, the order, and the
    place in the source, which no two rows share. Engines compute that on the way, without sorting.
    """
    taken = list(taken)
    folds: dict[str, nw.Expr] = {}
    for name, edge in edges.items():
        counts, value, order = edge.parts(schema)
        flag, held, by = (spare([*taken, *edges], f"{part} of {name}") for part in ("counting", "value", "order"))
        taken += [flag, held, by]
        # The end that is looked for must be one that counts: false before true for first, true after false for last.
        made = [(~counts if isinstance(edge, First) else counts).alias(flag), value.alias(held)]
        rows = rows.with_columns(*made, *([] if order is None else [order.alias(by)]))
        keys = [flag, number] if order is None else [flag, by, number]
        folds[name] = nw.col(held).first(order_by=keys) if isinstance(edge, First) else nw.col(held).last(order_by=keys)
    return rows, folds
