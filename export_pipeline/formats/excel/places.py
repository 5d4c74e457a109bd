"""Where a rule holds: whole columns, by name, on each sheet, or cells."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.formats.excel.names import letters
from export_pipeline.formats.excel.styles import valid_address
from export_pipeline.options import Options

if TYPE_CHECKING:
    from export_pipeline.formats.excel.look import Look


def _cell_range(text: str) -> str:
    cells = text.split(":")
    if not re.fullmatch(r"[A-Z]+\d+(:[A-Z]+\d+)?", text):
        raise ValueError(f"{text!r} is no range of cells; write one such as B2:D10")
    for cell in cells:
        valid_address(cell)
    if len(cells) == 1:
        return text
    (left, right), (top, bottom) = (sorted(ends) for ends in zip(*map(place_of, cells), strict=True))
    return f"{letters(left)}{top}:{letters(right)}{bottom}"  # openpyxl takes ranges from their upper left cell only


CellRange = Annotated[str, AfterValidator(_cell_range)]


class Place(Options):
    """Cells that a rule holds for."""

    columns: list[str] = Field(default_factory=list)
    """All cells of these columns, as many rows as there are, on each sheet."""
    range: CellRange | None = None
    """Cells such as `B2:D10`, on each sheet; in place of columns."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.columns) == (self.range is not None):
            raise ValueError("say where it holds: either columns: [name, ...] or range: B2:D10")
        return self

    def check(self, option: str, names: Collection[str]) -> None:
        """Refuse columns that are not there."""
        known("columns of " + option, self.columns, names)

    def cells(self, look: Look, rows: int) -> str:
        """Return the cells on a sheet of so many rows."""
        return self.range or " ".join(look.column(name, rows) for name in self.columns)

    def top(self, look: Look) -> int:
        """Return the row number of the first of the cells, which formulas are written for."""
        return int(re.sub("[A-Z]", "", self.range.split(":")[0])) if self.range else look.first


def known(option: str, given: Collection[str], names: Collection[str]) -> None:
    """Refuse the first name that is no column: ConfigError."""
    for name in given:
        if name not in names:
            raise ConfigError(f"excel: {option} names an unknown column {name!r}; {did_you_mean(name, names)}")


def place_of(cell: str) -> tuple[int, int]:
    """Return the place of a cell: its column, counted from 0, and its row, counted from 1."""
    column = 0
    for letter in re.sub(r"\d", "", cell):
        column = column * 26 + ord(letter) - 64
    return column - 1, int(re.sub("[A-Z]", "", cell))
