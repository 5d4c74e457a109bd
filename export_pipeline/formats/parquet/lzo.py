"""LZO pages: no writer here makes them, so the pages of an uncompressed file are compressed while it streams by.

A page is framed as Hadoop's `LzoCodec` does it: four bytes with the size of the page, then pieces, each with its
compressed size in four bytes. Reading goes the same way backwards: the pages are unpacked into a temporary file without
a name that Arrow reads, and every offset and size in the footer is followed on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, cast

from export_pipeline.errors import ConfigError, FormatError
from export_pipeline.formats.parquet.thrift import FALSE, I32, I64, TRUE, Reader, Struct, dumps

PIECE = 245_693
"""Bytes of a piece before compression: what Hadoop's reader, whose buffer has 256 KiB, can unpack at once."""
WHO = (
    "LZO pages are read by Hadoop's programs, such as Spark, with an LZO codec; not by Arrow, pandas, DuckDB or Polars"
)

_MAGIC = b"PAR1"
_PLAIN, _LZO = 0, 3
"""The codecs' numbers in a footer."""
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
"""Kinds of pages."""
_BLOCK = 1 << 20


def check_installed() -> None:
    """Raise ConfigError where the compressor is missing."""
    if find_spec("lzallright") is None:
        raise ConfigError(
            "compression: lzo needs the package lzallright, which is not installed",
            cure="Install it: pip install 'export_pipeline[lzo]'; or use lz4 or snappy, as fast and read by all.",
        )


def pack(page: bytes) -> bytes:
    """Return a page, compressed and framed."""
    from lzallright import LZOCompressor

    compressor, out = LZOCompressor(), [len(page).to_bytes(4, "big")]
    for at in range(0, len(page), PIECE):
        piece = compressor.compress(page[at : at + PIECE])
        out += [len(piece).to_bytes(4, "big"), piece]
    return b"".join(out)


def unpack(packed: bytes) -> bytes:
    """Return a page; raises FormatError, or what the codec raises, for a broken one."""
    from lzallright import LZOCompressor

    size, out, at = int.from_bytes(packed[:4], "big"), bytearray(), 4
    while at < len(packed):
        end = at + 4 + int.from_bytes(packed[at : at + 4], "big")
        out += LZOCompressor.decompress(packed[at + 4 : end], min(PIECE, size - len(out)))
        at = end
    if len(out) != size or at != len(packed):
        raise FormatError(f"a page of {size:,} bytes has {len(out):,}")
    return bytes(out)


@contextmanager
def packing(sink: BinaryIO) -> Iterator[BinaryIO]:
    """Give a writer a sink for an uncompressed file; the file behind it gets LZO pages."""
    pages = _Pages(sink, _PLAIN, _LZO, pack)
    yield cast("BinaryIO", pages)
    pages.finish()


def unpack_file(path: Path, target: BinaryIO) -> None:
    """Write the file at `path`, its pages unpacked. Raises FormatError for a file that is not what it says."""
    pages = _Pages(target, _LZO, _PLAIN, unpack)
    try:
        with path.open("rb") as source:
            while block := source.read(_BLOCK):
                pages.write(block)
        pages.finish()
    except (KeyError, IndexError) as error:
        raise FormatError(f"{path.name}: its footer does not fit its pages") from error
    target.flush()


@dataclass(frozen=True)
class _Page:
    """Where a page was and is, with its header."""

    size: int
    at: int
    new_size: int
    plain: int


