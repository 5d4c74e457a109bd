"""What a sheet must be, besides its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export_pipeline.formats.excel.results import Result


@dataclass(frozen=True)
class Layout:
    """Where the rows of a sheet stand, and what stands around and in them."""

    headers: Sequence[str] | None
    """Texts that the row above the data must have; None: there is no such row."""
    formats: Sequence[str | None]
    """The number format that each column's numbers must have; None for General."""
    first: int
    """Row number of the first row of data."""
    totals: bool = False
    """Whether a row of totals ends each sheet."""
    blanks: bool = False
    """Whether cells without a value are written."""
    formulas: Sequence[tuple[str, ...] | None] = ()
    """The formula, as XML, that each column's cells must have: texts between which the number of the row stands. Those
    behind the columns of the data are columns of their own."""
    results: Sequence[Result | None] = ()
    """What the formulas of columns of their own come to; None where they have no values."""

    left: int = 0
    """Place of the first column, counted from 0."""
    columns: Sequence[str | None] | None = None
    """The column of the data in each column of a template; None for one of its own, whose cells may be anything. Styles
    are the template's: numbers may have any format, dates any that is for dates. None: a new workbook."""

    @property
    def width(self) -> int:
        """Columns, with those that are formulas only."""
        return len(self.formats)
