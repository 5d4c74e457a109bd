"""The header of a template: which row it is, and which column of the data stands under each of its texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from export_pipeline.errors import ConfigError
from export_pipeline.formats.excel.template.book import unescaped
from export_pipeline.formats.excel.template.grid import Grid

if TYPE_CHECKING:
    from export_pipeline.formats.excel.template import Template


def texts_of(grid: Grid, number: int) -> dict[int, str]:
    """Return what the cells of a row say, by column."""
    found = {}
    for cell in grid.rows[number].cells:
        text = grid.text(cell)
        if text is not None and text.strip():
            found[cell.column] = unescaped(text)
    return found


def header_row(texts: Mapping[int, Mapping[int, str]], names: Sequence[str], sheet: str, options: Template) -> int:
    """Return the row of the header: where the names of the columns are, else the first row that says something."""
    if options.header == "write":
        raise ConfigError(
            "excel: template: header: write needs to know where", cure="Say start: A5, the cell of the first row."
        )
    known = set(folded(names))
    found = {number: {text.strip().casefold() for text in row.values()} & known for number, row in texts.items()}
    best = max(texts, key=lambda number: (len(found[number]), -number), default=None)
    if options.columns == "position":
        best = next((number for number in sorted(texts) if texts[number]), None)
    if best is None or (options.columns == "header" and not found[best]):
        raise ConfigError(
            f"excel: template: the sheet {sheet!r} has no header row"
            + (f" with {', '.join(map(repr, names[:12]))}" if options.columns == "header" else ""),
            cure="Give the columns those names in the template, or say start: A5 and columns: position.",
        )
    return best


def check_texts(grid: Grid, number: int, left: int, columns: Sequence[str | None]) -> None:
    """Refuse headers that are formulas: their results are left out of the filled workbook."""
    for cell in grid.rows[number].cells if number in grid.rows else ():
        at = cell.column - left
        if cell.formula is not None and 0 <= at < len(columns) and columns[at] is not None:
            raise ConfigError(
                f"excel: template: the header in {cell.address} is a formula, whose result "
                "only Excel knows once the rows are there",
                cure="Write it as text there, or say columns: position.",
            )


def folded(names: Sequence[str]) -> dict[str, str]:
    """Return names as headers are compared with them where none is the same: without case and spaces around."""
    return {name.strip().casefold(): name for name in names}


def by_header(headers: list[str], names: Sequence[str], where: str) -> list[str | None]:
    """Return which column of the data stands under each header."""
    known = folded(names)
    found = [text if text in names else known.get(text.strip().casefold()) for text in headers]
    missing = [name for name in names if name not in found]
    twice = next((name for name in names if found.count(name) > 1), None)
    if missing:
        raise ConfigError(
            f"excel: template: {where} has no header for the column {missing[0]!r};"
            f" its headers are {', '.join(repr(text) for text in headers[:12] if text)}",
            cure="Rename or exclude the column, add it to the template, or say columns: position.",
        )
    if twice is not None:
        raise ConfigError(f"excel: template: {where} has two headers for the column {twice!r}")
    return found


def by_position(width: int, names: Sequence[str], where: str) -> list[str | None]:
    """Return the columns in their own order; the template may have more behind them."""
    if len(names) > width:
        raise ConfigError(
            f"excel: template: {where} has {width} columns; the data has {len(names)}",
            cure="Exclude columns, or add them to the template.",
        )
    return [*names, *[None] * (width - len(names))]
