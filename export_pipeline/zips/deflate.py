"""Deflate at every level, on one thread or several.

Levels up to 3 are ISA-L's, three times as fast as zlib at the same size; ISA-L has no others. Several threads work on
blocks of one size, each with the end of the one before as its dictionary, as pigz does: the same bytes come out however
many threads there are and however the input was cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from isal import isal_zlib

from export_pipeline.zips.package import Deflated

BLOCK = 1 << 20
_WINDOW = 1 << 15


def compressor(level: int, wbits: int, dictionary: bytes = b"") -> Any:
    """Return a compressor object (`compress`, `flush`); `wbits` says which wrapper, as in zlib."""
    more: dict[str, Any] = {"zdict": dictionary} if dictionary else {}
    if level > 3:
        import zlib

        return zlib.compressobj(level, zlib.DEFLATED, wbits, **more)
    return isal_zlib.compressobj(level, isal_zlib.DEFLATED, wbits, **more)


class Deflater:
    """Turns bytes into blocks, in order; the last is no final one: who writes them ends the stream."""

    def __init__(self, level: int) -> None:
        self._packer = compressor(level, -15)

    def put(self, data: bytes) -> Iterator[Deflated]:
        """Take some bytes; yield what is ready."""
        yield Deflated(self._packer.compress(data), len(data), isal_zlib.crc32(data))

    def finish(self) -> Iterator[Deflated]:
        """Yield the rest."""
        yield Deflated(self._packer.flush(isal_zlib.Z_FULL_FLUSH), 0, 0)

    def release(self) -> None:
        """Give back what is held."""


class ThreadedDeflater(Deflater):
    """The same on several threads; zlib and ISA-L work without Python's lock."""

    def __init__(self, level: int, threads: int) -> None:
        self._level, self._most = level, 2 * threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="deflate")
        self._waiting = bytearray()
        self._before = b""
        self._made: deque[Future[Deflated]] = deque()

    def put(self, data: bytes) -> Iterator[Deflated]:
        """Take some bytes; yield the oldest blocks once as many wait as keep the threads busy."""
        self._waiting += data
        while len(self._waiting) >= BLOCK:
            self._start(bytes(self._waiting[:BLOCK]))
            del self._waiting[:BLOCK]
            while len(self._made) > self._most:
                yield self._made.popleft().result()

    def finish(self) -> Iterator[Deflated]:
        """Yield the rest."""
        self._start(bytes(self._waiting))
        while self._made:
            yield self._made.popleft().result()

    def release(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _start(self, block: bytes) -> None:
        self._made.append(self._pool.submit(_deflated, block, self._level, self._before))
        self._before = block[-_WINDOW:]


def _deflated(block: bytes, level: int, before: bytes) -> Deflated:
    packer = compressor(level, -15, before)
    return Deflated(packer.compress(block) + packer.flush(isal_zlib.Z_FULL_FLUSH), len(block), isal_zlib.crc32(block))


def deflater(level: int, threads: int) -> Deflater:
    """Return a deflater on this many threads."""
    return Deflater(level) if threads == 1 else ThreadedDeflater(level, threads)
