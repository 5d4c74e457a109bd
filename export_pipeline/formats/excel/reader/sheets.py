"""A sheet as a stream of frames: its bytes are cut between rows, the pieces are read in threads, in order."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from xml.etree import ElementTree as Tree

import polars as pl

from export_pipeline.formats.excel.reader.cells import Grid, Piece
from export_pipeline.formats.excel.reader.package import Workbook
from export_pipeline.formats.excel.reader.values import text_of

_READ = 1 << 22
"""Bytes of XML that are read and taken apart at a time."""
_MAX_THREADS = 4
_BEGIN, _END, _ROW = b"<sheetData>", b"</sheetData>", b"</row>"


def frames(
    workbook: Workbook,
    part: str,
    schema: pl.Schema,
    headers: Sequence[str] | None,
    formats: Sequence[str | None],
) -> Generator[pl.DataFrame, None, int]:
    """Yield the rows of one sheet; return their number."""
    rows, grid = 0, Grid(schema, formats, workbook.number_format)
    threads = min(_MAX_THREADS, pl.thread_pool_size())
    waiting: deque[Future[Piece]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
        try:
            pieces = _pieces(workbook.stream(part, _READ), headers)
            first = 1 if headers is None else 2
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


def _pieces(blocks: Iterator[bytes], headers: Sequence[str] | None) -> Iterator[bytes]:
    """Yield the XML of whole rows, many at a time, each piece without its last ``</row>``.

    What is before the rows and after them must be well formed, and the first row must be the headers.
    """
    rest = b""
    for block in blocks:
        rest += block
        if _BEGIN in rest:
            break
    before, found, rest = rest.partition(_BEGIN)
    if not found:
        raise ValueError("the sheet has no rows element")
    if headers is not None and headers:
        while _ROW not in rest and (block := next(blocks, b"")):
            rest += block
        row, _, rest = rest.partition(_ROW)
        _check_headers(row + _ROW, headers)
    end = -1
    while (end := rest.find(_END)) < 0:
        cut = rest.rfind(_ROW)
        if cut >= 0:
            yield rest[:cut]
            rest = rest[cut + len(_ROW) :]
        block = next(blocks, b"")
        if not block:
            raise ValueError("the sheet ends in the middle of its rows")
        rest += block
    last, after = rest[:end], rest[end + len(_END) :] + b"".join(blocks)
    if last:
        if not last.endswith(_ROW):
            raise ValueError("the sheet ends in the middle of a row")
        yield last[: -len(_ROW)]
    Tree.fromstring(before + _BEGIN + _END + after)  # noqa: S314 (expat, no entities: the file is ours)


def _check_headers(xml: bytes, headers: Sequence[str]) -> None:
    row = Tree.fromstring(xml)  # noqa: S314 (expat, no entities: the file is ours)
    texts = [text_of("".join(cell.itertext())) for cell in row]
    places = [cell.attrib["r"].rstrip("0123456789") for cell in row]
    ordered = all((len(a), a) < (len(b), b) for a, b in itertools.pairwise(places))
    if texts != list(headers) or not ordered or row.attrib["r"] != "1":
        raise ValueError(f"the headers are {texts[:20]}, not {list(headers)[:20]}")
