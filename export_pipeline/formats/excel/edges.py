"""The rows of a sheet that are not data: title and formulas above, the header, the totals below."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from export_pipeline.formats.excel.formulas import filled, whole
from export_pipeline.formats.excel.names import letters
from export_pipeline.formats.excel.sheet import MAX_ROWS
from export_pipeline.formats.excel.strings import escaped_text

if TYPE_CHECKING:
    from export_pipeline.formats.excel.look import Look

_TEXT = ' t="inlineStr"><is><t xml:space="preserve">{}</t></is></c>'


class Edges:
    """What stands around the rows of a sheet, in these styles."""

    def __init__(self, look: Look, header: int, totals: Sequence[int], title: int, formulas: Mapping[str, int]) -> None:
        self._look, self._header, self._totals, self._title, self._formulas = look, header, totals, title, formulas

    def above(self, number: int) -> bytes:
        """Return the rows above the data of sheet `number`, counted from 1."""
        look, rows = self._look, defaultdict[int, dict[int, str]](dict)
        if look.headers is not None:
            at = look.options.first_row
            rows[at] = {n: self._text(n, at, self._header, text) for n, text in enumerate(look.headers)}
        if look.options.title is not None:
            rows[1][0] = self._text(0, 1, self._title, look.options.title)
        for formula in look.options.formulas:
            if formula.cell is not None:
                # As yet nobody knows how many rows there are; a table does without.
                text = filled(
                    formula.formula, look.names, lambda n: whole(look, look.names[n], MAX_ROWS - look.first + 1, number)
                )
                row = int(re.sub("[A-Z]", "", formula.cell))
                style = _style(self._formulas[formula.cell])
                cell = f'<c r="{formula.cell}"{style}><f>{escaped_text(text)}</f></c>'
                rows[row][_place(formula.cell)] = cell
        return "".join(
            f'<row r="{row}"{self._height(row)}>{"".join(cells[n] for n in sorted(cells))}</row>'
            for row, cells in sorted(rows.items())
        ).encode()

    def _height(self, row: int) -> str:
        """Return the height of a row with large text: not every program makes room for it by itself."""
        options = self._look.options
        sizes = [options.title_style.size] if row == 1 and options.title is not None else []
        if row == options.first_row and options.header and not options.header_style.wrap:
            sizes.append(options.header_style.size)
        size = max(sizes, default=0)
        return f' ht="{round(size * 1.4, 2):g}" customHeight="1"' if size > 11 else ""

    def below(self, number: int, rows: int, results: Mapping[str, float | None]) -> bytes:
        """Return the row of totals of sheet `number`, which holds so many rows."""
        look = self._look
        if not look.options.totals:
            return b""
        row, cells = look.last(rows) + 1, []
        for n, (name, style) in enumerate(zip(look.names, self._totals, strict=True)):
            total = look.options.totals.get(name)
            if total is None:
                cells.append(f'<c r="{letters(n)}{row}"{_style(style)}></c>')
            elif total.label is not None:
                cells.append(self._text(n, row, style, total.label))
            else:
                formula = escaped_text(total.text(look, name, rows, number) or "")
                result = results.get(name)
                value = "" if result is None else f"<v>{result!r}</v>"
                cells.append(f'<c r="{letters(n)}{row}"{_style(style)}><f>{formula}</f>{value}</c>')
        return f'<row r="{row}">{"".join(cells)}</row>'.encode()

    @staticmethod
    def _text(n: int, row: int, style: int, text: str) -> str:
        return f'<c r="{letters(n)}{row}"{_style(style)}{_TEXT.format(escaped_text(text))}'


def _style(style: int) -> str:
    return f' s="{style}"' if style else ""


def _place(cell: str) -> int:
    """Return the place of a cell's column, counted from 0."""
    place = 0
    for letter in re.sub(r"\d", "", cell):
        place = place * 26 + ord(letter) - 64
    return place - 1
