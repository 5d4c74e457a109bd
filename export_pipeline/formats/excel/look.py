"""What a sheet looks like, resolved against its columns: where its header, its rows and each column stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from export_pipeline.formats.base import About
from export_pipeline.formats.excel.names import letters

if TYPE_CHECKING:
    from export_pipeline.formats.excel.images import Picture
    from export_pipeline.formats.excel.pivots.gathering import Summary
    from export_pipeline.formats.excel.properties import WorkbookProperties
    from export_pipeline.formats.excel.sheet import SheetOptions
    from export_pipeline.formats.excel.styles import CellStyle


@dataclass(frozen=True)
class Look:
    """What a sheet looks like; everything but its rows."""

    options: SheetOptions
    names: Sequence[str]
    """Columns of the data and, behind them, those that are formulas only."""
    headers: Sequence[str] | None
    """Texts of the header row; None for no header."""
    looks: Sequence[CellStyle]
    """Style of each column's cells."""
    formats: Sequence[str | None]
    """Number format of each column; None for General."""
    about: About
    workbook: WorkbookProperties
    table: str | None
    """Name of a table style; None for no table."""
    pictures: Sequence[Picture] = ()
    hashes: dict[str, str] = field(default_factory=dict)
    """What stands for the password of a protected sheet."""
    pivots: Summary | None = None
    """The pivot tables, once all rows have passed."""

    @property
    def first(self) -> int:
        """Row number of the first row of data."""
        return self.options.first_row + (self.headers is not None)

    def last(self, rows: int) -> int:
        """Return the row number of the last of so many rows of data. One empty row stands for none."""
        return self.first + max(rows, 1) - 1

    def area(self, rows: int, *, header: bool = False, totals: bool = False) -> str:
        """Return the cells of all columns; with the header above them, and the totals below."""
        top = self.options.first_row if header else self.first
        below = self.last(rows) + (totals and bool(self.options.totals))
        return f"A{top}:{letters(len(self.names) - 1)}{below}"

    def column(self, name: str, rows: int) -> str:
        """Return the cells of one column's data."""
        at = letters(self.names.index(name))
        return f"{at}{self.first}:{at}{self.last(rows)}"
