"""Where in a template the rows go: the sheet, the header, the sample rows, the columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.formats.excel.names import MAX_COLUMNS, letters
from export_pipeline.formats.excel.template.book import Book, Table
from export_pipeline.formats.excel.template.grid import Grid
from export_pipeline.formats.excel.template.headers import (
    by_header,
    by_position,
    check_texts,
    folded,
    header_row,
    texts_of,
)
from export_pipeline.formats.excel.template.markup import MAIN
from export_pipeline.formats.excel.template.references import corners, quoted, unquoted

if TYPE_CHECKING:
    from export_pipeline.formats.excel.template import Template


@dataclass(frozen=True)
class Place:
    """The place of the rows."""

    sheet: str
    part: str
    first: int
    """Number of the first sample row; where there is none, of the empty row that the data begins in."""
    last: int
    left: int
    """First column, counted from 0."""
    columns: Sequence[str | None]
    """The column of the data that stands in each column from `left` on; None: the template's own."""
    table: Table | None = None

    @property
    def right(self) -> int:
        """Last column, counted from 0."""
        return self.left + len(self.columns) - 1


def find(book: Book, options: Template, names: Sequence[str]) -> tuple[Place, Grid]:
    """Return where rows with columns of these names go, and the sheet; ConfigError says what is not as it must be."""
    table, sheet, area = _named(book, options)
    if options.start is not None:
        at = corners(options.start)
        table = next((t for t in book.tables if t.sheet == sheet and _holds(t, at[2], at[0])), None)
    elif table is None and area is None:
        inside = [t for t in book.tables if t.sheet == sheet]
        if len(inside) > 1:
            raise ConfigError(
                f"excel: template: the sheet {sheet!r} has several tables",
                cure=f"Say which one, as sheet: {inside[0].name}; there are {', '.join(t.name for t in inside)}.",
            )
        table = inside[0] if inside else None
    grid = Grid(book.archive, book.sheets[sheet])
    if table is not None:
        place = _in_table(table, book, options, names)
    else:
        place = _in_cells(grid, sheet, book.sheets[sheet], area, options, names)
    if place.right >= MAX_COLUMNS:
        raise ConfigError(f"excel: template: from {letters(place.left)} on a sheet has no {len(place.columns)} columns")
    _check_free(grid, place)
    return place, grid


def _named(book: Book, options: Template) -> tuple[Table | None, str, tuple[int, int, int, int] | None]:
    """Return the table, the sheet and the cells that the option `sheet` names."""
    wanted = options.sheet
    if wanted is None:
        if len(book.tables) == 1 and options.start is None:
            return book.tables[0], book.tables[0].sheet, None
        return None, next(iter(book.sheets)), None
    folded = wanted.casefold()
    sheet = next((name for name in book.sheets if name.casefold() == folded), None)
    if sheet is not None:
        return None, sheet, None
    table = next((table for table in book.tables if table.name.casefold() == folded), None)
    if table is not None:
        return table, table.sheet, None
    text = next((text for name, text in book.names.items() if name.casefold() == folded), None)
    if text is None:
        known = [*book.sheets, *(table.name for table in book.tables), *book.names]
        raise ConfigError(
            f"excel: template: there is no sheet, table or name {wanted!r} in {book.archive.name!r};"
            f" {did_you_mean(wanted, known)}"
        )
    on, _, cells = text.rpartition("!")
    sheet = next((name for name in book.sheets if name.casefold() == unquoted(on).casefold()), None)
    try:
        area = corners(cells)
    except ValueError:
        sheet = None
    if sheet is None:
        raise ConfigError(
            f"excel: template: the name {wanted!r} stands for {text}, which is no range of cells",
            cure="Define it as one range, such as Data!$A$4:$F$5: the header and the sample rows.",
        )
    return None, sheet, area


def _holds(table: Table, row: int, at: int) -> bool:
    left, right, top, bottom = corners(table.cells)
    return left <= at <= right and top <= row <= bottom


