"""Sorting columns: a file may say that its rows are sorted, and readers then rely on it; so it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import polars as pl

from export_pipeline.errors import FormatError
from export_pipeline.options import Options


class SortedBy(Options):
    """A column by which the rows are sorted."""

    tag: ClassVar[str] = "sorted_by"
    short: ClassVar[str | None] = "column"

    column: str
    """The column, as it is called in the file."""
    descending: bool = False
    """Whether the largest value comes first."""
    nulls_first: bool = False
    """Whether empty values come before all others."""


class SortCheck:
    """Looks whether rows that come in order are sorted; NaN counts as larger than every number."""

    def __init__(self, by: Sequence[SortedBy]) -> None:
        self._by, self._last, self._rows = by, pl.DataFrame(), 0

    def add(self, frame: pl.DataFrame) -> None:
        """Look at the next rows; raises FormatError that names the first row out of place."""
        if not self._by or not frame.height:
            return
        names = [by.column for by in self._by]
        # Readers know a category as its text.
        keys = frame.select(pl.col(name).cast(pl.String) if _is_category(frame, name) else name for name in names)
        both = pl.concat([self._last, keys]) if self._last.height else keys
        wrong = both.select(self._greater()).to_series()
        if wrong.any():
            row = self._rows - self._last.height + (wrong.arg_max() or 0) + 1
            raise FormatError(
                f"row {row:,} is not in the order of sorting_columns ({', '.join(names)})",
                cure="Sort the export by these columns (sort:), or leave sorting_columns out.",
            )
        self._rows += frame.height
        self._last = keys.tail(1)

    def _greater(self) -> pl.Expr:
        """Return whether the row before stands behind this one."""
        found: pl.Expr = pl.lit(value=False)
        for by in reversed(self._by):
            now, before = pl.col(by.column), pl.col(by.column).shift(1)
            larger = (before < now) if by.descending else (before > now)
            nulls = (before.is_not_null() & now.is_null()) if by.nulls_first else (before.is_null() & now.is_not_null())
            found = pl.coalesce(larger, nulls) | (before.eq_missing(now) & found)
        return (pl.int_range(pl.len()) > 0) & found


def _is_category(frame: pl.DataFrame, name: str) -> bool:
    return isinstance(frame.schema[name], (pl.Categorical, pl.Enum))


def sorting(schema: Any, by: Sequence[SortedBy]) -> list[Any] | None:
    """Return Arrow's form of them for a Parquet schema; None for none."""
    import pyarrow.parquet as arrow

    if not by:
        return None
    # By their own names: the field `b` of a struct `a` has the path of a column `a.b`.
    columns = {leaf.name: n for n, leaf in enumerate(map(schema.column, range(len(schema)))) if leaf.name == leaf.path}
    return [arrow.SortingColumn(columns[s.column], s.descending, s.nulls_first) for s in by]
