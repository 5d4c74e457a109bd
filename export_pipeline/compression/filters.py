"""Filters of bytes on their way into a file: packed by a codec, or in blocks that several threads make."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

if TYPE_CHECKING:
    from export_pipeline.zips.package import Deflated


class Writable(Protocol):
    """What bytes are written to: a file, a `Sink`, a socket."""

    def write(self, data: Any, /) -> Any:
        """Take all of the bytes."""
        ...

    def flush(self) -> Any:
        """Hand on what is held back."""
        ...


class Stage:
    """A byte filter before a sink. `write` takes everything and returns the length of its input, as Polars demands."""

    def __init__(self, target: Writable) -> None:
        self.target = target

    def put(self, data: bytes) -> None:
        """Filter some bytes."""
        self.target.write(data)

    def finish(self) -> None:
        """Write what is still held back; called once, at the end, if nothing failed."""

    def release(self) -> None:
        """Give back threads and memory; called once, whatever happened."""

    def write(self, data: bytes) -> int:
        """Filter all of the bytes."""
        self.put(data)
        return len(data)

    def writable(self) -> bool:
        """Say that this is written to."""
        return True

    def flush(self) -> None:
        """Do nothing: a flushed block would make the result larger."""

    def close(self) -> None:
        """Do nothing: Polars closes what it wrote to, but only `finish` ends the stream."""


class Packed(Stage):
    """A compressor object (`compress`, `flush`) as a stage."""

    def __init__(self, target: Writable, compress: Any, end: Any) -> None:
        super().__init__(target)
        self._compress, self._end = compress, end

    def put(self, data: bytes) -> None:
        """Pack some bytes."""
        if packed := self._compress(data):
            self.target.write(packed)

    def finish(self) -> None:
        """Write what the codec holds back."""
        self.target.write(self._end())


class _Deflated(Stage, ABC):
    """Blocks of deflate, made on one thread or several, into something that frames them."""

    def __init__(self, target: Writable, level: int, threads: int) -> None:
        from export_pipeline.zips.deflate import deflater

        super().__init__(target)
        self._deflater = deflater(level, threads)

    def put(self, data: bytes) -> None:
        for block in self._deflater.put(data):
            self.take(block)

    def finish(self) -> None:
        for block in self._deflater.finish():
            self.take(block)

    def release(self) -> None:
        self._deflater.release()

    @abstractmethod
    def take(self, block: Deflated) -> None:
        """Write the next block."""


class GzipFrame(_Deflated):
    """A gzip file (RFC 1952) without name and time."""

    _HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"

    def __init__(self, target: Writable, level: int, threads: int) -> None:
        super().__init__(target, level, threads)
        self._crc = self._raw = 0
        target.write(self._HEAD)

    def take(self, block: Deflated) -> None:
        """Write the next block."""
        from export_pipeline.zips.crc import combined

        self._crc, self._raw = combined(self._crc, block.crc, block.raw), self._raw + block.raw
        self.target.write(block.data)

    def finish(self) -> None:
        """Write the last block, the checksum and the length."""
        from export_pipeline.zips.package import LAST_BLOCK

        super().finish()
        self.target.write(LAST_BLOCK + struct.pack("<II", self._crc, self._raw & 0xFFFF_FFFF))


class ZipFrame(_Deflated):
    """A zip file with one part."""

    def __init__(self, target: Writable, level: int, threads: int, name: str, password: bytes | None) -> None:
        from export_pipeline.zips.aes import Cipher
        from export_pipeline.zips.package import Package

        super().__init__(target, level, threads)
        self._package = Package(cast("BinaryIO", target))
        self._package.begin(name, Cipher(password) if password is not None else None)

    def take(self, block: Deflated) -> None:
        """Write the next block."""
        self._package.append(block)

    def finish(self) -> None:
        """Write the last block and the directory."""
        super().finish()
        self._package.end()
        self._package.close()
