"""A zip file in one pass: parts in one go, and parts that grow out of blocks that were deflated elsewhere.

Nothing is sought: sizes of grown parts follow them (data descriptors), so any stream will do. No clock: every time is
1980-01-01. Sizes and offsets from 4 GiB on are written as ZIP64, in the directory only, where all readers look.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from isal import isal_zlib

from export_pipeline.zips.aes import Cipher
from export_pipeline.zips.crc import combined

LIMIT = 0xFFFF_FFFF
"""Sizes and offsets that need ZIP64."""

_DATE = 0x21  # 1980-01-01
_UTF8, _DESCRIPTOR, _ENCRYPTED = 0x800, 0x8, 0x1
LAST_BLOCK = b"\x03\x00"  # an empty deflate block that says: the end


@dataclass(frozen=True)
class Deflated:
    """Bytes of a part as deflate blocks, which may follow, and be followed by, others."""

    data: bytes
    raw: int
    """Bytes before."""
    crc: int
    """CRC-32 of the bytes before."""

    @classmethod
    def of(cls, pieces: Iterable[bytes | memoryview]) -> Deflated:
        """Deflate pieces one after the other."""
        # Level 2 is the fastest of isal's that look for matches, and no larger than level 1.
        compressor, packed, raw, crc = isal_zlib.compressobj(2, isal_zlib.DEFLATED, -15), [], 0, 0
        for piece in pieces:
            packed.append(compressor.compress(piece))
            raw, crc = raw + len(piece), isal_zlib.crc32(piece, crc)
        return cls(b"".join([*packed, compressor.flush(isal_zlib.Z_FULL_FLUSH)]), raw, crc)


class Package:
    """A zip file that is written from its beginning to its end."""

    def __init__(self, sink: BinaryIO, *, limit: int = LIMIT) -> None:
        self._sink, self._limit = sink, limit
        self._position = 0
        self._entries: list[_Entry] = []
        self._open: _Entry | None = None

    def add(self, name: str, data: bytes) -> None:
        """Write a part that is known as a whole."""
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = compressor.compress(data) + compressor.flush()
        entry = _Entry(name, self._position, flags=_UTF8, crc=zlib.crc32(data), packed=len(packed), raw=len(data))
        self._entries.append(entry)
        self._write(entry.header(), packed)

    def copy(self, name: str, packed: bytes, method: int, crc: int, raw: int) -> None:
        """Write a part as it is packed in another zip file; `method`: 0 for not at all, 8 for deflated."""
        entry = _Entry(name, self._position, flags=_UTF8, method=method, crc=crc, packed=len(packed), raw=raw)
        self._entries.append(entry)
        self._write(entry.header(), packed)

    def begin(self, name: str, cipher: Cipher | None = None) -> None:
        """Begin a part that grows; with a cipher, one that only its password opens."""
        self._open = entry = _Entry(name, self._position, flags=_UTF8 | _DESCRIPTOR, cipher=cipher)
        self._entries.append(entry)
        self._write(entry.header())
        if cipher is not None:
            self._grow(entry, cipher.head)

    def put(self, data: bytes) -> None:
        """Append bytes to the part that grows."""
        self.append(Deflated.of([data]))

    def append(self, more: Deflated) -> None:
        """Append bytes that are deflated already to the part that grows."""
        entry = self._growing()
        entry.raw += more.raw
        if entry.cipher is None:
            entry.crc = combined(entry.crc, more.crc, more.raw)
            self._grow(entry, more.data)
        else:  # no CRC-32: it would tell of the content
            self._grow(entry, entry.cipher.encrypt(more.data))

    def end(self) -> None:
        """End the part that grows."""
        entry = self._growing()
        self.append(Deflated(LAST_BLOCK, 0, 0))
        if entry.cipher is not None:
            self._grow(entry, entry.cipher.tail())
        sizes = "<4sIQQ" if max(entry.raw, entry.packed) >= self._limit else "<4sIII"
        self._write(struct.pack(sizes, b"PK\x07\x08", entry.crc, entry.packed, entry.raw))
        self._open = None

    def close(self) -> None:
        """Write the directory."""
        start, count = self._position, len(self._entries)
        for entry in self._entries:
            self._write(entry.listing(self._limit))
        size = self._position - start
        if start >= self._limit or count >= 0xFFFF:
            where = self._position
            self._write(struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start))
            self._write(struct.pack("<4sIQI", b"PK\x06\x07", 0, where, 1))
            start, count = LIMIT, min(count, 0xFFFF)
        self._write(struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, size, start, 0))

    def _growing(self) -> _Entry:
        if self._open is None:
            raise ValueError("no part of the package is open")
        return self._open

    def _grow(self, entry: _Entry, data: bytes) -> None:
        entry.packed += len(data)
        self._write(data)

    def _write(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._sink.write(piece)
            self._position += len(piece)


class _Entry:
    """One part of the package."""

    def __init__(
        self,
        name: str,
        offset: int,
        *,
        flags: int,
        method: int = 8,
        crc: int = 0,
        packed: int = 0,
        raw: int = 0,
        cipher: Cipher | None = None,
    ) -> None:
        self.name, self.offset, self.cipher = name.encode(), offset, cipher
        self.crc, self.packed, self.raw = crc, packed, raw
        self.flags, self.method, self.version, self.extra = flags, method, 20, b""
        if cipher is not None:
            self.flags, self.method, self.version, self.extra = flags | _ENCRYPTED, 99, 51, cipher.extra

    def header(self) -> bytes:
        """Return the header before the data; zeros where a descriptor follows."""
        kind = (self.version, self.flags, self.method, 0, _DATE)
        sizes = (self.crc, self.packed, self.raw, len(self.name), len(self.extra))
        return struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", *kind, *sizes) + self.name + self.extra

    def listing(self, limit: int) -> bytes:
        """Return the entry of the directory; what does not fit moves into the ZIP64 field, in this order."""
        shown, extra = [], b""
        for value in (self.raw, self.packed, self.offset):
            large = value >= limit
            extra += struct.pack("<Q", value) if large else b""
            shown.append(LIMIT if large else value)
        raw, packed, offset = shown
        extra = struct.pack("<HH", 1, len(extra)) + extra if extra else b""
        version = max(self.version, 45 if extra else 20)
        extra += self.extra
        kind = (max(version, 45), version, self.flags, self.method, 0, _DATE)
        start = struct.pack("<4sHHHHHHIII", b"PK\x01\x02", *kind, self.crc, packed, raw)
        return start + struct.pack("<HHHHHII", len(self.name), len(extra), 0, 0, 0, 0, offset) + self.name + extra
