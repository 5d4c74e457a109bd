"""The sheets of pivot tables: their cells, so that every program shows them, and what makes Excel compute them anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from export_pipeline.errors import FormatError
from export_pipeline.formats.excel.names import MAX_COLUMNS, letters
from export_pipeline.formats.excel.pivots import xml
from export_pipeline.formats.excel.pivots.gathering import Computed, Summary
from export_pipeline.formats.excel.pivots.layout import Cell, Placed
from export_pipeline.formats.excel.places import place_of
from export_pipeline.formats.excel.sheet import MAX_ROWS
from export_pipeline.formats.excel.strings import escaped_text, held_text

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

    from export_pipeline.formats.excel.look import Look

_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_NARROWEST, _WIDEST = 8.0, 60.0
_GAP = 2
"""Empty columns between two pivot tables."""


class _Cache:
    """The cache as openpyxl takes it: it gives the part its name, its type and its relations."""

    mime_type, rel_type = f"{_TYPES}.pivotCacheDefinition+xml", f"{_RELATIONS}/pivotCacheDefinition"

    def __init__(self, text: str) -> None:
        self._id, self._text = 1, text

    @property
    def path(self) -> str:
        return f"/xl/pivotCache/pivotCacheDefinition{self._id}.xml"

    def put(self, archive: ZipFile, manifest: Any) -> None:
        """Write the part, once for all pivot tables."""
        if self.path[1:] not in archive.namelist():
            archive.writestr(self.path[1:], self._text)
            manifest.append(self)


class _Table:
    """A pivot table as openpyxl takes it."""

    mime_type, rel_type = f"{_TYPES}.pivotTable+xml", f"{_RELATIONS}/pivotTable"

    def __init__(self, cache: _Cache, cache_id: int, text: str) -> None:
        self._id, self.cache, self.cacheId, self._text = 1, cache, cache_id, text

    @property
    def path(self) -> str:
        return f"/xl/pivotTables/pivotTable{self._id}.xml"

    def _write(self, archive: ZipFile, manifest: Any) -> None:
        from openpyxl.packaging.relationship import Relationship, RelationshipList
        from openpyxl.xml.functions import tostring

        archive.writestr(self.path[1:], self._text)
        manifest.append(self)
        self.cache.put(archive, manifest)
        relations = RelationshipList()
        relations.append(Relationship(Type=self.cache.rel_type, Target=self.cache.path))
        archive.writestr(f"xl/pivotTables/_rels/pivotTable{self._id}.xml.rels", tostring(relations.to_tree()))


def add_pivots(book: Workbook, look: Look, summary: Summary, *, cache: int, number: int, rows: int) -> None:
    """Add the sheets of pivot tables of the data, which is sheet `number` and holds so many rows.

    `cache` is the number of the cache that they share; no other look has it.
    """
    assert look.headers is not None  # noqa: S101 - pivot tables are refused without
    headers = dict(zip(look.names, look.headers, strict=True))
    formats = dict(zip(look.names, look.formats, strict=True))
    sheets: dict[str, list[Placed]] = {}
    names: dict[str, str] = {}
    for computed in summary.tables:
        names.setdefault(computed.table.on.casefold(), computed.table.on)
        here = sheets.setdefault(computed.table.on.casefold(), [])
        here.append(_placed(computed, summary, headers, here))
    shared: _Cache | None = None
    for folded, tables in sheets.items():
        cells = _Cells(book.create_sheet(names[folded]), formats)
        made = [cells.put(placed) for placed in tables]
        cells.widen()
        ids = {name: cells.code(code) for name, code in formats.items()}
        shared = shared or _Cache(xml.cache(_source(look, number, rows), headers, ids, summary))
        for placed, codes in zip(tables, made, strict=True):
            cells.sheet.add_pivot(_Table(shared, cache, xml.definition(placed, cache, ids, codes)))
        _draw(cells.sheet, look, tables)


class _Cells:
    """Writes cells of pivot tables onto a sheet."""

    def __init__(self, sheet: Worksheet, formats: dict[str, str | None]) -> None:
        self.sheet, self._formats = sheet, formats
        self._lengths: dict[int, int] = {}
        self._codes: dict[str, int] = {}

    def put(self, placed: Placed) -> list[int]:
        """Write all cells; return the id of each value's number format."""
        codes = list(_codes(placed, self._formats))
        for cell in placed.cells():
            self._write(cell, codes[cell.number] if cell.number is not None else self._formats.get(cell.field or ""))
        return [self.code(code) for code in codes]

    def code(self, code: str | None) -> int:
        """Return the id of a number format in the workbook."""
        from openpyxl.cell import Cell as Made

        if code is None:
            return 0
        if code not in self._codes:
            cell = Made(self.sheet, row=1, column=1)
            cell.number_format = code
            self._codes[code] = int(cell._style.numFmtId)
        return self._codes[code]

    def widen(self) -> None:
        """Give each column the room that its texts need."""
        for column, length in self._lengths.items():
            width = min(max(length * 1.1 + 2, _NARROWEST), _WIDEST)
            self.sheet.column_dimensions[letters(column - 1)].width = round(width, 2)

    def _write(self, cell: Cell, code: str | None) -> None:
        from openpyxl.styles import Alignment, Font

        value = cell.value
        made = self.sheet.cell(cell.row, cell.column)
        if isinstance(value, str):
            made.value = held_text(value)
            made.data_type = "s"  # also where it looks like a formula
            length = max(map(len, value.split("\n"))) + 2 * cell.indent + (3 if cell.look == "button" else 0)
        else:
            if isinstance(value, bool):
                made.value = value
            else:  # as text, because openpyxl would write a float with 16 digits
                made.value, made.data_type = xml.number_text(value), "n"
            # A program that computes it anew may show all digits.
            shown = len(code or "") if cell.field else max(len(code or ""), len(f"{value:,.11g}"))
            length = shown or len(f"{value:.11g}")
            if code is not None and not isinstance(value, bool):
                made.number_format = code
            if cell.number is None:  # an item stands where a text would
                made.alignment = Alignment(horizontal="left", indent=cell.indent)
        if cell.look != "plain":
            made.font = Font(name="Calibri", size=11, bold=True)
        if cell.look == "button":
            made.pivotButton = True
        if cell.indent and isinstance(value, str):
            made.alignment = Alignment(horizontal="left", indent=cell.indent)
        self._lengths[cell.column] = max(self._lengths.get(cell.column, 0), length)