def _in_table(table: Table, book: Book, options: Template, names: Sequence[str]) -> Place:
    """Return the rows of a table."""
    left, right, top, bottom = corners(table.cells)
    first, last = top + table.headers, bottom - table.totals
    if last < first:
        raise ConfigError(
            f"excel: template: the table {table.name} has no row for the data",
            cure="Give it one row, which may be empty.",
        )
    if options.header == "write":
        raise ConfigError(
            f"excel: template: the headers of the table {table.name} are the names of its columns",
            cure="Leave header: write out, or name the columns in the template.",
        )
    if options.start is not None and options.start != f"{letters(left)}{first}":
        raise ConfigError(
            f"excel: template: {options.start} is in the table {table.name}; its rows begin in {letters(left)}{first}",
            cure="Leave start out, or move it out of the table.",
        )
    columns = (
        by_header(list(table.columns), names, f"the table {table.name}")
        if options.columns == "header"
        else by_position(right - left + 1, names, f"the table {table.name}")
    )
    return Place(table.sheet, book.sheets[table.sheet], first, last, left, columns, table)


def _in_cells(
    grid: Grid,
    sheet: str,
    part: str,
    area: tuple[int, int, int, int] | None,
    options: Template,
    names: Sequence[str],
) -> Place:
    """Return the rows of plain cells: below a header, or from a certain cell on."""
    texts = {number: texts_of(grid, number) for number in grid.rows}
    left: int | None = None
    bottom: int | None = None
    if options.start is not None:
        left, _, first, _ = corners(options.start)
        header = first - 1
    elif area is not None:
        left, _, top, bottom = area
        header, first = (top, top + 1) if bottom > top else (top - 1, top)
    else:
        header = header_row(texts, names, sheet, options)
        first = header + 1
    if options.columns == "header":
        shown = {n: t for n, t in texts.get(header, {}).items() if left is None or n >= left}
        there = [n for n, text in shown.items() if text.strip().casefold() in folded(names)]
        begin = left if left is not None else min(there, default=0)
        end = begin
        while end in shown or any(n > end for n in there):
            end += 1
        columns = by_header(
            [shown.get(n, "") for n in range(begin, end)], names, f"row {header} of the sheet {sheet!r}"
        )
        left = begin
        check_texts(grid, header, left, columns)
    else:
        left = min(texts.get(header, {0: ""})) if left is None else left
        width = area[1] - area[0] + 1 if area is not None and area[1] > area[0] else len(names)
        while area is None and options.header == "keep" and left + width in texts.get(header, {}):
            width += 1
        columns = by_position(width, names, f"the name {options.sheet}" if area else f"the sheet {sheet!r}")
    if options.header == "write" and header < 1:
        raise ConfigError("excel: template: above the first row is no row for the header", cure="Set start to A2.")
    last = max(bottom, first) if bottom is not None else _samples(grid, first, left, left + len(columns) - 1)
    return Place(sheet, part, first, last, left, columns)


def _samples(grid: Grid, first: int, left: int, right: int) -> int:
    """Return the last sample row: the rows that follow each other, up to one that is empty or computes (totals)."""

    def inside(number: int) -> dict[int, bool]:
        row = grid.rows.get(number)
        cells = row.cells if row is not None else []
        return {c.column: c.formula is not None for c in cells if left <= c.column <= right and c.filled}

    sample, last = inside(first), first
    if not sample:
        return first
    while (following := inside(last + 1)) and not any(f and not sample.get(n) for n, f in following.items()):
        last += 1
    return last


def _check_free(grid: Grid, place: Place) -> None:
    """Refuse what stands beside the rows or spans several of them: it could not stay where it is."""
    for number in range(place.first, place.last + 1):
        row = grid.rows.get(number)
        for cell in row.cells if row is not None else ():
            if cell.filled and not place.left <= cell.column <= place.right:
                raise ConfigError(
                    f"excel: template: {cell.address} of the sheet {place.sheet!r} stands beside the rows of data",
                    cure="Move it above the header or to another sheet; charts and pictures may stand there.",
                )
    for element in grid.elements:
        if element.name == f"{MAIN} mergeCell":
            _, _, top, bottom = corners(element.attributes["ref"])
            if top <= place.last and bottom >= place.first:
                raise ConfigError(
                    f"excel: template: the merged cells {element.attributes['ref']} are among the rows of data",
                    cure="Do not merge cells there.",
                )


def described(place: Place, rows: int) -> str:
    """Return the cells of so many rows of data, as a formula says them."""
    end = place.first + max(rows, 1) - 1
    return f"{quoted(place.sheet)}!${letters(place.left)}${place.first}:${letters(place.right)}${end}"
