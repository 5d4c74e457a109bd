"""The workbook around the rows: styles, panes, tables, rules, properties. openpyxl makes it, without any row in it.

The same workbook is made several times: for the ids of its styles, for the beginning of each sheet, and, when the
number of rows is known, for the end of each sheet and all other parts. That takes some 10 ms each time.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from export_pipeline.formats.excel.charts import add_charts
from export_pipeline.formats.excel.conditions import add_conditions
from export_pipeline.formats.excel.edges import Edges
from export_pipeline.formats.excel.images import place_images
from export_pipeline.formats.excel.look import Look, Placed
from export_pipeline.formats.excel.names import letters, numbered
from export_pipeline.formats.excel.pivots.gathering import Summary
from export_pipeline.formats.excel.pivots.sheets import add_pivots
from export_pipeline.formats.excel.printing import set_up_pages
from export_pipeline.formats.excel.protection import protect
from export_pipeline.formats.excel.styles import CellStyle
from export_pipeline.formats.excel.tables import add_stripes, add_table
from export_pipeline.formats.excel.tidy import tidied
from export_pipeline.formats.excel.validations import add_lists, add_validations

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

_TIMES = re.compile(rb"<dcterms:(created|modified)[^>]*>[^<]*</dcterms:\1>")
_PREFIXES = 'xmlns:dcterms="http://purl.org/dc/terms/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

Feature = Callable[["Worksheet", Look, int, int], None]
"""Gives sheet `number` (counted from 1), which holds so many rows, what its options ask for."""


class Parts(Mapping[str, bytes]):
    """The parts of a workbook with these sheets, the first ones of all that it will have; `looks` are those of all.

    `summaries` are what the pivot tables of each look show, once all rows are there.
    """

    def __init__(
        self, looks: Sequence[Look], sheets: Sequence[Placed], summaries: Sequence[Summary | None] = ()
    ) -> None:
        book, styles = _workbook(looks, sheets, summaries)
        look = looks[0]
        saved = io.BytesIO()
        book.save(saved)
        with zipfile.ZipFile(saved) as package:
            self._parts = {name: tidied(name, package.read(name)) for name in package.namelist()}
        core = self._parts["docProps/core.xml"]
        self._parts["docProps/core.xml"] = _TIMES.sub(b"", core).replace(
            b"</cp:coreProperties>", _times(look) + b"</cp:coreProperties>"
        )
        self._parts["docProps/app.xml"] = self._parts["docProps/app.xml"].replace(
            b"</Properties>", look.workbook.program() + b"</Properties>"
        )
        edges = [Edges(of, s.header, s.totals, s.title, s.formulas) for of, s in zip(looks, styles, strict=True)]
        self._sheets = [(edges[looks.index(sheet.look)], sheet.rows) for sheet in sheets]

    def __getitem__(self, name: str) -> bytes:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def beginning(self, like: int, number: int) -> bytes:
        """Return the XML of sheet `number`, which begins like this one, up to its first row of data; from 1."""
        before, _ = self._split(like)
        return before + self._sheets[like - 1][0].above(number)

    def end(self, number: int, results: Mapping[str, float | None]) -> bytes:
        """Return a sheet's XML from behind its last row; `results` are its totals by column."""
        edges, rows = self._sheets[number - 1]
        return edges.below(number, rows, results) + self._split(number)[1]

    def _split(self, number: int) -> tuple[bytes, bytes]:
        xml = self._parts[sheet_part(number)]
        before, _, after = re.sub(rb"<dimension[^>]*/>", b"", xml).partition(b"<sheetData/>")
        if not after:
            before, _, after = xml.partition(b"<sheetData></sheetData>")
        declaration = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        return declaration + before + b"<sheetData>", b"</sheetData>" + after


@dataclass(frozen=True)
class Styles:
    """Style ids: the same in each workbook of a look."""

    columns: Sequence[int]
    """Of each column's cells."""
    header: int
    totals: Sequence[int]
    """Of each column's total."""
    title: int
    formulas: Mapping[str, int]
    """Of single cells with a formula."""


def sheet_part(number: int) -> str:
    """Return the name of the part that is sheet `number`, counted from 1."""
    return f"xl/worksheets/sheet{number}.xml"


def column_styles(looks: Sequence[Look]) -> list[Sequence[int]]:
    """Return the style ids of each column's cells, by look."""
    from openpyxl import Workbook

    sheet = Workbook().active
    return [_styles(sheet, look).columns for look in looks]