def _placed(computed: Computed, summary: Summary, headers: dict[str, str], before: Sequence[Placed]) -> Placed:
    """Return the pivot table at its place; FormatError where that is taken, or not large enough."""
    table = computed.table
    column, row = place_of(table.at) if table.at else (max((one.right + _GAP for one in before), default=0), 1)
    placed = Placed(computed, summary.items, headers, row, column + 1)
    if placed.right > MAX_COLUMNS or placed.last > MAX_ROWS:
        raise FormatError(
            f"excel: pivot_tables {table.name!r} does not fit onto the sheet at {table.at or letters(column) + '1'}",
            cure="Give it another place (at), or a sheet of its own.",
        )
    for other in before:
        if (
            placed.left <= other.right
            and other.left <= placed.right
            and placed.top <= other.last
            and other.top <= placed.last
        ):
            raise FormatError(
                f"excel: pivot_tables {table.name!r} ({placed.area}) stands over {other.computed.table.name!r} "
                f"({other.area}) on the sheet {table.on!r}",
                cure="Give it another cell (at) or sheet, or leave out at: it then stands right of the one before it.",
            )
    return placed


def _codes(placed: Placed, formats: dict[str, str | None]) -> Iterator[str | None]:
    """Yield the number format of each value."""
    for value in placed.computed.table.values:
        counted = value.function in ("count", "count_numbers")
        yield value.number_format or (None if counted else formats[value.column])


def _source(look: Look, number: int, rows: int) -> str:
    """Return the attributes that say where the rows stand: in the table, which grows with them, or in cells."""
    if look.table is not None:
        return f'name="Table{number}"'
    return f'ref="{look.area(rows, header=True)}" sheet="{escaped_text(look.options.sheet_name)}"'


def _draw(sheet: Worksheet, look: Look, tables: Sequence[Placed]) -> None:
    """Put the charts of these pivot tables onto their sheet, right of all, one below the other."""
    below, right = 0.0, max(placed.right for placed in tables)
    for chart in look.options.charts:
        for placed in tables:
            if chart.of is not None and chart.of.casefold() == placed.computed.table.name.casefold():
                below = chart.add_summary(sheet, placed, right, below)
