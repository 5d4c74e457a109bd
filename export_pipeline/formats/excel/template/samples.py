"""What the first sample row of a template says of all rows: the styles of their cells, and formulas."""

from __future__ import annotations

import re

from export_pipeline.errors import ConfigError
from export_pipeline.formats.excel.strings import escaped_text
from export_pipeline.formats.excel.template.book import Book
from export_pipeline.formats.excel.template.grid import Cell, Grid
from export_pipeline.formats.excel.template.markup import MAIN
from export_pipeline.formats.excel.template.place import Place
from export_pipeline.formats.excel.template.references import Shift, replaced


def samples(grid: Grid, place: Place) -> dict[int, Cell]:
    """Return the cells of the first sample row, by their place among the columns."""
    row = grid.rows.get(place.first)
    return {cell.column - place.left: cell for cell in row.cells} if row is not None else {}


def style(grid: Grid, place: Place, n: int) -> int:
    """Return the style of a column's cells: that of its first sample cell, else of the row, else of the column."""
    cell = samples(grid, place).get(n)
    if cell is not None:
        return cell.style
    row = grid.rows.get(place.first)
    if row is not None and row.element.attributes.get("customFormat") in ("1", "true"):
        return int(row.element.attributes.get("s", 0))
    for e in grid.elements:
        if e.name == f"{MAIN} col":
            first, last = int(e.attributes["min"]), int(e.attributes["max"])
            if first <= place.left + n + 1 <= last:
                return int(e.attributes.get("style", 0))
    return 0


def formula(grid: Grid, place: Place, book: Book, cell: Cell | None) -> tuple[str, ...] | None:
    """Return the formula of a column of the template's own, cut where the number of the row stands."""
    if cell is None or cell.formula is None:
        return None
    text, kind = grid.formula(cell) or "", cell.formula.attributes.get("t", "normal")
    where = f"excel: template: the formula ={text} of {cell.address}"
    if kind not in ("normal", "shared"):
        raise ConfigError(f"{where} fills several cells at once", cure="Write it for one cell.")
    moves = [Shift(place.sheet, book.order, place.first, place.last, rows) for rows in (3, 1_000)]
    row = str(place.first)

    def in_row(sheet: str | None, cells: str) -> str:
        for part in cells.split(":"):
            found = re.fullmatch(r"\$?[A-Za-z]{1,3}(\$?)(\d+)|(\$?)(\d+)", part)
            if found is None or (found[1] or found[3]):
                continue
            if (found[2] or found[4]) != row:
                raise ConfigError(
                    f"{where} refers to another row than its own: {cells}",
                    cure="Put $ before the number of the row, or refer to cells of the same row.",
                )
        fixed = [part for part in cells.split(":") if re.search(r"\$\d+$", part)]
        if len(fixed) == len(cells.split(":")) and len(
            {move.formula(f"{sheet}!{cells}" if sheet else cells, local=True) for move in moves}
        ) > 1:  # fmt: skip
            raise ConfigError(
                f"{where} refers to {cells}, which ends where nobody knows as yet",
                cure="Make the rows a table and refer to its column: Table1[cost].",
            )
        return re.sub(rf"(?<![$\d]){row}(?!\d)", "\0", cells)

    marked = replaced(text, in_row)
    return tuple(escaped_text(piece) for piece in marked.split("\0"))