def _workbook(
    looks: Sequence[Look], sheets: Sequence[Placed], summaries: Sequence[Summary | None]
) -> tuple[Workbook, list[Styles]]:
    """Return the workbook and, by look, the ids of its styles."""
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    looks[0].workbook.put(book, looks[0].about)
    # With nothing to calculate, Excel would only ask to save on closing.
    book.calculation.fullCalcOnLoad = any(look.options.calculates for look in looks)
    styles = [_styles(sheet, look) for look in looks]
    for number, placed in enumerate(sheets, 1):
        sheet = book.create_sheet() if number > 1 else sheet
        sheet.title = numbered(placed.look.options.sheet_name, placed.nth)
        for n, width in enumerate(placed.widths):
            sheet.column_dimensions[letters(n)].width = width
        for give in _FEATURES:
            give(sheet, placed.look, number, placed.rows)
    for n, (look, summary) in enumerate(zip(looks, summaries, strict=False), 1):
        if summary is not None:
            number = next(m for m, placed in enumerate(sheets, 1) if placed.look is look)
            add_pivots(book, look, summary, cache=n, number=number, rows=sheets[number - 1].rows)
    add_lists(book, looks)
    return book, styles


def _styles(sheet: Worksheet, look: Look) -> Styles:
    """Return the ids of a look's styles, asked for in the same order each time."""
    options, kept = look.options, dict[tuple[CellStyle, str | None], int]()

    def style(of: CellStyle, code: str | None = None) -> int:
        if (of, code) not in kept:
            number_format = {"number_format": code} if code else {}
            kept[of, code] = _style(sheet, **of.of_cell(), **number_format)
        return kept[of, code]

    columns = [style(of, code) for of, code in zip(look.looks, look.formats, strict=True)]
    header = style(options.lined(options.header_style))
    bold = [options.lined(of.replace(bold=True)) for of in look.looks] if options.totals else []
    totals = [style(of, code) for of, code in zip(bold, look.formats, strict=False)]
    cells = {f.cell: style(f.style or CellStyle(), f.number_format) for f in options.formulas if f.cell}
    return Styles(columns, header, totals, style(options.title_style) if options.title else 0, cells)


def _style(sheet: Worksheet, **of_cell: object) -> int:
    """Return the id of a style; the cell that asks for it is not part of the sheet."""
    from openpyxl.cell import Cell

    cell = Cell(sheet, row=1, column=1)
    for name, value in of_cell.items():
        setattr(cell, name, value)
    return int(cell.style_id)


def _view(sheet: Worksheet, look: Look, number: int, rows: int) -> None:  # noqa: ARG001
    """Set how a sheet shows on the screen: panes, hidden columns, zoom, lines, the tab's color."""
    options = look.options
    if isinstance(options.freeze_panes, str):
        sheet.freeze_panes = options.freeze_panes
    elif options.freeze_panes and look.headers is not None:
        sheet.freeze_panes = f"A{look.first}"
    for n, name in enumerate(look.names):
        if name in options.columns and options.columns[name].hidden:
            sheet.column_dimensions[letters(n)].hidden = True
    if options.zoom != 100:
        sheet.sheet_view.zoomScale = options.zoom
    if not options.gridlines:
        sheet.sheet_view.showGridLines = False
    if options.tab_color:
        sheet.sheet_properties.tabColor = options.tab_color


_FEATURES: tuple[Feature, ...] = (
    _view,
    add_table,
    add_conditions,
    add_stripes,  # the rules before it count more
    add_validations,
    set_up_pages,
    protect,
    place_images,
    add_charts,
)


def _times(look: Look) -> bytes:
    """Return what replaces the times that openpyxl took from the clock: those asked for, else nothing."""
    created = look.workbook.moment(look.about)
    logical = look.about.logical_time
    made = {"created": created, "modified": datetime.fromisoformat(logical) if logical else created}
    # each says what its prefixes mean: with lxml, openpyxl declares none at the root
    kind = f'{_PREFIXES} xsi:type="dcterms:W3CDTF"'
    return "".join(
        f"<dcterms:{name} {kind}>{_zulu(moment)}</dcterms:{name}>" for name, moment in made.items() if moment
    ).encode()


def _zulu(moment: datetime) -> str:
    return (moment.astimezone(UTC) if moment.tzinfo else moment).strftime("%Y-%m-%dT%H:%M:%SZ")
