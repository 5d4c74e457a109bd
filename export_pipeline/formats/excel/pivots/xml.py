"""The parts of a pivot table in the package: its definition, and that of the cache which all of a sheet share.

The cache has no records: Excel reads the rows of the sheet when it opens the file (refreshOnLoad).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from export_pipeline.formats.excel.pivots.functions import FUNCTIONS
from export_pipeline.formats.excel.pivots.gathering import Path, Range, Summary
from export_pipeline.formats.excel.pivots.items import Item, moment
from export_pipeline.formats.excel.pivots.layout import Line, Placed, common
from export_pipeline.formats.excel.strings import escaped_text

_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_VALUES = -2
"""The number of the field that stands for several values."""
_LAST = dt.datetime(9999, 12, 30)
_NO_VALUES_ROW = (  # Excel's own later addition: no row that says "Values" above their captions
    '<extLst><ext uri="{962EF5D1-5CA2-4c93-8EF4-DBF5C05439D2}" '
    'xmlns:x14="http://schemas.microsoft.com/office/spreadsheetml/2009/9/main">'
    '<x14:pivotTableDefinition hideValuesRow="1" xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main"/>'
    "</ext></extLst>"
)

Ids = Mapping[str, int]
"""Column of the data, in order -> the id of its number format."""


def cache(source: str, headers: Mapping[str, str], formats: Ids, summary: Summary) -> str:
    """Return the definition of the cache; `source` are the attributes that say where the rows stand."""
    fields = []
    for name, header in headers.items():
        dtype = summary.schema.get(name)
        if name in summary.items:
            shared = _shared(summary.items[name])
        elif name in summary.ranges and dtype is not None:
            shared = _range(summary.ranges[name], dtype)
        else:
            shared = "<sharedItems/>"
        fields.append(f'<cacheField name="{attribute(header)}" numFmtId="{formats[name]}">{shared}</cacheField>')
    return (
        f'{_DECLARATION}<pivotCacheDefinition {_MAIN} saveData="0" refreshOnLoad="1" refreshedBy="export_pipeline" '
        'createdVersion="6" refreshedVersion="6" minRefreshableVersion="3">'
        f'<cacheSource type="worksheet"><worksheetSource {source}/></cacheSource>'
        f"{_list('cacheFields', fields)}</pivotCacheDefinition>"
    )


def definition(placed: Placed, cache_id: int, formats: Ids, number_formats: Sequence[int]) -> str:
    """Return the definition of a pivot table; `number_formats` are the ids of those of its values."""
    table = placed.computed.table
    number = {name: n for n, name in enumerate(formats)}
    kind = dict.fromkeys(table.rows, "axisRow") | dict.fromkeys(table.columns, "axisCol")
    kind |= {one.column: "axisPage" for one in table.filters}
    values = {value.column for value in table.values}
    flat = "" if table.layout == "compact" else ' compact="0"'
    flat += ' outline="0"' if table.layout == "tabular" else ""

    def field(name: str) -> str:
        axis = f' axis="{kind[name]}"' if name in kind else ""
        data = ' dataField="1"' if name in values else ""
        code = f' numFmtId="{formats[name]}"' if axis and formats[name] else ""
        totals = "" if table.subtotals or not axis else ' defaultSubtotal="0"'
        opening = f'<pivotField{axis}{data}{code}{flat} showAll="0"{totals}'
        if not axis:
            return f"{opening}/>"
        items = [f'<item x="{n}"/>' for n in range(len(placed.items[name]))]
        items += ['<item t="default"/>'] if table.subtotals else []
        return f"{opening}>{_list('items', items)}</pivotField>"

    across = [number[name] for name in table.columns] + ([_VALUES] if placed.several else [])
    pages = [
        f'<pageField fld="{number[one.column]}"' + ("" if place is None else f' item="{place}"') + ' hier="-1"/>'
        for one, place in zip(table.filters, placed.computed.chosen, strict=True)
    ]
    style = "" if table.style == "none" else f' name="{table.style}"'
    return "".join(
        [
            f'{_DECLARATION}<pivotTableDefinition {_MAIN} name="{attribute(table.name)}" cacheId="{cache_id}" ',
            'applyNumberFormats="0" applyBorderFormats="0" applyFontFormats="0" applyPatternFormats="0" ',
            'applyAlignmentFormats="0" applyWidthHeightFormats="1" dataCaption="Values" showError="1" ',
            'updatedVersion="6" minRefreshableVersion="3" useAutoFormatting="1" ',
            "" if table.row_totals else 'rowGrandTotals="0" ',
            "" if table.column_totals else 'colGrandTotals="0" ',
            'itemPrintTitles="1" createdVersion="6" indent="0" ',
            'compact="0" compactData="0" ' if placed.in_columns else "",
            "" if table.layout == "tabular" else 'outline="1" outlineData="1" ',
            'multipleFieldFilters="0"',
            f' rowHeaderCaption="{attribute(placed.row_caption)}"' if not placed.in_columns else "",
            f' colHeaderCaption="{attribute(placed.column_caption)}"'
            if not placed.in_columns and table.columns
            else "",
            f">{_location(placed)}",
            _list("pivotFields", [field(name) for name in formats]),
            _list("rowFields", [f'<field x="{number[name]}"/>' for name in table.rows]),
            _list("rowItems", _lines(placed.lines, whole=table.layout == "tabular")),
            _list("colFields", [f'<field x="{n}"/>' for n in across]) if across else "",
            _list("colItems", _lines(placed.columns, whole=True, values=placed.several)),
            _list("pageFields", pages) if pages else "",
            _list("dataFields", _data_fields(placed, number, number_formats)),
            f'<pivotTableStyleInfo{style} showRowHeaders="1" showColHeaders="1" ',
            'showRowStripes="0" showColStripes="0" showLastColumn="1"/>',
            _NO_VALUES_ROW if placed.several and not table.columns else "",
            "</pivotTableDefinition>",
        ]
    )


def _data_fields(placed: Placed, number: Mapping[str, int], number_formats: Sequence[int]) -> list[str]:
    table, made = placed.computed.table, []
    captions = table.captions(dict(placed.headers))
    for value, caption, code in zip(table.values, captions, number_formats, strict=True):
        function = FUNCTIONS[value.function][1]
        subtotal = "" if function == "sum" else f' subtotal="{function}"'
        shown = f' numFmtId="{code}"' if code else ""
        made.append(
            f'<dataField name="{attribute(caption)}" fld="{number[value.column]}"{subtotal} baseField="0" '
            f'baseItem="0"{shown}/>'
        )
    return made


def _location(placed: Placed) -> str:
    filters = len(placed.computed.table.filters)
    header = 0 if placed.several and not placed.computed.table.columns else 1
    pages = f' rowPageCount="{filters}" colPageCount="1"' if filters else ""
    return (
        f'<location ref="{placed.area}" firstHeaderRow="{header}" firstDataRow="{placed.captions}" '
        f'firstDataCol="{placed.labels}"{pages}/>'
    )


def _lines(lines: Sequence[Line], *, whole: bool, values: bool = False) -> list[str]:
    """Return the items of each line; those that it begins with like the one before are counted (`r`) only.

    `whole` says whether a line has all items of its path; else the last one alone.
    """
    made: list[str] = []
    before: Path = ()
    for line in lines:
        path = line.path + ((line.value,) if values and line.kind == "data" else ())
        most = max(len(path) - 1, 0)
        same = min(common(before, path), most) if whole else most
        before = path
        places = path[same:] if line.kind != "grand" else (0,)
        kind = "" if line.kind == "data" else f' t="{line.kind}"'
        repeated = f' r="{same}"' if same else ""
        value = f' i="{line.value}"' if line.value else ""
        items = "".join("<x/>" if place == 0 else f'<x v="{place}"/>' for place in places)
        made.append(f"<i{kind}{repeated}{value}>{items}</i>" if items else f"<i{kind}{repeated}{value}/>")
    return made


def _shared(items: Sequence[Item]) -> str:
    """Return the items of a field and what kinds of values they are."""
    values = [item.value for item in items]
    dates = [item.moment for item in items if item.date]
    numbers = [v for item in items if not item.date and isinstance(v := item.value, float)]
    texts = any(isinstance(value, (str, bool)) for value in values)
    made = _kinds(blank=None in values, texts=texts, dates=dates, numbers=numbers)
    return f'<sharedItems{made} count="{len(items)}">{"".join(map(_item, items))}</sharedItems>'


def _item(item: Item) -> str:
    if item.value is None:
        return "<m/>"
    if isinstance(item.value, bool):
        return f'<b v="{item.value:d}"/>'
    if isinstance(item.value, str):
        return f'<s v="{attribute(item.value)}"/>'
    return f'<d v="{item.moment.isoformat()}"/>' if item.date else f'<n v="{number_text(item.value)}"/>'


def _range(found: Range, dtype: pl.DataType) -> str:
    """Return what kinds of values a field has that is only computed with."""
    ends = [] if found.least is None or found.most is None else [found.least, found.most]
    dates = isinstance(dtype, (pl.Date, pl.Datetime))
    made = _kinds(
        blank=found.blank,
        texts=found.texts or isinstance(dtype, pl.Boolean),
        dates=[moment(end) for end in ends] if dates else [],
        numbers=[] if dates else ends,
        integers=dtype.is_integer(),
    )
    return f"<sharedItems{made}/>"


def _kinds(
    *, blank: bool, texts: bool, dates: Sequence[dt.datetime], numbers: Sequence[float], integers: bool | None = None
) -> str:
    given: dict[str, Any] = {}
    if not (texts or blank):
        given["containsSemiMixedTypes"] = 0
    if dates or (blank and not texts and not numbers):
        given |= {} if texts or numbers else {"containsNonDate": 0}
    if dates:
        given["containsDate"] = 1
    if not texts:
        given["containsString"] = 0
    if blank:
        given["containsBlank"] = 1
    if (texts and (dates or numbers)) or (dates and numbers):
        given["containsMixedTypes"] = 1
    if numbers:
        given["containsNumber"] = 1
        if all(number.is_integer() for number in numbers) if integers is None else integers:
            given["containsInteger"] = 1
        given |= {"minValue": number_text(min(numbers)), "maxValue": number_text(max(numbers))}
    if dates:  # the end is not included
        end = min(max(dates), _LAST) + dt.timedelta(days=1)
        given |= {"minDate": min(dates).isoformat(), "maxDate": end.isoformat()}
    return "".join(f' {name}="{value}"' for name, value in given.items())


def number_text(value: float) -> str:
    """Return the shortest text of exactly this number."""
    whole = isinstance(value, int) or (value.is_integer() and abs(value) < 1e15)
    return str(int(value)) if whole else repr(value)


def attribute(text: str) -> str:
    """Return a text as the value of an attribute; line ends and tabs are kept."""
    return escaped_text(text).replace("\n", "&#10;").replace("\t", "&#9;")


def _list(name: str, elements: Iterable[str]) -> str:
    held = list(elements)
    return f'<{name} count="{len(held)}">{"".join(held)}</{name}>'
