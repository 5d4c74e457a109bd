"""Small Parquet files of one schema, which come one after another, become one file while they stream by.

Each is its pages, indexes of their values, indexes of their places, and a footer. All before the places is handed on as
it is; the places, and what the footer says of row groups, are copied with other offsets: theirs count from where the
small file begins. A file that stays alone is handed on to the last byte as it is.
"""

from __future__ import annotations

from typing import BinaryIO

from export_pipeline.errors import FormatError
from export_pipeline.formats.parquet.thrift import BINARY, LIST, STRUCT, Copier, Reader, dumps, list_head

HELD = 1 << 20
"""Bytes that wait until it is known that they are pages; more where a row group is larger."""
ORDINALS = 1 << 15
"""Row groups that can have a number; Polars' further ones have none."""
_TRIES = 8
"""Places in what waits, from the last one on, that are looked at whether a column ends there."""
_MAGIC = b"PAR1"
_BROKEN = (IndexError, KeyError, TypeError, ValueError, RecursionError)
"""What reading raises where there is something else."""


class Joined:
    """The file that sections become; it holds what may be the end of a section."""

    def __init__(self, sink: BinaryIO, column: str) -> None:
        self._sink, self._at = sink, 0
        # In the description of a column that Polars repeats behind its pages: the path, the beginning of the codec.
        self._mark = b"\x19" + dumps({1: (LIST, (BINARY, [column.encode()]))})[1:-1] + b"\x15"
        self._blocks: list[bytes] = []
        self._size, self._limit = 0, HELD
        self._start = 0  # where in its section begins what is held
        self._begun, self._moved = False, 0  # how far the section is from where it believes to be
        self._rows, self._count = 0, 0
        self._head, self._groups, self._tail = b"", bytearray(), b""  # of the footer

    def begin(self) -> None:
        """Begin a section."""
        if self._begun:
            self._settle()
            self._moved = self._at - len(_MAGIC)
        self._begun = True

    def write(self, data: bytes) -> None:
        """Take bytes of the section; hand on what is before the end of a column."""
        self._blocks.append(data)
        self._size += len(data)
        if self._size >= self._limit:
            held = b"".join(self._blocks)
            end = self._column_end(held)
            self._hand(held, end)
            self._blocks, self._size = [held[end:]], len(held) - end
            self._limit = max(HELD, 2 * self._size)

    def finish(self) -> None:
        """Hand on the end of the file."""
        held = b"".join(self._blocks)
        if not self._groups:
            self._hand(held, len(held))
            return
        self._settle()
        footer = self._head + list_head(STRUCT, self._count) + self._groups + self._tail
        self._sink.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)

    def _hand(self, held: bytes, end: int) -> None:
        """Hand on what is held up to `end`; only the first section's magic number."""
        begin = len(_MAGIC) if self._moved and not self._start else 0
        if end > begin:
            self._sink.write(memoryview(held)[begin:end])
            self._at += end - begin
            self._start += end

    def _column_end(self, held: bytes) -> int:
        """Return where the last column that is found in `held` ends; 0 if there is none.

        A column is certain if its description stands where it says that its pages end.
        """
        at = len(held)
        for _ in range(_TRIES):
            if (at := held.rfind(self._mark, 0, at)) < 0:
                return 0
            for encodings in range(1, 8):
                begin = at - encodings - 4
                if begin < 0 or held[begin + 2 : begin + 4] != bytes([0x19, encodings << 4 | 5]):
                    continue
                try:
                    meta = (reader := Reader(held, begin)).struct()
                    first = min(meta[field][1] for field in (9, 11) if field in meta)
                    if first + meta[7][1] == self._start + begin:
                        return reader.at
                except _BROKEN:
                    continue
        return 0

    def _settle(self) -> None:
        """Hand on the end of a section, and keep what its footer says."""
        end = b"".join(self._blocks)
        footer = len(end) - 8 - int.from_bytes(end[-8:-4], "little")
        if end[-4:] != _MAGIC or footer < 0:
            raise FormatError("Polars' writer made a section without a footer")
        copy = Copier(end, footer)
        indexes = _Indexes(end, self._start, self._moved)
        for field in copy.fields(3, 4):
            if field == 3:
                self._rows += copy.integer()
                copy.put(self._rows)
            else:
                self._head = copy.taken()
                groups = copy.items()
                copy.taken()
                for _ in range(groups):
                    self._group(copy, indexes)
                self._groups += copy.taken()
        self._tail = copy.taken()
        self._hand(end, footer if indexes.begin is None else indexes.begin)
        if indexes.moved:
            self._sink.write(bytes(indexes.moved))
            self._at += len(indexes.moved)
        self._blocks, self._size, self._limit, self._start = [], 0, HELD, 0

    def _group(self, copy: Copier, indexes: _Indexes) -> None:
        for field in copy.fields(1, 5, 7):
            if field == 1:
                for _ in range(copy.items()):
                    self._column(copy, indexes)
            elif field == 5:
                copy.put(copy.integer() + self._moved)
            elif self._count < ORDINALS:
                copy.integer()
                copy.put(self._count)
            else:
                copy.drop_integer()
        self._count += 1

    def _column(self, copy: Copier, indexes: _Indexes) -> None:
        for field in copy.fields(2, 3, 4, 5, 6):
            if field == 3:
                for _ in copy.fields(9, 10, 11):
                    copy.put(copy.integer() + self._moved)
                continue
            value = copy.integer()
            if field == 2:
                copy.put(0)  # where the description behind the pages is: its offsets count from the section
            elif field == 4:
                copy.put(indexes.add(value))
            elif field == 5:
                copy.put(indexes.size)
            else:
                copy.put(value + self._moved)


class _Indexes:
    """The indexes of places of a section."""

    def __init__(self, held: bytes, start: int, moved: int) -> None:
        self._held, self._start, self._by = held, start, moved
        self.begin: int | None = None
        """Where in what is held they begin."""
        self.moved = bytearray()
        self.size = 0
        """Of the last one, as it was moved."""

    def add(self, at: int) -> int:
        """Move the one at this place; return its new place."""
        copy = Copier(self._held, at - self._start)
        for _ in copy.fields(1):
            for _ in range(copy.items()):
                for _ in copy.fields(1):
                    copy.put(copy.integer() + self._by)
        if self.begin is None:
            self.begin = at - self._start
        place = self.begin + self._start + self._by + len(self.moved)
        index = copy.taken()
        self.moved += index
        self.size = len(index)
        return place
