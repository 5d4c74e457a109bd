"""A sheet as a stream of frames: its bytes are cut between rows, the pieces are read in threads, in order."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from xml.etree import ElementTree as Tree

import polars as pl

from export_pipeline.formats.excel.reader.cells import Grid, Piece
from export_pipeline.formats.excel.reader.layout import Layout
from export_pipeline.formats.excel.reader.package import Workbook
from export_pipeline.formats.excel.reader.values import text_of

READ = 1 << 22
"""Bytes of XML that are read and taken apart at a time."""
_MAX_THREADS = 4
_BEGIN, _END, _ROW = b"<sheetData>", b"</sheetData>", b"</row>"
_NUMBER = re.compile(rb'<row r="(\d+)"(?: ht="[\d.]+" customHeight="1")?>')
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def frames(
    workbook: Workbook,
    part: str,
    schema: pl.Schema,
    layout: Layout,
) -> Generator[pl.DataFrame, None, int]:
    """Yield the rows of one sheet; return their number."""
    foot: list[bytes] = []
    grid = Grid(schema, layout, workbook.number_format)
    rows = yield from frames_of(_pieces(workbook.stream(part, READ), layout, foot), grid, layout.first)
    if layout.totals:
        _check_totals(foot[0] if foot else b"", layout.first + max(rows, 1))
    return rows


def frames_of(pieces: Iterator[bytes], grid: Grid, first: int) -> Generator[pl.DataFrame, None, int]:
    """Yield the rows of pieces, the first of which has this number; return how many there are."""
    rows = 0
    threads = min(_MAX_THREADS, pl.thread_pool_size())
    waiting: deque[Future[Piece]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
        try:
            for piece in pieces:
                waiting.append(pool.submit(grid.read, piece))
                if len(waiting) > threads:
                    frame = _next(waiting, first + rows)
                    rows += frame.height
                    yield frame
            while waiting:
                frame = _next(waiting, first + rows)
                rows += frame.height
                yield frame
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return rows


def _next(waiting: deque[Future[Piece]], row: int) -> pl.DataFrame:
    """Return the next frame, which must begin with this row."""
    piece = waiting.popleft().result()
    if piece.first not in (None, row):
        raise ValueError(f"row {row:,} is missing: row {piece.first:,} follows")
    return piece.frame


def _pieces(blocks: Iterator[bytes], layout: Layout, foot: list[bytes]) -> Iterator[bytes]:
    """Yield the XML of whole rows, many at a time, each piece without its last ``</row>``.

    What is before the rows and after them must be well formed, and the first row must be the headers. The row of totals
    is put into `foot`.
    """
    rest = b""
    for block in blocks:
        rest += block
        if _BEGIN in rest:
            break
    before, found, rest = rest.partition(_BEGIN)
    if not found:
        raise ValueError("the sheet has no rows element")
    above = layout.first - 1
    while above:
        while _ROW not in rest and _END not in rest and (block := next(blocks, b"")):
            rest += block
        number = _NUMBER.match(rest)
        if number is None or int(number[1]) > above:
            break
        row, _, rest = rest.partition(_ROW)
        if int(number[1]) == above:
            _check_headers(row + _ROW, layout)
            break
        Tree.fromstring(row + _ROW)  # noqa: S314 (expat, no entities: the file is ours)
    else:
        number = None
    if layout.headers and (number is None or int(number[1]) != above):
        raise ValueError("the row of headers is missing")
    end = -1
    while (end := rest.find(_END)) < 0:
        cut = rest.rfind(_ROW)
        if cut >= 0 and layout.totals:  # the last row may be the totals
            cut = rest.rfind(_ROW, 0, cut)
        if cut >= 0:
            yield rest[:cut]
            rest = rest[cut + len(_ROW) :]
        block = next(blocks, b"")
        if not block:
            raise ValueError("the sheet ends in the middle of its rows")
        rest += block
    last, after = rest[:end], rest[end + len(_END) :] + b"".join(blocks)
    if last and not last.endswith(_ROW):
        raise ValueError("the sheet ends in the middle of a row")
    if layout.totals:
        begin = last.rfind(b"<row ")
        if begin < 0:
            raise ValueError("the row of totals is missing")
        foot.append(last[begin:])
        last = last[:begin]
    if last:
        yield last[: -len(_ROW)]
    Tree.fromstring(before + _BEGIN + _END + after)  # noqa: S314 (expat, no entities: the file is ours)


def _check_headers(xml: bytes, layout: Layout) -> None:
    """Refuse other headers. Right of them formulas may stand; without headers, the row is any row above the data."""
    row = Tree.fromstring(xml)  # noqa: S314 (expat, no entities: the file is ours)
    if layout.headers is None:
        return
    cells = row[: len(layout.headers)]
    texts = [text_of("".join(cell.itertext())) for cell in cells]
    places = [cell.attrib["r"].rstrip("0123456789") for cell in row]
    ordered = all((len(a), a) < (len(b), b) for a, b in itertools.pairwise(places))
    more = any(len(cell) != 1 or (not cell[0].tag.endswith("}f") and cell[0].tag != "f") for cell in row[len(cells) :])
    if texts != list(layout.headers) or not ordered or more or row.attrib["r"] != str(layout.first - 1):
        raise ValueError(f"the headers are {texts[:20]}, not {list(layout.headers)[:20]}")


def _check_totals(xml: bytes, row: int) -> None:
    """Refuse a row of totals that is not well formed or not below the data."""
    found = Tree.fromstring(xml)  # noqa: S314 (expat, no entities: the file is ours)
    if found.attrib["r"] != str(row) or any(cell.attrib["r"].lstrip(_UPPER) != str(row) for cell in found):
        raise ValueError(f"the totals are row {found.attrib['r']}, not {row}")
