"""Where everything of a pivot table stands, as Excel lays it out: its lines, its captions, its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from export_pipeline.errors import FormatError
from export_pipeline.formats.excel.names import letters
from export_pipeline.formats.excel.pivots.gathering import Computed, Path
from export_pipeline.formats.excel.pivots.items import Item

MAX_COLUMNS = 1_000
MAX_CELLS = 200_000
_TOTAL = "Grand Total"
ALL = "(All)"

Look = Literal["plain", "bold", "button"]


@dataclass(frozen=True)
class Line:
    """A row or a column of a pivot table."""

    kind: Literal["data", "default", "grand"]
    """A combination of items, the total of some, the total of all."""
    path: Path = ()
    value: int = 0
    """Of a column: which of the values stands in it."""


@dataclass(frozen=True)
class Cell:
    """A cell; `row` and `column` are counted from 1 on the sheet."""

    row: int
    column: int
    value: str | float | bool
    look: Look = "plain"
    indent: int = 0
    field: str | None = None
    """The column of the data whose number format it has."""
    number: int | None = None
    """Which of the values it is one of."""


@dataclass(frozen=True)
class Placed:
    """A pivot table at a cell of its sheet."""

    computed: Computed
    items: Mapping[str, Sequence[Item]]
    headers: Mapping[str, str]
    top: int
    """Row number of its first cell, filters included."""
    left: int
    """Number of its first column, counted from 1."""

    def __post_init__(self) -> None:
        name, table = self.computed.table.name, self.computed.table
        cells = len(self.lines) * len(self.columns)
        if len(self.columns) > MAX_COLUMNS or cells > MAX_CELLS:
            what = f"{len(self.lines):,} rows and {len(self.columns):,} columns"
            raise FormatError(
                f"excel: pivot_tables {name!r} would have {what}; at most {MAX_COLUMNS:,} columns and {MAX_CELLS:,} "
                "cells are made",
                cure=f"Take other columns than {', '.join(table.rows + table.columns)}, or aggregate the rows first.",
            )

    @property
    def several(self) -> bool:
        """Whether there is more than one value."""
        return len(self.computed.table.values) > 1

    @property
    def in_columns(self) -> bool:
        """Whether each column of rows stands in a column of its own."""
        return self.computed.table.layout != "compact"

    @cached_property
    def lines(self) -> list[Line]:
        """The rows below the captions."""
        table = self.computed.table
        depth = len(table.rows)
        below = table.layout == "tabular"
        made = list(_walk(self.computed.rows, depth, above=not below, below=below and table.subtotals))
        return [*made, *([Line("grand")] if table.column_totals else [])]

    @cached_property
    def columns(self) -> list[Line]:
        """The columns right of the captions."""
        table = self.computed.table
        values = range(len(table.values))
        if not table.columns:
            return [Line("data", (), value) for value in values]
        made = _walk(self.computed.columns, len(table.columns), above=False, below=table.subtotals)
        lines = [*made, *([Line("grand")] if table.row_totals else [])]
        return [Line(line.kind, line.path, value) for line in lines for value in values]

    @property
    def body(self) -> int:
        """Row number of its first row below the filters."""
        filters = len(self.computed.table.filters)
        return self.top + filters + (1 if filters else 0)

    @property
    def captions(self) -> int:
        """How many rows of captions there are."""
        table = self.computed.table
        return 1 + len(table.columns) + self.several if table.columns else 1

    @property
    def first(self) -> int:
        """Row number of the first row of numbers."""
        return self.body + self.captions

    @property
    def labels(self) -> int:
        """How many columns of captions there are."""
        return len(self.computed.table.rows) if self.in_columns else 1

    @property
    def last(self) -> int:
        """Row number of its last row."""
        return self.first + len(self.lines) - 1

    @property
    def right(self) -> int:
        """Number of its last column."""
        table = self.computed.table
        names = len(table.columns) + self.several if self.in_columns and table.columns else 1
        return max(self.left + self.labels + max(len(self.columns), names) - 1, self.left + bool(table.filters))

    @property
    def area(self) -> str:
        """Its cells below the filters."""
        return f"{letters(self.left - 1)}{self.body}:{letters(self.right - 1)}{self.last}"

    def cells(self) -> Iterator[Cell]:
        """Yield all cells that are not empty."""
        yield from self._filters()
        yield from self._corner()
        yield from self._column_captions()
        for row, line in enumerate(self.lines, self.first):
            yield from self._row_captions(row, line)
            for column, across in enumerate(self.columns, self.left + self.labels):
                if line.kind == "data" and len(line.path) < len(self.computed.table.rows) and not self._totals_above:
                    continue
                values = self.computed.cells.get((line.path, across.path))
                number = values[across.value] if values else None
                if number is not None:
                    look: Look = "plain" if line.kind == across.kind == "data" else "bold"
                    yield Cell(row, column, number, look, number=across.value)

    def caption(self, column: Line) -> str:
        """Return the text of a column of numbers."""
        own = [item.text for item in self._path(self.computed.table.columns, column.path)]
        return " - ".join([*own, *([self._values[column.value]] if self.several or not own else [])])

    @property
    def _totals_above(self) -> bool:
        table = self.computed.table
        return table.subtotals and table.layout != "tabular"

    @cached_property
    def _values(self) -> list[str]:
        return self.computed.table.captions(dict(self.headers))

    def _path(self, names: Sequence[str], path: Path) -> list[Item]:
        return [self.items[name][place] for name, place in zip(names, path, strict=False)]

    def _filters(self) -> Iterator[Cell]:
        table = self.computed.table
        for row, (one, place) in enumerate(zip(table.filters, self.computed.chosen, strict=True), self.top):
            yield Cell(row, self.left, self.headers[one.column])
            shown = ALL if place is None else self.items[one.column][place].cell
            yield Cell(row, self.left + 1, shown, "button", field=one.column)

    def _corner(self) -> Iterator[Cell]:
        """Yield the names of the columns that have rows and columns."""
        table = self.computed.table
        row = self.first - 1
        if self.in_columns:
            for n, name in enumerate(table.rows):
                yield Cell(row, self.left + n, self.headers[name], "button")
        else:
            yield Cell(row, self.left, self.row_caption, "button")
        if not table.columns:
            return
        if not self.several:
            yield Cell(self.body, self.left, self._values[0], "bold")
        names = [self.headers[name] for name in table.columns] if self.in_columns else [self.column_caption]
        names += ["Values"] if self.several and self.in_columns else []
        for n, text in enumerate(names, self.left + self.labels):
            yield Cell(self.body, n, text, "button" if text != "Values" else "bold")

    @property
    def row_caption(self) -> str:
        """What stands above the rows where all are in one column."""
        return " / ".join(self.headers[name] for name in self.computed.table.rows)

    @property
    def column_caption(self) -> str:
        """What stands above the columns."""
        return " / ".join(self.headers[name] for name in self.computed.table.columns)

    def _column_captions(self) -> Iterator[Cell]:
        table, before = self.computed.table, Line("grand")
        depth = len(table.columns)
        for column, line in enumerate(self.columns, self.left + self.labels):
            top = self.body + 1
            caption = self._values[line.value]
            if line.kind == "grand":
                yield Cell(top, column, f"Total {caption}" if self.several else _TOTAL, "bold")
            elif line.kind == "default":
                text = self._path(table.columns, line.path)[-1].text
                ending = caption if self.several else "Total"
                yield Cell(top + len(line.path) - 1, column, f"{text} {ending}", "bold")
            else:
                same = _repeated(before, line)
                items = self._path(table.columns, line.path) if line.value == 0 else []
                for n, item in enumerate(items):
                    if n >= same:
                        yield Cell(top + n, column, item.cell, "bold", field=table.columns[n])
                if self.several or not depth:
                    yield Cell(self.first - 1, column, caption, "bold")
            before = line

    def _row_captions(self, row: int, line: Line) -> Iterator[Cell]:
        table = self.computed.table
        if line.kind == "grand":
            yield Cell(row, self.left, _TOTAL, "bold")
            return
        items, depth = self._path(table.rows, line.path), len(line.path) - 1
        if line.kind == "default":
            yield Cell(row, self.left + depth, f"{items[-1].text} Total", "bold")
            return
        outer = depth < len(table.rows) - 1
        if table.layout != "tabular":
            column = self.left + (depth if self.in_columns else 0)
            indent = 0 if self.in_columns else depth
            yield Cell(row, column, items[-1].cell, "bold" if outer else "plain", indent, table.rows[depth])
            return
        place = row - self.first
        before = self.lines[place - 1] if place else Line("grand")
        for n in range(_repeated(before, line), len(items)):
            yield Cell(row, self.left + n, items[n].cell, field=table.rows[n])


def _walk(paths: Sequence[Path], depth: int, *, above: bool, below: bool) -> Iterator[Line]:
    """Yield a line for each path, and for each beginning of paths one above or one below them."""
    before: Path | None = None
    for path in paths:
        same = common(before, path) if before is not None else 0
        if below and before is not None:
            yield from (Line("default", before[:length]) for length in range(depth - 1, same, -1))
        if above:
            yield from (Line("data", path[:length]) for length in range(same + 1, depth))
        yield Line("data", path)
        before = path
    if below and before is not None:
        yield from (Line("default", before[:length]) for length in range(depth - 1, 0, -1))


def _repeated(before: Line, line: Line) -> int:
    """Return how many items a line need not name again after the one before it."""
    return common(before.path if before.kind == "data" else before.path[:-1], line.path)


def common(one: Path, other: Path) -> int:
    """Return how many items two paths begin with alike."""
    same = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        same += 1
    return same
