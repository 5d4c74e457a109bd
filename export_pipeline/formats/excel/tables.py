"""The table that the rows are, its filter, and its stripes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export_pipeline.formats.excel.formulas import Total
from export_pipeline.formats.excel.strings import held_text

if TYPE_CHECKING:
    from openpyxl.worksheet.table import TableColumn
    from openpyxl.worksheet.worksheet import Worksheet

    from export_pipeline.formats.excel.look import Look

_STRIPES = "F2F2F2"


def add_table(sheet: Worksheet, look: Look, number: int, rows: int) -> None:
    """Make the rows a table, or give plain cells a filter."""
    if look.headers is None:
        return
    # A table of no rows keeps one empty row: Excel repairs a table that is only a header.
    filtered = look.area(rows, header=True)
    if look.table is None:
        if look.options.autofilter:
            sheet.auto_filter.ref = filtered
        return
    from openpyxl.worksheet.table import Table, TableStyleInfo

    table = Table(displayName=f"Table{number}", ref=look.area(rows, header=True, totals=True))
    table.tableStyleInfo = TableStyleInfo(name=look.table, showRowStripes=look.options.alternating_rows is True)
    table._initialise_columns()  # else openpyxl makes every cell of the area when it saves
    for column, text, name in zip(table.tableColumns, look.headers, look.names, strict=True):
        column.name = held_text(text)
        if name in look.options.totals:
            _total(column, look.options.totals[name], look, rows, number)
    if look.options.totals:
        table.totalsRowCount = 1
    if look.options.autofilter:
        table.autoFilter.ref = filtered
    else:
        table.autoFilter = None
    sheet.add_table(table)


def add_stripes(sheet: Worksheet, look: Look, number: int, rows: int) -> None:  # noqa: ARG001
    """Colour every second row by a rule, which costs nothing per row, where the table's style does not."""
    asked = look.options.alternating_rows
    if asked is False or (asked is True and look.table is not None and look.headers is not None):
        return
    from openpyxl.formatting.rule import FormulaRule
    from openpyxl.styles import PatternFill

    # a rule's fill is its background
    fill = PatternFill(bgColor=_STRIPES if asked is True else asked, fill_type="solid")
    rule = FormulaRule(formula=[f"MOD(ROW(),2)={(look.first + 1) % 2}"], fill=fill)
    sheet.conditional_formatting.add(look.area(rows), rule)


def _total(column: TableColumn, total: Total, look: Look, rows: int, number: int) -> None:
    """Tell a table's column what stands below it."""
    from openpyxl.worksheet.table import TableFormula

    if total.label is not None:
        column.totalsRowLabel = held_text(total.label)
        return
    column.totalsRowFunction = total.function or "custom"
    if total.function is None:
        formula = total.text(look, look.names[0], rows, number) or ""
        column.totalsRowFormula = TableFormula(attr_text=held_text(formula))
