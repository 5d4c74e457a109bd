"""The CRC-32 of bytes that were summed in pieces, without the bytes.

A CRC is a polynomial over GF(2) modulo P; appending n bytes multiplies it by x^(8n). Bits are in reflected order, as in
zlib, whose `crc32_combine` Python does not have.
"""

from __future__ import annotations

from functools import cache

_P = 0xEDB88320


def combined(first: int, second: int, length: int) -> int:
    """Return the CRC-32 of two pieces from theirs; `length` is the number of bytes of the second."""
    return _times(_shift(length), first) ^ second


def _times(a: int, b: int) -> int:
    """Return a * b modulo P."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_P if b & 1 else 0)
    return product


@cache
def _power(n: int) -> int:
    """Return x to the 2^n modulo P."""
    return 1 << 30 if n == 0 else _times(_power(n - 1), _power(n - 1))


def _shift(length: int) -> int:
    """Return x to the 8 * length modulo P."""
    result, n = 1 << 31, 3
    while length:
        if length & 1:
            result = _times(_power(n), result)
        length, n = length >> 1, n + 1
    return result
