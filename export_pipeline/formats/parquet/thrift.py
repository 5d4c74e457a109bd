"""Thrift's compact protocol, as far as the headers and the footer of Parquet use it: into plain values, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Struct = dict[int, tuple[int, Any]]
"""Number of the field -> its type and value, in the order of the file. A list is (type of its items, items)."""

TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
I32, I64 = 5, 6
_INTEGERS = (4, I32, I64)


class Reader:
    """Reads structs from bytes, from a position on. Raises IndexError where the bytes end too early."""

    def __init__(self, data: bytes | bytearray, at: int = 0) -> None:
        self._data, self.at = data, at

    def struct(self) -> Struct:
        """Read one struct."""
        found: Struct = {}
        field = 0
        while head := self._byte():
            kind = head & 15
            field = field + (head >> 4) if head >> 4 else self._integer()
            found[field] = (kind, self._value(kind))
        return found

    def _value(self, kind: int, *, listed: bool = False) -> Any:
        if kind in (TRUE, FALSE):
            return (self._byte() if listed else kind) == TRUE
        if kind in _INTEGERS:
            return self._integer()
        if kind == BINARY:
            return self._take(self._varint())
        if kind == STRUCT:
            return self.struct()
        if kind in (LIST, SET):
            head = self._byte()
            size = self._varint() if head >> 4 == 15 else head >> 4
            return head & 15, [self._value(head & 15, listed=True) for _ in range(size)]
        if kind in (BYTE, DOUBLE):
            return self._take(1 if kind == BYTE else 8)
        raise ValueError(f"Parquet has no values of Thrift's type {kind}")

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _take(self, size: int) -> bytes:
        if self.at + size > len(self._data):
            raise IndexError(size)
        self.at += size
        return bytes(self._data[self.at - size : self.at])

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


def dumps(struct: Struct) -> bytes:
    """Return the bytes of a struct."""
    out = bytearray()
    _write_struct(struct, out)
    return bytes(out)


def list_head(kind: int, size: int) -> bytes:
    """Return how a list begins, before its items."""
    out = bytearray([min(size, 15) << 4 | kind])
    if size >= 15:
        _write_varint(size, out)
    return bytes(out)


def _write_struct(struct: Struct, out: bytearray) -> None:
    before = 0
    for field in sorted(struct):
        kind, value = struct[field]
        if kind in (TRUE, FALSE):
            kind = TRUE if value else FALSE
        if 0 < field - before < 16:
            out.append((field - before) << 4 | kind)
        else:
            out.append(kind)
            _write_integer(field, out)
        before = field
        if kind not in (TRUE, FALSE):
            _write(kind, value, out)
    out.append(0)


def _write(kind: int, value: Any, out: bytearray) -> None:
    if kind in (TRUE, FALSE):
        out.append(TRUE if value else FALSE)
    elif kind in _INTEGERS:
        _write_integer(value, out)
    elif kind == BINARY:
        _write_varint(len(value), out)
        out += value
    elif kind == STRUCT:
        _write_struct(value, out)
    elif kind in (LIST, SET):
        inner, items = value
        out += list_head(inner, len(items))
        for item in items:
            _write(inner, item, out)
    else:
        out += value


def _write_integer(value: int, out: bytearray) -> None:
    _write_varint(value << 1 if value >= 0 else (-value << 1) - 1, out)


def _write_varint(value: int, out: bytearray) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


class Copier:
    """Copies a struct as it is, but for integers that are replaced on the way: far faster than to read and write it.

    Raises IndexError where the bytes end too early.
    """

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self.at = data, at
        self._copied, self._last = at, at  # up to where it is copied; where what may be replaced begins
        self._out = bytearray()

    def fields(self, *wanted: int) -> Iterator[int]:
        """Go past the struct that begins here; yield the numbers of these of its fields, to go past their values."""
        data, at, field = self._data, self.at, 0
        while head := data[at]:
            begin, kind = at, head & 15
            at += 1
            if head > 15:
                field += head >> 4
            else:
                self.at = at
                field, at = self.integer(), self.at
            if field in wanted:
                self.at, self._last = at, begin
                yield field
                at = self.at
            elif kind in _INTEGERS:
                while data[at] > 127:
                    at += 1
                at += 1
            elif kind > FALSE:
                self.at = at
                self._skip(kind)
                at = self.at
        self.at = at + 1

    def items(self) -> int:
        """Go into a list; return how many items it has."""
        size = self._data[self.at] >> 4
        self.at += 1
        return self._varint() if size == 15 else size

    def integer(self) -> int:
        """Go past an integer and return it."""
        self._last = self.at
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def put(self, value: int) -> None:
        """Let another integer stand in place of the last one."""
        self._out += self._data[self._copied : self._last]
        _write_integer(value, self._out)
        self._copied = self.at

    def drop_integer(self) -> None:
        """Leave out the field that is here, an integer, the last one of its struct."""
        self._out += self._data[self._copied : self._last]
        self._varint()
        self._copied = self.at
        if self._data[self.at]:
            raise ValueError("a field follows, whose number counts from the one that is left out")

    def taken(self) -> bytes:
        """Return the copy so far; the next one begins here."""
        out = bytes(self._out) + self._data[self._copied : self.at]
        self._out.clear()
        self._copied = self.at
        return out

    def _skip(self, kind: int) -> None:
        if kind == BINARY:
            size = self._varint()
            self.at += size
        elif kind == STRUCT:
            for _ in self.fields():
                pass
        elif kind in (LIST, SET):
            inner = self._data[self.at] & 15
            for _ in range(self.items()):
                self._skip(inner)
        elif kind in _INTEGERS:
            self._varint()
        else:
            self.at += 8 if kind == DOUBLE else 1

    def _varint(self) -> int:
        data, at = self._data, self.at
        value = data[at]
        if value > 127:
            value, shift = value & 127, 7
            while (byte := data[at := at + 1]) > 127:
                value |= (byte & 127) << shift
                shift += 7
            value |= byte << shift
        self.at = at + 1
        return value
