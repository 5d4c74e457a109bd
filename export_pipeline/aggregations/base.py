"""What every measure can do, and the base of those that read one column."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import narwhals as nw
import polars as pl

from export_pipeline.aggregations.kinds import Family, kind_of, settled
from export_pipeline.options import Options


class Measure(Options):
    """One value for each group of rows."""

    short: ClassVar[str | None] = "field"
    fits: ClassVar[frozenset[Family]] = frozenset(Family)
    """Types it can be made of."""

    @abstractmethod
    def columns(self) -> set[str]:
        """Return the columns it reads."""

    @abstractmethod
    def check(self, schema: pl.Schema, place: str) -> pl.DataType:
        """Return the type of its result; ConfigError names a column that is unknown or does not fit."""

    @abstractmethod
    def sentence(self) -> str:
        """Return the measure in English, such as ``the sum of cost_usd``."""


class Simple(Measure):
    """A measure of one value per row, that any expression can take the place of."""

    gives: ClassVar[pl.DataType | None] = None
    """Type of every result; that of the value where it is None."""

    def result(self, kind: pl.DataType) -> pl.DataType:
        """Return the type of its result over a value of this type."""
        return settled(kind) if self.gives is None else self.gives

    @abstractmethod
    def expression(self, value: nw.Expr, kind: pl.DataType) -> nw.Expr:
        """Return the aggregation of a value of this type; sums of whole numbers are Int128, to be narrowed after."""

    def combined(self, results: nw.Expr) -> nw.Expr | None:  # noqa: ARG002
        """Return the aggregation that makes the result of all rows from those of their groups, before these are
        narrowed; None where it takes the rows."""
        return None


class OfColumn(Simple):
    """A measure of a column; it keeps the type unless it says otherwise."""

    words: ClassVar[str] = ""
    """What stands before the column in the sentence."""

    field: str
    """Column that is measured; its nulls and NaNs do not count."""

    def columns(self) -> set[str]:
        """Return the columns it reads."""
        return {self.field}

    def check(self, schema: pl.Schema, place: str) -> pl.DataType:
        """Return the type of its result; ConfigError names a column that is unknown or does not fit."""
        return self.result(kind_of(schema, self.field, place, self.fits))

    def sentence(self) -> str:
        """Return the measure in English."""
        return f"the {self.words} {self.field}"
