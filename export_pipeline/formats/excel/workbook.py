"""The workbook around the rows: styles, panes, widths, tables, properties. openpyxl makes it, without any row in it.

The same workbook is made several times: for the ids of its styles, for the beginning of each sheet, and, when the
number of rows is known, for the end of each sheet and all other parts. That takes some 10 ms each time.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from export_pipeline.formats.base import About
from export_pipeline.formats.excel.charts import Chart
from export_pipeline.formats.excel.names import letters, numbered
from export_pipeline.formats.excel.strings import escaped_text
from export_pipeline.formats.excel.styles import HeaderStyle

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

_STRIPES = "F2F2F2"
_TIMES = re.compile(rb"<dcterms:(created|modified)[^>]*>[^<]*</dcterms:\1>")
_PREFIXES = 'xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


@dataclass(frozen=True)
class Look:
    """What a sheet looks like; everything but its rows."""

    sheet_name: str
    headers: Sequence[str] | None
    """Texts of the header row; None for no header."""
    formats: Sequence[str | None]
    """Number format of each column; None for General."""
    header_style: HeaderStyle
    table: str | None
    """Name of a table style; None for no table."""
    autofilter: bool
    alternating_rows: bool
    freeze: str | None
    """The cell that the fixed rows and columns end before."""
    about: About
    names: Sequence[str] = ()
    """Names of the columns, for charts."""
    charts: Sequence[Chart] = ()

    @property
    def first(self) -> int:
        """Row number of the first row of data."""
        return 1 if self.headers is None else 2


class Parts(Mapping[str, bytes]):
    """The parts of a workbook whose sheets hold these numbers of rows."""

    def __init__(self, look: Look, rows: Sequence[int], widths: Sequence[float] | None = None) -> None:
        book, self._header = _workbook(look, rows, widths)
        saved = io.BytesIO()
        book.save(saved)
        with zipfile.ZipFile(saved) as package:
            self._parts = {name: package.read(name) for name in package.namelist()}
        core = self._parts["docProps/core.xml"]
        self._parts["docProps/core.xml"] = _TIMES.sub(b"", core).replace(
            b"</cp:coreProperties>", _times(look.about) + b"</cp:coreProperties>"
        )
        self._look = look

    def __getitem__(self, name: str) -> bytes:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def beginning(self, number: int) -> bytes:
        """Return a sheet's XML up to its first row of data; sheets are counted from 1."""
        before, _ = self._split(number)
        return before + self._header_row()

    def end(self, number: int) -> bytes:
        """Return a sheet's XML from behind its last row."""
        return self._split(number)[1]

    def _split(self, number: int) -> tuple[bytes, bytes]:
        xml = self._parts[sheet_part(number)]
        before, _, after = re.sub(rb"<dimension[^>]*/>", b"", xml).partition(b"<sheetData/>")
        if not after:
            before, _, after = xml.partition(b"<sheetData></sheetData>")
        declaration = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        return declaration + before + b"<sheetData>", b"</sheetData>" + after

    def _header_row(self) -> bytes:
        if self._look.headers is None:
            return b""
        form = f'1" s="{self._header}" t="inlineStr"><is><t xml:space="preserve">'
        cells = "".join(
            f'<c r="{letters(n)}{form}{escaped_text(text)}</t></is></c>' for n, text in enumerate(self._look.headers)
        )
        return f'<row r="1">{cells}</row>'.encode()


def sheet_part(number: int) -> str:
    """Return the name of the part that is sheet `number`, counted from 1."""
    return f"xl/worksheets/sheet{number}.xml"


def column_styles(look: Look) -> list[int]:
    """Return the style id of each column's cells."""
    from openpyxl import Workbook

    return _styles(Workbook().active, look)[0]


def _workbook(look: Look, rows: Sequence[int], widths: Sequence[float] | None) -> tuple[Workbook, int]:
    """Return the workbook and the style id of header cells."""
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    _properties(book, look.about)
    _, header = _styles(sheet, look)
    for number, count in enumerate(rows, 1):
        sheet = book.create_sheet() if number > 1 else sheet
        sheet.title = numbered(look.sheet_name, number)
        _dress(sheet, look, number, count, widths)
    return book, header


