"""References to cells, after the rows of data have taken the place of a template's sample rows.

What stands below moves as far as Excel would move it on inserting or deleting rows; a range that ends with the sample
rows ends with the data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from export_pipeline.errors import ConfigError
from export_pipeline.formats.excel.sheet import MAX_ROWS

LOST = "#REF!"

_CELL = re.compile(r"(\$?)([A-Za-z]{1,3})(\$?)([1-9]\d{0,6})")
_AREA = re.compile(
    r"(?:(?P<sheet>'(?:[^']|'')+'|[^'!\s\"]+)!)?"
    r"(?P<cells>\$?[A-Za-z]{1,3}\$?[1-9]\d{0,6}(?::\$?[A-Za-z]{1,3}\$?[1-9]\d{0,6})?|\$?[1-9]\d{0,6}:\$?[1-9]\d{0,6})(?P<spill>#?)"
)


@dataclass(frozen=True)
class Shift:
    """Rows `first` to `last` of a sheet become `rows` rows, at least one."""

    sheet: str
    sheets: Sequence[str]
    """All sheets, in their order."""
    first: int
    last: int
    rows: int

    @property
    def end(self) -> int:
        """The last row of the data."""
        return self.first + max(self.rows, 1) - 1

    @property
    def down(self) -> int:
        """By how much what stands below moves; negative: up."""
        return self.end - self.last

    def row(self, row: int) -> int | None:
        """Return where a row is now; None where it is gone."""
        if row > self.last:
            return min(row + self.down, MAX_ROWS)
        return row if row <= self.end or row < self.first else None

    def span(self, top: int, bottom: int) -> tuple[int, int] | None:
        """Return where rows from `top` to `bottom` are now; None where they are gone."""
        begin = self.row(top)
        if bottom == self.last and top <= self.first:
            return top, self.end
        until = self.row(bottom) or self.end
        return None if begin is None else (begin, until)

    def cells(self, text: str, *, grows: bool = False) -> str | None:
        """Return cells such as `A5`, `$A5:B$6` or `5:6`; None where they are gone.

        `grows`: a single cell of a template with one sample row is a range of one row.
        """
        begin, _, until = text.partition(":")
        if not until:
            found = _CELL.fullmatch(begin)
            if found is None:
                return text
            row = int(found[4])
            if grows and row == self.first == self.last and self.end > row:
                return f"{begin}:{found[1]}{found[2]}{found[3]}{self.end}"
            now = self.row(row)
            return None if now is None else f"{found[1]}{found[2]}{found[3]}{now}"
        heads, numbers = zip(*(_split(cell) for cell in (begin, until)), strict=True)
        if None in numbers:
            return text  # whole columns
        span = self.span(*sorted(numbers))
        if span is None:
            return None
        if numbers[0] > numbers[1]:
            span = span[::-1]
        return f"{heads[0]}{span[0]}:{heads[1]}{span[1]}"

    def ranges(self, text: str) -> str:
        """Return a list of ranges with spaces between them, without those that are gone."""
        return " ".join(now for part in text.split() if (now := self.cells(part, grows=True)))

    def formula(self, text: str, *, local: bool, grows: bool = False, fixed: bool = False) -> str:
        """Return a formula (without the sign =).

        `local`: it stands on the sheet itself. `fixed`: it is written for the first row of data and holds for all of
        them, so that only what has $ before its row means a certain row.
        """

        def moved(sheet: str | None, cells: str) -> str:
            if fixed and not all(re.search(r"\$\d+$|^\$\d", cell) for cell in cells.split(":")):
                return cells
            now = self.cells(cells, grows=grows)
            if now != cells and sheet is not None and ":" in sheet:
                raise ConfigError(
                    f"excel: template: a formula refers to {sheet}!{cells} on several sheets at once",
                    cure="Refer to one sheet at a time.",
                )
            return LOST if now is None else now

        return replaced(text, lambda sheet, cells: moved(sheet, cells) if self._here(sheet, local=local) else cells)

    def _here(self, sheet: str | None, *, local: bool) -> bool:
        if sheet is None:
            return local
        names = [unquoted(sheet).casefold()]
        if ":" in sheet:
            names = names[0].split(":")
            known = [name.casefold() for name in self.sheets]
            if len(names) == 2 and all(name in known for name in names):
                names = known[known.index(names[0]) : known.index(names[1]) + 1]
        return self.sheet.casefold() in names


def replaced(text: str, change: Callable[[str | None, str], str]) -> str:
    """Return a formula in which each reference to cells (its sheet as written, its cells) is changed."""
    from openpyxl.formula.tokenizer import Token, Tokenizer, TokenizerError

    if not text:
        return text
    try:
        tokens = Tokenizer(f"={text}").items
    except (TokenizerError, IndexError) as error:
        raise ConfigError(
            f"excel: template: the formula ={text[:200]} is not understood: {error}", cure="Write it in another way."
        ) from error
    made = []
    for token in tokens:
        value = token.value
        found = _AREA.fullmatch(value) if token.type == Token.OPERAND and token.subtype == Token.RANGE else None
        if found:
            now = change(found["sheet"], found["cells"])
            before = f"{found['sheet']}!" if found["sheet"] else ""
            value = before + now + found["spill"]
        made.append(value)
    return "".join(made)


def quoted(sheet: str) -> str:
    """Return a sheet's name as formulas write it; quotes are always allowed."""
    doubled = sheet.replace("'", "''")
    return f"'{doubled}'"


def unquoted(sheet: str) -> str:
    """Return the name of a sheet from how a formula writes it."""
    return sheet[1:-1].replace("''", "'") if sheet.startswith("'") else sheet


def column(letters: str) -> int:
    """Return the place of a column, counted from 0."""
    place = 0
    for letter in letters.upper():
        place = place * 26 + ord(letter) - 64
    return place - 1


def corners(cells: str) -> tuple[int, int, int, int]:
    """Return left and right column, counted from 0, and top and bottom row of cells such as `$A$5:B6`."""
    begin, _, until = cells.replace("$", "").partition(":")
    a, b = _CELL.fullmatch(begin), _CELL.fullmatch(until or begin)
    if a is None or b is None:
        raise ValueError(f"{cells!r} is no range of cells")
    columns, rows = sorted((column(a[2]), column(b[2]))), sorted((int(a[4]), int(b[4])))
    return columns[0], columns[1], rows[0], rows[1]


def _split(cell: str) -> tuple[str, int | None]:
    """Return what stands before the number of a cell's row, and the number."""
    found = re.fullmatch(r"(\$?[A-Za-z]{0,3}\$?)(\d+)", cell)
    return (found[1], int(found[2])) if found else (cell, None)
