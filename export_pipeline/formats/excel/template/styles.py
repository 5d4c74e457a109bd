"""Styles of a template's cells: whether they show dates as dates, and new ones where they do not."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from export_pipeline.formats.excel.styles import NumberFormats
from export_pipeline.formats.excel.template.markup import MAIN, Edit, applied, elements, with_attributes

_DATES = {*range(14, 23), *range(27, 37), 45, 46, 47, *range(50, 59)}
"""Formats that are known by a number and show dates or times (ECMA-376, 18.8.30)."""
_FIRST = 164
"""The first number of a format of one's own."""
_QUIET = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]')
"""What says nothing of the value: texts, colors, conditions."""


def shows_dates(code: str) -> bool:
    """Return whether a number format shows a number as a date or a time."""
    return bool(re.search("[dmyhs]", _QUIET.sub("", code.split(";")[0]), re.IGNORECASE)) and code != "General"


def fitting(data: bytes, wanted: Sequence[tuple[int, pl.DataType]]) -> tuple[bytes, list[int]]:
    """Return the part of styles and the style of each column, given that of its sample cell and its type.

    A date whose sample cell would show it as a number gets the same style with a format for dates.
    """
    found = elements(data)
    top = {e.name: e for e in found if e.parent is found[0]}
    listed = top.get(f"{MAIN} cellXfs")
    cells = [e for e in found if listed is not None and e.parent is listed]
    own = {
        int(e.attributes["numFmtId"]): e.attributes.get("formatCode", "") for e in found if e.name == f"{MAIN} numFmt"
    }
    made, kept = list[bytes](), dict[tuple[int, str], int]()
    formats, styles = dict[str, int](), list[int]()
    for style, dtype in wanted:
        code = NumberFormats().code(dtype) if dtype.is_temporal() else None
        number = int(cells[style].attributes.get("numFmtId", 0)) if style < len(cells) else 0
        if code is None or style >= len(cells) or number in _DATES or shows_dates(own.get(number, "")):
            styles.append(style)
            continue
        if code not in formats:
            formats[code] = max([_FIRST - 1, *own, *formats.values()]) + 1
        if (style, code) not in kept:
            kept[style, code] = len(cells) + len(made)
            cell = cells[style]
            new = {"numFmtId": str(formats[code]), "applyNumberFormat": "1"}
            made.append(with_attributes(data[cell.start : cell.opened], new) + data[cell.opened : cell.end])
        styles.append(kept[style, code])
    if not made or listed is None:
        return data, styles
    changes = [
        Edit(listed.closing, listed.closing, b"".join(made)),
        Edit(listed.start, listed.opened,
             with_attributes(data[listed.start : listed.opened], {"count": str(len(cells) + len(made))})),
    ]  # fmt: skip
    prefix = data[found[0].start + 1 : found[0].opened].split(b"styleSheet")[0]
    codes = b"".join(
        b'<%bnumFmt numFmtId="%d" formatCode="%b"/>' % (prefix, number, code.encode())
        for code, number in formats.items()
    )
    numbers = top.get(f"{MAIN} numFmts")
    if numbers is None or numbers.opened == numbers.end:
        begin, end = (found[0].opened, found[0].opened) if numbers is None else (numbers.start, numbers.end)
        opening = b'<%bnumFmts count="%d">' % (prefix, len(formats))
        changes.append(Edit(begin, end, opening + codes + b"</%bnumFmts>" % prefix))
    else:
        tag = with_attributes(data[numbers.start : numbers.opened], {"count": str(len(own) + len(formats))})
        changes += [Edit(numbers.start, numbers.opened, tag), Edit(numbers.closing, numbers.closing, codes)]
    return applied(data, changes), styles
