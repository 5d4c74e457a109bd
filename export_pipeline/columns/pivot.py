"""Pivot: values of a column become columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import narwhals as nw
import polars as pl
from pydantic import Field, field_validator, model_validator

from export_pipeline.aggregations.base import Simple
from export_pipeline.aggregations.kinds import FLAT, kind_of, settled
from export_pipeline.aggregations.measures import FUNCTIONS, Count, Percentile
from export_pipeline.columns.headings import headings, unique
from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.lists import Names
from export_pipeline.options import Options
from export_pipeline.schemas import is_pattern

TOTAL = "Total"
"""Name of the column, and label of the row, of totals."""

_FUNCTIONS = {measure.tag: measure for measure in FUNCTIONS}
_PERCENTILE = re.compile(r"p(\d{1,3}(?:\.\d+)?)")


@dataclass(frozen=True)
class Layout:
    """The columns of a pivoted result, once the values that become columns are known."""

    keys: list[str]
    """Key columns of the rows."""
    cells: list[tuple[str, str | None, int | None]]
    """Name, column of values (None: rows) and number of the combination of values (None: all, a total)."""

    @property
    def names(self) -> list[str]:
        """All columns, in order."""
        return [*self.keys, *(name for name, _, _ in self.cells)]


class Pivot(Options):
    """Values of a column become columns: one row for each combination of `rows`, one cell for each of `columns`.

    A cell without values is empty; counts are 0 there. Rows come in the order of their keys, nulls last. Without `rows`
    there is one row, of everything; of no rows none, and a column that stands for those that there are none of.
    """

    rows: Names = Field(default_factory=list)
    """Columns whose values make the rows; where none is given, there is one row."""
    columns: Names = Field(min_length=1)
    """Columns whose values become columns; null becomes `(null)`, an empty text `(empty)`, `*` becomes `(*)`."""
    values: Names = Field(default_factory=list)
    """Columns that fill the cells; where none is given, cells count rows."""
    function: str = ""
    """How the values of a cell become one: `sum` (default), `count`, `distinct`, `avg`, `min`, `max`, `median`, `std`,
    or a percentile such as `p95`."""
    totals: bool | Literal["row", "column"] = False
    """Whether there is a last row, a last column, or (true) both, of all rows by the same function: the total of an
    average is the average of everything, also of what `limit` leaves out. The first key column becomes text for the
    row's label, `Total`."""
    max_columns: int = Field(200, ge=1, le=16_000)
    """Most columns that values may become, totals not counted; more are refused."""
    sorted: bool = True
    """Whether the columns come in the order of their values, nulls last; else in that of their first appearance."""

    @field_validator("function")
    @classmethod
    def _function(cls, name: str) -> str:
        percentile = _PERCENTILE.fullmatch(name)
        if name in ("first", "last"):
            raise ValueError(f"'{name}' depends on the order of rows: aggregate with it first, then pivot with 'max'")
        if name and name not in _FUNCTIONS and (percentile is None or float(percentile[1]) > 100):
            raise ValueError(f"unknown function {name!r} ({did_you_mean(name, [*_FUNCTIONS, 'p95'])})")
        return name

    @model_validator(mode="after")
    def _names(self) -> Pivot:
        keys = [*self.rows, *self.columns]
        for name in keys:
            if keys.count(name) > 1:
                raise ValueError(f"{name!r} is named twice in rows and columns")
        for name in self.values:
            if self.values.count(name) > 1:
                raise ValueError(f"values names {name!r} twice")
        if self.total_row and not self.rows:
            raise ValueError(
                "totals: a pivot without rows has one row, of everything; say totals: column, or name rows"
            )
        if not self.values and self.function not in ("", "count"):
            raise ValueError(f"{self.function} of what? name the values, or leave the function out to count rows")
        return self

    @property
    def total_row(self) -> bool:
        """Whether there is a last row of totals."""
        return self.totals in (True, "row")

    @property
    def total_column(self) -> bool:
        """Whether there are last columns of totals."""
        return self.totals in (True, "column")

    def measure(self, value: str | None) -> Simple:
        """Return the measure that fills the cells of a column of values, None for counted rows."""
        if value is None:
            return Count()
        percentile = _PERCENTILE.fullmatch(self.function)
        if percentile is not None:
            return Percentile(field=value, p=float(percentile[1]))
        return _FUNCTIONS[self.function or "sum"].model_validate({"field": value})

    @property
    def _measured(self) -> list[str | None]:
        return [*self.values] or [None]

    def needs(self) -> set[str]:
        """Return the columns it reads."""
        return {*self.rows, *self.columns, *self.values}

    def check(self, schema: pl.Schema) -> pl.Schema:
        """Return the row keys, and for each value one column that stands for all those it becomes.

        Raises:
            ConfigError: A column is unknown, or its type does not fit.
        """
        kinds = {key: settled(kind_of(schema, key, "pivot.rows", FLAT)) for key in self.rows}
        for key in self.columns:
            kind_of(schema, key, "pivot.columns", FLAT)
        if self.total_row:
            kinds[self.rows[0]] = pl.String()
        for value in self._measured:
            kind = self.measure(value).check(schema, "pivot.values")
            kinds[self._any(value)] = kind
        return pl.Schema(kinds)

    def _any(self, value: str | None) -> str:
        """Return the name of the column that stands for all those a value becomes."""
        return f"{value or 'rows'} by {', '.join(self.columns)}"

    def layout(self, found: pl.DataFrame) -> Layout:
        """Return the columns that these combinations of values become.

        Raises:
            ConfigError: They are more than `max_columns`.
        """
        count = len(found) * len(self._measured)
        if count > self.max_columns:
            each = f" x {len(self._measured)} values" if len(self._measured) > 1 else ""
            raise ConfigError(
                f"pivot: {', '.join(map(repr, self.columns))} has {len(found):,} different values{each}, which would"
                f" become {count:,} columns, more than max_columns ({self.max_columns:,})",
                cure="filter the rows, pivot another column, or raise max_columns",
            )
        cells: list[tuple[str, str | None, int | None]] = []
        texts = headings(found)
        for value in self._measured:
            before = f"{value}_" if len(self._measured) > 1 else ""
            cells += [(f"{before}{text}", value, number) for number, text in enumerate(texts)]
            cells += [(f"{before}{TOTAL}", value, None)] if self.total_column else []
        if not cells and not self.rows:  # a file has a column, also of no rows
            cells = [(self._any(value), value, None) for value in self._measured]
        # To the engine, `*` is every column.
        plain = [f"({name})" if is_pattern(name) else name for name, _, _ in cells]
        names = unique(plain, taken=self.rows)
        return Layout(self.rows, [(name, value, of) for name, (_, value, of) in zip(names, cells, strict=True)])

    def kinds(self, layout: Layout, schema: pl.Schema) -> dict[str, pl.DataType]:
        """Return the types of the cells."""
        return {name: self.measure(value).check(schema, "pivot.values") for name, value, _ in layout.cells}

    def cells(self, layout: Layout, schema: pl.Schema, number: str) -> Sequence[nw.Expr]:
        """Return the aggregations of the cells, over rows whose column `number` is that of their combination."""
        return [self._cell(value, of, schema, number).alias(name) for name, value, of in layout.cells]

    def _cell(self, value: str | None, of: int | None, schema: pl.Schema, number: str) -> nw.Expr:
        measure = self.measure(value)
        kind = pl.Int64() if value is None else schema[value]
        each = nw.col(number) if value is None else nw.col(value)
        if of is not None:
            each = nw.when(nw.col(number) == of).then(each)
        folded = measure.expression(each, kind)
        if measure.gives is not None:
            return folded
        # The sum of nothing is 0, but a cell without values is empty.
        return nw.when(Count().expression(each, kind) > 0).then(folded)

    def combined(self, layout: Layout) -> Sequence[nw.Expr] | None:
        """Return what makes the cells of all rows from those of the groups; None where the function takes the rows.

        Polars gives rows to two steps at once only by keeping what the slower one has not taken yet.
        """
        found: list[nw.Expr] = []
        for name, value, _ in layout.cells:
            measure, cells = self.measure(value), nw.col(name)
            folded = measure.combined(cells)
            if folded is None:
                return None
            # The sum of nothing is 0 here, too.
            found.append((folded if measure.gives is not None else nw.when(cells.count() > 0).then(folded)).alias(name))
        return found

    def sentence(self) -> str:
        """Return the pivot in English."""
        cells = " and ".join(self.measure(value).sentence() for value in self._measured)
        rows = f"for each {' and '.join(self.rows)}" if self.rows else "in one row"
        what = f"{cells} {rows}, with a column for each {' and '.join(self.columns)}"
        return f"{what}, with totals" if self.totals else what
