"""Measures: one class each, with the types it fits, the type it gives, its expression and its words."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

import narwhals as nw
import polars as pl
from pydantic import Field, field_validator

from export_pipeline.aggregations.base import OfColumn, Simple
from export_pipeline.aggregations.edges import First, Last
from export_pipeline.aggregations.kinds import FLAT, NUMBERS, ORDERED, Family, kind_of, settle
from export_pipeline.options import OneOf

MEASURED = NUMBERS | {Family.BOOLEAN, Family.DURATION}
"""Families that can be added up; true counts as 1."""
SCALED = NUMBERS | {Family.DURATION}
"""Families that have values between two values."""


class Count(Simple):
    """Number of rows; with a column, of its values that are not null."""

    tag: ClassVar[str] = "count"
    gives: ClassVar[pl.DataType | None] = pl.Int64()

    field: str | None = None
    """Column whose values are counted; rows where it is not given."""

    def columns(self) -> set[str]:
        """Return the columns it reads."""
        return set() if self.field is None else {self.field}

    def check(self, schema: pl.Schema, place: str) -> pl.DataType:
        """Return Int64; ConfigError names an unknown column."""
        return self.result(pl.Null() if self.field is None else kind_of(schema, self.field, place))

    def expression(self, value: nw.Expr, kind: pl.DataType) -> nw.Expr:
        """Count the values that are not null."""
        return settle(value, kind).count().cast(nw.Int64())

    def combined(self, results: nw.Expr) -> nw.Expr | None:
        """Add the counts of groups."""
        return results.sum()

    def sentence(self) -> str:
        """Return the measure in English."""
        return "the number of rows" if self.field is None else f"the number of values in {self.field}"


class Distinct(OfColumn):
    """Number of different values; null is none of them."""

    tag: ClassVar[str] = "distinct"
    gives: ClassVar[pl.DataType | None] = pl.Int64()
    fits: ClassVar[frozenset[Family]] = FLAT
    words: ClassVar[str] = "number of different values in"

    def expression(self, value: nw.Expr, kind: pl.DataType) -> nw.Expr:
        """Count the different values, less one where null is among them."""
        value = settle(value, kind)
        return value.n_unique().cast(nw.Int64()) - value.is_null().any().cast(nw.Int64())


class Sum(OfColumn):
    """Total of the values, 0 where there is none; of booleans the number that are true."""

    tag: ClassVar[str] = "sum"
    fits: ClassVar[frozenset[Family]] = MEASURED
    words: ClassVar[str] = "sum of"

    wide: bool = False
    """Whether a total of whole numbers is a decimal of 38 digits; else it is Int64, and the export fails past that."""

    def result(self, kind: pl.DataType) -> pl.DataType:
        """Return Int64 or Decimal(38, 0) for whole numbers, Float64, Decimal(38, scale) or the type of the duration."""
        if isinstance(kind, pl.Decimal):
            return pl.Decimal(38, kind.scale)
        if isinstance(kind, pl.Duration):
            return kind
        if kind.is_float():
            return pl.Float64()
        return pl.Decimal(38, 0) if self.wide else pl.Int64()

    def expression(self, value: nw.Expr, kind: pl.DataType) -> nw.Expr:
        """Add in a type that cannot wrap: Int128 for whole numbers and durations, Float64 for all floats."""
        value = settle(value, kind)
        if isinstance(kind, pl.Decimal):
            return value.sum()
        if kind.is_float():
            return value.cast(nw.Float64()).sum()
        if isinstance(kind, pl.Duration):
            value = value.cast(nw.Int64())
        return value.cast(nw.Int128()).sum()

    def combined(self, results: nw.Expr) -> nw.Expr | None:
        """Add the sums of groups."""
        return results.sum()


class _Scaled(OfColumn):
    """A measure that is Float64 for numbers, and a duration for durations."""

    def result(self, kind: pl.DataType) -> pl.DataType:
        """Return Float64, or the type of the duration."""
        return kind if isinstance(kind, pl.Duration) else pl.Float64()

    def expression(self, value: nw.Expr, kind: pl.DataType) -> nw.Expr:
        """Aggregate the values as floats, durations as they are."""
        value = settle(value, kind)
        return self.over(value if isinstance(kind, pl.Duration) else value.cast(nw.Float64()))

    @abstractmethod
    def over(self, value: nw.Expr) -> nw.Expr:
        """Aggregate floats without NaN, or durations."""


class Avg(_Scaled):
    """Average of the values; of booleans the share that are true."""

    tag: ClassVar[str] = "avg"
    fits: ClassVar[frozenset[Family]] = MEASURED
    words: ClassVar[str] = "average of"

    def over(self, value: nw.Expr) -> nw.Expr:
        """Aggregate floats without NaN, or durations."""
        return value.mean()


class Std(_Scaled):
    """Standard deviation of the values as a sample (n - 1); null for fewer than two."""

    tag: ClassVar[str] = "std"
    fits: ClassVar[frozenset[Family]] = NUMBERS
    words: ClassVar[str] = "standard deviation of"

    def over(self, value: nw.Expr) -> nw.Expr:
        """Aggregate floats without NaN."""
        return value.std(ddof=1)


class Median(_Scaled):
    """Middle of the values: percentile 50."""

    tag: ClassVar[str] = "median"
    fits: ClassVar[frozenset[Family]] = SCALED
    words: ClassVar[str] = "median of"

    def over(self, value: nw.Expr) -> nw.Expr:
        """Aggregate floats without NaN, or durations."""
        return value.quantile(0.5, interpolation="linear")


class Percentile(_Scaled):
    """Value below which a share of the values lies, linear between the two nearest."""

    tag: ClassVar[str] = "percentile"
    short: ClassVar[str | None] = None
    fits: ClassVar[frozenset[Family]] = SCALED

    p: float = Field(ge=0, le=100, allow_inf_nan=False)
    """Share in percent: 50 is the median, 95 the value that 95 % of the values do not exceed."""

    @field_validator("p")
    @classmethod
    def _percent(cls, p: float) -> float:
        if 0 < p < 1:
            raise ValueError(f"{p:g} is taken for a share, but p is in percent: write {p * 100:g}")
        return p

    def over(self, value: nw.Expr) -> nw.Expr:
        """Aggregate floats without NaN, or durations."""
        return value.quantile(self.p / 100, interpolation="linear")

    def sentence(self) -> str:
        """Return the measure in English."""
        return f"percentile {self.p:g} of {self.field}"


class Min(OfColumn):
    """Smallest value; of texts the first by code point, of booleans false."""

    tag: ClassVar[str] = "min"
    fits: ClassVar[frozenset[Family]] = ORDERED
    words: ClassVar[str] = "smallest"

    def expression(self, value: nw.Expr, kind: pl.DataType) -> nw.Expr:
        """Take the smallest."""
        return settle(value, kind).min()

    def combined(self, results: nw.Expr) -> nw.Expr | None:
        """Take the smallest of groups."""
        return results.min()


class Max(OfColumn):
    """Greatest value; of texts the last by code point, of booleans true."""

    tag: ClassVar[str] = "max"
    fits: ClassVar[frozenset[Family]] = ORDERED
    words: ClassVar[str] = "greatest"

    def expression(self, value: nw.Expr, kind: pl.DataType) -> nw.Expr:
        """Take the greatest."""
        return settle(value, kind).max()

    def combined(self, results: nw.Expr) -> nw.Expr | None:
        """Take the greatest of groups."""
        return results.max()


AnyMeasure = Annotated[
    Count | Distinct | Sum | Avg | Min | Max | Percentile | Median | Std | First | Last, OneOf("measure")
]

FUNCTIONS: tuple[type[Simple], ...] = (Count, Distinct, Sum, Avg, Min, Max, Median, Std)
"""Measures of one column alone: what a pivot can fill its cells with."""
