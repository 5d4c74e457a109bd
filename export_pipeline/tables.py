"""Rows of their own for a part of a file: a sheet of a workbook, an entity of a document."""

from __future__ import annotations

from pydantic import Field

from export_pipeline.aggregations import Aggregate
from export_pipeline.columns import Columns, Pivot
from export_pipeline.filters import AnyFilter
from export_pipeline.options import Options
from export_pipeline.query import Filters, Query, Sorts


class Table(Options):
    """Rows of a source, kept, shaped and sorted for one part of a file; the export's own rows are not touched."""

    source: str | None = None
    """Which of the export's `sources`; else the first one, of which the export's `filter` decides what is there."""
    filter: Filters = None
    """Which rows to keep; a list means all of its filters."""
    aggregate: Aggregate | None = None
    """Groups and measures instead of single rows."""
    pivot: Pivot | None = None
    """Values of a column become columns."""
    sort: Sorts = Field(default_factory=list)
    """Order of the rows; `-name` is descending."""
    limit: int | None = Field(None, ge=1)
    """At most this many rows, after sorting."""
    columns: Columns = Field(default_factory=Columns)
    """Which columns, under which names, in which order."""

    def query(self, timezone: str, kept: AnyFilter | None) -> Query:
        """Return what happens to the rows; `kept` is the filter that has been put on all rows of the source."""
        both = [part for part in (kept, self.filter) if part is not None]
        return Query(
            timezone=timezone,
            filter=both[0] & both[1] if len(both) == 2 else next(iter(both), None),
            aggregate=self.aggregate,
            pivot=self.pivot,
            sort=self.sort,
            limit=self.limit,
            columns=self.columns,
        )