class _Pages:
    """A writable file-like that changes the pages of the file that is written to it; it holds one page and the end."""

    def __init__(self, sink: BinaryIO, codec: int, wanted: int, change: Callable[[bytes], bytes]) -> None:
        self._sink, self._codec, self._wanted, self._change = sink, codec, wanted, change
        self._buffer, self._start = bytearray(), 0  # bytes that wait, and where in the given file they begin
        self._at = 0  # bytes handed on
        self._pages: dict[int, _Page] = {}
        self._ending = False

    def write(self, data: bytes | memoryview) -> int:
        """Take bytes; hand on the pages that are complete."""
        self._buffer += data
        if not self._ending:
            done = 0
            while (size := self._next(done)) > 0:
                done += size
            del self._buffer[:done]
            self._start += done
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Do nothing: pages are handed on when they are complete."""

    def writable(self) -> bool:
        """Say that this is written to."""
        return True

    def close(self) -> None:
        """Do nothing: `finish` is called when all went well."""

    def _put(self, data: bytes) -> None:
        self._sink.write(data)
        self._at += len(data)

    def _next(self, at: int) -> int:
        """Hand on the page at this place of the buffer; return its size, 0 if it is not complete or none."""
        buffer = self._buffer
        if len(buffer) - at < 4:
            return 0
        if self._start + at == 0:
            if buffer[:4] != _MAGIC:
                raise FormatError(f"a Parquet file begins with {_MAGIC!r}, not {bytes(buffer[:4])!r}")
            self._put(_MAGIC)
            return 4
        # A header begins with two integers, and its kind is small; bloom filters, indexes and the footer do not.
        is_page = buffer[at] == buffer[at + 2] == 0x15 and buffer[at + 1] < 8
        # Behind its pages, Polars repeats what the footer says of a column, which is left out.
        is_column = buffer[at] == 0x15 and buffer[at + 2] == 0x19 and buffer[at + 3] & 15 == I32
        if not (is_page or is_column):
            self._ending = True
            return 0
        reader = Reader(buffer, at)
        try:
            header = reader.struct()
        except IndexError:
            return 0
        if is_column:
            return reader.at - at
        body, size = reader.at, header[3][1]
        if len(buffer) < body + size:
            return 0
        changed = self._changed(header, bytes(buffer[body : body + size]))
        header[3] = (I32, len(changed))
        header.pop(4, None)  # a checksum of the bytes as they were
        head = dumps(header)
        old: int = body + size - at
        plain = len(head) + header[2][1]
        self._pages[self._start + at] = _Page(old, self._at, len(head) + len(changed), plain)
        self._put(head + changed)
        return old

    def _changed(self, header: Struct, body: bytes) -> bytes:
        kind = header[1][1]
        levels = b""
        if kind == _DATA_V2:
            own: Struct = header[8][1]
            here = own[5][1] + own[6][1]
            levels, body = body[:here], body[here:]
            packed = self._codec == _LZO and own.get(7, (TRUE, True))[1]
            changed = body if not body or (self._codec == _LZO and not packed) else self._change(body)
            own[7] = (FALSE, bool(body) and self._wanted == _LZO)
        elif kind in (_DATA, _DICTIONARY):
            changed = self._change(body)
        else:
            raise FormatError(f"a page has the kind {kind}, which is not known here")
        if self._wanted == _PLAIN and len(levels) + len(changed) != header[2][1]:
            raise FormatError(f"a page of {header[2][1]:,} bytes has {len(levels) + len(changed):,}")
        return levels + changed

    def finish(self) -> None:
        """Write the indexes and the footer, which say where the pages are now."""
        end = bytes(self._buffer)
        size = int.from_bytes(end[-8:-4], "little")
        if end[-4:] != _MAGIC or size > len(end) - 8:
            raise FormatError("the file has no footer")
        footer = Reader(end, len(end) - 8 - size).struct()
        chunks = [chunk for group in footer[4][1][1] for chunk in group[1][1][1]]
        for group in footer[4][1][1]:
            self._group(group)
        self._indexes(chunks, end)
        data = dumps(footer)
        self._put(data + len(data).to_bytes(4, "little") + _MAGIC)

    def _group(self, group: Struct) -> None:
        packed = plain = 0
        for chunk in group[1][1][1]:
            meta: Struct = chunk[3][1]
            if meta[4][1] != self._codec:
                raise FormatError(f"a column has the codec {meta[4][1]}, not {self._codec}")
            at = self._first(chunk)
            stop, new_size, new_plain = at + meta[7][1], 0, 0
            while at < stop:
                page = self._pages[at]
                at, new_size, new_plain = at + page.size, new_size + page.new_size, new_plain + page.plain
            if at != stop:
                raise FormatError("a column ends inside of a page")
            for field in (9, 11):
                if field in meta:
                    meta[field] = (I64, self._pages[meta[field][1]].at)
            meta[4], meta[6], meta[7] = (I32, self._wanted), (I64, new_plain), (I64, new_size)
            chunk[2] = (I64, 0)
            packed, plain = packed + new_size, plain + new_plain
        group[2] = (I64, plain)
        if 5 in group:
            group[5] = (I64, min(self._first(chunk) for chunk in group[1][1][1]))
        if 6 in group:
            group[6] = (I64, packed)

    @staticmethod
    def _first(chunk: Struct) -> int:
        meta: Struct = chunk[3][1]
        return int(min(meta[field][1] for field in (9, 11) if field in meta))

    def _indexes(self, chunks: list[Struct], end: bytes) -> None:
        """Write the indexes of columns as they are, those of offsets with the new ones, in the order of the file."""
        places = [(chunk[field][1], field, chunk) for chunk in chunks for field in (4, 6) if field in chunk]
        for at, field, chunk in sorted(places, key=lambda place: place[0]):
            data = end[at - self._start : at - self._start + chunk[field + 1][1]]
            if field == 4:
                index = Reader(data).struct()
                for place in index[1][1][1]:
                    page = self._pages[place[1][1]]
                    if page.size != place[2][1]:
                        raise FormatError("an index has another size than its page")
                    place[1], place[2] = (I64, page.at), (I32, page.new_size)
                data = dumps(index)
            chunk[field], chunk[field + 1] = (I64, self._at), (I32, len(data))
            self._put(data)
