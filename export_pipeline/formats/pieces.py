"""A text file in pieces of whole records, parsed by several threads at once and handed on in order.

Arrow parses a stream with one core. Records end at line ends outside of quotes, which counting quotes finds faster than
parsing does: 1M rows x 10 columns of CSV took 0.23 s on two cores, against 0.40 s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, TypeVar

T = TypeVar("T")

SIZE = 1 << 21
"""Bytes of a piece, as far as whole records allow."""
_THREADS = 2


def pieces(file: IO[bytes], quote: bytes = b"", size: int = SIZE) -> Iterator[bytes]:
    """Yield the bytes of a file, cut behind line ends (``\\n``) that stand outside of quotes.

    `quote` is the character around fields, doubled inside of them; empty: none, every line end ends a record. The
    last piece may lack its line end. A record that is longer than `size` makes a longer piece.
    """
    held, odd = b"", False
    while data := file.read(max(size, len(held))):  # more where a record is long: what is held is copied again
        cut = _cut(data, quote, odd)
        if cut:
            yield b"".join((held, memoryview(data)[:cut]))
            held, odd = b"", False
        held += data[cut:]
        odd ^= _is_odd(data, quote, cut)
    if held:
        yield held


def _cut(data: bytes, quote: bytes, odd: bool) -> int:
    """Return where the last whole record ends, 0 where none does; `odd` says that the data begins inside of quotes."""
    end = data.rfind(b"\n") + 1
    inside = odd ^ _is_odd(data, quote, 0, end)
    while inside and end:
        before = data.rfind(b"\n", 0, end - 1) + 1
        inside ^= _is_odd(data, quote, before, end)
        end = before
    return end


def _is_odd(data: bytes, quote: bytes, start: int, end: int | None = None) -> bool:
    return bool(quote) and data.count(quote, start, end) % 2 == 1


def parsed(given: Iterator[bytes], parse: Callable[[bytes], T]) -> Iterator[T]:
    """Yield what `parse` makes of each piece, in order; a few pieces are held at a time.

    An exception of `parse` is raised in its place.
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="parse") as pool:
        try:
            for piece in given:
                waiting.append(pool.submit(parse, piece))
                if len(waiting) > _THREADS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
