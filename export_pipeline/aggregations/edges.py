"""First and last: measures that need an order of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import narwhals as nw
import polars as pl

from export_pipeline.aggregations.base import Measure
from export_pipeline.aggregations.kinds import ORDERED, kind_of, settle, settled


class Edge(Measure):
    """The value at one end of an order of rows."""

    field: str
    """Column whose value is taken; rows where it is null do not count."""
    order_by: str | None = None
    """Column that says which row comes first; rows where it is null do not count. The source's order if not given."""

    def check(self, schema: pl.Schema, place: str) -> pl.DataType:
        """Return the type of its result; ConfigError names a column that is unknown or does not fit."""
        if self.order_by is not None:
            kind_of(schema, self.order_by, f"{place} order_by", ORDERED)
        return settled(kind_of(schema, self.field, place))

    def columns(self) -> set[str]:
        """Return the columns it reads."""
        return {self.field} | ({self.order_by} if self.order_by is not None else set())

    def parts(self, schema: Mapping[str, pl.DataType]) -> tuple[nw.Expr, nw.Expr, nw.Expr | None]:
        """Return per row: whether it counts, the value (null where not), and what orders it (None: only the source)."""
        value = settle(nw.col(self.field), schema[self.field])
        if self.order_by is None:
            return ~value.is_null(), value, None
        order = settle(nw.col(self.order_by), schema[self.order_by])
        counts = ~value.is_null() & ~order.is_null()
        return counts, nw.when(counts).then(value), order

    def sentence(self) -> str:
        """Return the measure in English."""
        by = "the source's order" if self.order_by is None else f"the order of {self.order_by}"
        return f"the {self.tag} {self.field} in {by}"


class First(Edge):
    """First value in an order; of rows that are equal in it, that of the earlier row of the source."""

    tag: ClassVar[str] = "first"


class Last(Edge):
    """Last value in an order; of rows that are equal in it, that of the later row of the source."""

    tag: ClassVar[str] = "last"