def _styles(sheet: Worksheet, look: Look) -> tuple[list[int], int]:
    """Return the style ids of each column's cells and of header cells: the same for each workbook of a look."""
    codes = {code: _style(sheet, number_format=code) if code else 0 for code in dict.fromkeys(look.formats)}
    return [codes[code] for code in look.formats], _style(sheet, **look.header_style.of_cell())


def _style(sheet: Worksheet, **of_cell: object) -> int:
    """Return the id of a style; the cell that asks for it is not part of the sheet."""
    from openpyxl.cell import Cell

    cell = Cell(sheet, row=1, column=1)
    for name, value in of_cell.items():
        setattr(cell, name, value)
    return int(cell.style_id)


def _dress(sheet: Worksheet, look: Look, number: int, rows: int, widths: Sequence[float] | None) -> None:
    """Give a sheet its panes, widths, table, filter and stripes."""
    for n, width in enumerate(widths or ()):
        sheet.column_dimensions[letters(n)].width = width
    if look.freeze:
        sheet.freeze_panes = look.freeze
    below = 0.0
    for chart in look.charts:
        below = chart.add(sheet, look.names, look.first, rows, below)
    columns = len(look.formats)
    if not columns:
        return
    # A table of no rows keeps one empty row: Excel repairs a table that is only a header.
    area = f"A1:{letters(columns - 1)}{max(rows, 1) + look.first - 1}"
    if look.table and look.headers is not None:
        _table(sheet, look, number, area)
    elif look.autofilter and look.headers is not None:
        sheet.auto_filter.ref = area
    if look.alternating_rows and not (look.table and look.headers is not None):
        _stripes(sheet, area.replace("A1", f"A{look.first}", 1))


def _table(sheet: Worksheet, look: Look, number: int, area: str) -> None:
    from openpyxl.worksheet.table import Table, TableStyleInfo

    table = Table(displayName=f"Table{number}", ref=area)
    table.tableStyleInfo = TableStyleInfo(name=look.table, showRowStripes=look.alternating_rows)
    table._initialise_columns()  # else openpyxl makes every cell of the area when it saves
    for column, text in zip(table.tableColumns, look.headers or (), strict=True):
        column.name = text
    if not look.autofilter:
        table.autoFilter = None
    sheet.add_table(table)


def _stripes(sheet: Worksheet, area: str) -> None:
    """Colour every second row by a rule, which costs nothing per row."""
    from openpyxl.formatting.rule import FormulaRule
    from openpyxl.styles import PatternFill

    fill = PatternFill(bgColor=_STRIPES, fill_type="solid")  # a rule's fill is its background
    sheet.conditional_formatting.add(area, FormulaRule(formula=["MOD(ROW(),2)=1"], fill=fill))


def _properties(book: Workbook, about: About) -> None:
    known = {"filter": about.filter, "version": about.version, "time zone": about.timezone}
    book.properties.title = about.name
    book.properties.creator = "export_pipeline"
    book.properties.description = "; ".join(f"{name}: {value}" for name, value in known.items() if value)
    book.calculation.fullCalcOnLoad = False  # there is nothing to calculate; else Excel asks to save on closing


def _times(about: About) -> bytes:
    """Return what replaces the times that openpyxl took from the clock: the logical time, else nothing."""
    if about.logical_time is None:
        return b""
    moment = datetime.fromisoformat(about.logical_time)
    text = (moment.astimezone(UTC) if moment.tzinfo else moment).strftime("%Y-%m-%dT%H:%M:%SZ")
    # each says what its prefixes mean: with lxml, openpyxl declares none at the root
    kind = f'{_PREFIXES} xsi:type="dcterms:W3CDTF"'
    return "".join(f"<dcterms:{name} {kind}>{text}</dcterms:{name}>" for name in ("created", "modified")).encode()
