"""The rows of a workbook that was made from a template: between other cells, in columns that stand anywhere.

A hidden name says where they are; that must go with the header above them, with the table around them and with the
numbers of the rows above and below. The rows themselves are read as strictly as those of any other workbook.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Tree

import polars as pl

from export_pipeline.formats.excel.reader.cells import Grid
from export_pipeline.formats.excel.reader.layout import Layout
from export_pipeline.formats.excel.reader.package import Workbook, number_of
from export_pipeline.formats.excel.reader.sheets import READ, frames_of
from export_pipeline.formats.excel.reader.values import text_of

_NAME = "export_pipeline.rows"
_PLACE = re.compile(r"'((?:[^']|'')+)'!\$([A-Z]+)\$(\d+):\$([A-Z]+)\$(\d+)")
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_QUIET = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE)
_ROW = b"</row>"
_LOOKS = re.compile(rb'<row r="\d+"((?: ht="[\d.]+" customHeight="1")?)>')


@dataclass(frozen=True)
class _Area:
    """Where the rows are."""

    sheet: str
    left: int
    """Counted from 1."""
    right: int
    first: int
    last: int


def read(path: Path, schema: pl.Schema, *, by_header: bool, start: str | None, header: bool) -> Iterator[pl.DataFrame]:
    """Yield the rows, in batches, with this schema. ValueError says where the file is not as it must be.

    `by_header`: the header says which column is which; else they stand in their order. `start`: the cell that they must
    begin in. `header`: their names must stand above them.
    """
    with Workbook(path, template=True) as workbook:
        area, part = _area(workbook)
        match = re.fullmatch(r"([A-Z]+)(\d+)", start or "")
        if match is not None and (area.left, area.first) != (number_of(match[1]), int(match[2])):
            raise ValueError(f"the rows do not begin in {start}")
        workbook.check_parts(streamed={part})
        around: list[bytes] = []
        head = _head(workbook, part, area)
        width = area.right - area.left + 1
        names = _headers(workbook, part, head, area)
        given: list[str | None] = [*schema.names(), *[None] * (width - len(schema))]
        columns = _matched(names, schema.names()) if by_header else given
        if header and names[: len(schema)] != schema.names():
            raise ValueError(f"the headers are {names[:20]}, not {schema.names()[:20]}")
        layout = Layout(
            headers=None, formats=[None] * width, first=area.first, blanks=True, left=area.left - 1, columns=columns
        )
        grid = Grid(schema, layout, lambda style: _shown(workbook.number_format(style)))
        rows = yield from frames_of(_pieces(workbook, part, area, around), grid, area.first)
        if around:
            _check_around(b"".join(around), area, rows)


def _area(workbook: Workbook) -> tuple[_Area, str]:
    """Return where the rows are, and the part of their sheet."""
    book = workbook.tree("xl/workbook.xml")
    texts = [name.text or "" for name in book.iter(f"{_MAIN}definedName") if name.get("name") == _NAME]
    found = _PLACE.fullmatch(texts[0]) if len(texts) == 1 else None
    if found is None:
        raise ValueError(f"no name {_NAME} says where the rows are")
    sheet, left, first, right, last = found[1].replace("''", "'"), found[2], int(found[3]), found[4], int(found[5])
    area = _Area(sheet, number_of(left), number_of(right), first, last)
    return area, workbook.named_sheet(sheet)


def _head(workbook: Workbook, part: str, area: _Area) -> bytes:
    """Return the beginning of the sheet, up to its first row of data."""
    rest = b""
    begin = b'<row r="%d"' % area.first
    for block in workbook.stream(part, READ):
        rest += block
        if begin in rest:
            break
    return rest.partition(begin)[0]


def _pieces(workbook: Workbook, part: str, area: _Area, around: list[bytes]) -> Generator[bytes, None, None]:
    """Yield the XML of whole rows, many at a time, each piece without its last ``</row>``; the rest is put `around`."""
    blocks = workbook.stream(part, READ)
    begin, final = (b'<row r="%d"' % number for number in (area.first, area.last))
    rest = b""
    for block in blocks:
        rest += block
        if begin in rest:
            break
    head, found, rest = rest.partition(begin)
    around.append(head)
    if not found:
        return
    rest = found + rest
    while b">" not in rest and (block := next(blocks, b"")):
        rest += block
    tag = _LOOKS.match(rest)
    if tag is None:
        raise ValueError(f"row {area.first:,} does not begin as it must")
    looks = tag[1]  # the height of all rows, which the cells are read without
    while True:
        at = rest.find(final)
        end = rest.find(_ROW, at) if at >= 0 else -1
        if end >= 0:
            break
        cut = rest.rfind(_ROW)
        if cut >= 0:
            yield _bare(rest[:cut], looks)
            rest = rest[cut + len(_ROW) :]
        block = next(blocks, b"")
        if not block:
            raise ValueError(f"the sheet ends before its row {area.last:,}")
        rest += block
    yield _bare(rest[:end], looks)
    around.append(rest[end + len(_ROW) :])
    around.extend(blocks)


def _bare(xml: bytes, looks: bytes) -> bytes:
    return xml.replace(looks + b">", b">") if looks else xml


def _check_around(xml: bytes, area: _Area, rows: int) -> None:
    """Refuse a sheet that is not well formed, or has rows around the data that are not in order."""
    if rows != area.last - area.first + 1 and not (rows == 0 and area.first == area.last):
        raise ValueError(f"the name {_NAME} says rows {area.first:,} to {area.last:,}; there are {rows:,}")
    numbers = [int(row.attrib["r"]) for row in Tree.fromstring(xml).iter(f"{_MAIN}row")]  # noqa: S314 - expat, no entities
    inside = any(area.first <= number <= area.last for number in numbers)
    if inside or any(a >= b for a, b in itertools.pairwise(numbers)):
        raise ValueError("the rows around the data are not numbered one after the other")


def _headers(workbook: Workbook, part: str, head: bytes, area: _Area) -> list[str]:
    """Return what stands above each column: the names of the table, which must span the rows, else the cells."""
    for _, table in workbook.tables(part):
        found = re.fullmatch(r"([A-Z]+)(\d+):([A-Z]+)(\d+)", table.attrib["ref"])
        if found is None:
            raise ValueError(f"the table {table.attrib['displayName']} has no range")
        top, bottom = int(found[2]), int(found[4])
        if not (top <= area.first <= bottom and number_of(found[1]) <= area.left <= number_of(found[3])):
            continue
        above, below = int(table.get("headerRowCount", 1)), int(table.get("totalsRowCount", 0))
        spans = (number_of(found[1]), number_of(found[3]), top + above, bottom - below)
        if spans != (area.left, area.right, area.first, area.last):
            raise ValueError(f"the table {table.attrib['displayName']} spans {table.attrib['ref']}, not the rows")
        return [text_of(column.attrib["name"]) for column in table.iter(f"{_MAIN}tableColumn")]
    texts = {}
    row = re.search(rb'<row r="%d"[^>]*>(?:(?!</row>).)*</row>' % (area.first - 1), head, re.DOTALL)
    if row is not None:
        opening = re.search(rb"<worksheet\b[^>]*>", head)
        wrapped = (opening[0] if opening else b"<worksheet>") + row[0] + b"</worksheet>"
        for cell in Tree.fromstring(wrapped).iter(f"{_MAIN}c"):  # noqa: S314 - expat, no entities
            texts[number_of(cell.attrib["r"].rstrip("0123456789"))] = _text(workbook, cell)
    return [texts.get(number, "") for number in range(area.left, area.right + 1)]


def _text(workbook: Workbook, cell: Tree.Element) -> str:
    value = cell.find(f"{_MAIN}v")
    if cell.get("t") == "s" and value is not None:
        return text_of(workbook.shared(int(value.text or 0)))
    if value is not None:
        return text_of(value.text or "")
    return text_of("".join(text.text or "" for text in cell.iter(f"{_MAIN}t")))


def _matched(headers: Sequence[str], names: Sequence[str]) -> list[str | None]:
    """Return the column of the data below each header."""
    folded: Mapping[str, str] = {name.strip().casefold(): name for name in names}
    columns = [text if text in names else folded.get(text.strip().casefold()) for text in headers]
    if sorted(filter(None, columns)) != sorted(names):
        raise ValueError(f"the headers are {list(headers)[:20]}, not {list(names)[:20]}")
    return columns


def _shown(code: str) -> str:
    """Return `date` for a number format that shows dates or times; one known by a number only may be one."""
    plain = _QUIET.sub("", code.partition(";")[0])
    return "date" if code == "?" or (code != "General" and re.search("[dmyhs]", plain, re.IGNORECASE)) else "number"
