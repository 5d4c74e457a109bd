"""How dates and times are written: ISO 8601, numbers since 1970, or a pattern."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import polars as pl
from pydantic import field_validator

from export_pipeline.formats.dates import check_pattern, formatted
from export_pipeline.options import OneOf, Options

_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_STEPS = {"s": 1, "ms": 1_000}


class Iso(Options):
    """ISO 8601: `2026-03-01`, `2026-03-01T06:05:00.000000+01:00`."""

    tag: ClassVar[str] = "iso"

    def render(self, column: pl.Expr, dtype: pl.DataType) -> pl.Expr:  # noqa: ARG002
        """Return the column as the file holds it: as it is, for it is only spelled as text."""
        return column

    def losses(self, dtype: pl.DataType) -> Iterator[str]:  # noqa: ARG002
        """Yield what is lost of this type."""
        return iter(())


class Unix(Options):
    """A whole number since 1970-01-01 UTC, rounded down; a date is its midnight, a time without a zone is UTC."""

    tag: ClassVar[str] = "unix"
    short: ClassVar[str | None] = "unit"

    unit: Literal["s", "ms"] = "s"
    """Seconds or milliseconds."""

    def render(self, column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
        """Return the column as whole numbers."""
        if isinstance(dtype, pl.Date):
            return column.to_physical().cast(pl.Int64) * (86_400 * _STEPS[self.unit])
        if isinstance(dtype, pl.Datetime):
            per_step = _PER_SECOND[dtype.time_unit] // _STEPS[self.unit]
            return column.to_physical() // per_step if per_step > 1 else column.to_physical()
        return column

    def losses(self, dtype: pl.DataType) -> Iterator[str]:
        """Yield what is lost of this type."""
        if isinstance(dtype, (pl.Date, pl.Datetime)):
            yield f"a time becomes a number of {'seconds' if self.unit == 's' else 'milliseconds'} since 1970"


class Custom(Options):
    """A moment.js pattern, as in file names: `YYYY-MM-DD HH:mm`; times of day stay ISO 8601."""

    tag: ClassVar[str] = "custom"
    short: ClassVar[str | None] = "pattern"

    pattern: str
    """The pattern; text in brackets stays as it is: `[at] HH:mm`."""

    @field_validator("pattern")
    @classmethod
    def _known(cls, pattern: str) -> str:
        check_pattern(pattern)
        return pattern

    def render(self, column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
        """Return the column as text."""
        return formatted(column, dtype, self.pattern)

    def losses(self, dtype: pl.DataType) -> Iterator[str]:
        """Yield what is lost of this type."""
        if isinstance(dtype, (pl.Date, pl.Datetime)):
            yield f"a date becomes text: {self.pattern}"


AnyStamp = Annotated[Iso | Unix | Custom, OneOf("date format")]
"""`iso`, `unix`, `{unix: ms}` or `{custom: "DD.MM.YYYY"}`."""
