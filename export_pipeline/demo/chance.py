"""Chance that is the same everywhere: numbers made of a row's index, column by column, at the speed of Polars.

Each *stream* of a seed is a sequence of independent numbers (SplitMix64 of the index), so that a table can be made in
chunks of any size, in any order, and is the same for a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import polars as pl

GOLDEN = 0x9E3779B97F4A7C15
MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))
MASK = (1 << 64) - 1
STEPS = 4096
"""How finely weights are told apart by `weighted`."""


def _u64(value: int) -> pl.Expr:
    return pl.lit(value & MASK, dtype=pl.UInt64)


def scramble(value: int) -> int:
    """Return SplitMix64 of one number."""
    value &= MASK
    for shift, factor in MIX:
        value = ((value ^ (value >> shift)) * factor) & MASK
    return value


class Chance:
    """Columns of random numbers for rows that are counted, from 0, in the column `index`."""

    def __init__(self, seed: int, index: str = "index") -> None:
        self.seed, self.index = seed, index

    def bits(self, stream: str) -> pl.Expr:
        """Return 64 random bits per row (UInt64)."""
        start = scramble(self.seed + int.from_bytes(stream.encode(), "little") * GOLDEN)
        mixed = pl.col(self.index).cast(pl.UInt64) * _u64(GOLDEN) + _u64(start)  # wraps, as it must
        for shift, factor in MIX:
            mixed = mixed ^ (mixed // _u64(1 << shift))
            if factor != 1:
                mixed = mixed * _u64(factor)
        return mixed

    def uniform(self, stream: str) -> pl.Expr:
        """Return numbers from 0 to 1, both left out (Float64)."""
        return (self.bits(stream) // _u64(1 << 11)).cast(pl.Float64) * 2.0**-53 + 2.0**-54

    def below(self, stream: str, end: int) -> pl.Expr:
        """Return whole numbers from 0 to `end`, which is left out (UInt32)."""
        return (self.bits(stream) // _u64(1 << 33) % _u64(end)).cast(pl.UInt32)

    def gamma(self, stream: str) -> pl.Expr:
        """Return numbers of a gamma distribution of shape 2 and mean 1: many small ones and a long tail (Float64)."""
        return -(self.uniform(f"{stream}.a").log() + self.uniform(f"{stream}.b").log()) / 2

    def weighted(self, stream: str, weights: Sequence[float]) -> pl.Expr:
        """Return places in a list, each as often as its weight says (UInt32)."""
        ends = [round(STEPS * end / sum(weights)) for end in accumulate(weights)]
        places = zip([0, *ends], ends, strict=False)
        table = [place for place, (start, end) in enumerate(places) for _ in range(start, end)]
        return pl.lit(pl.Series(table, dtype=pl.UInt32)).gather(self.below(stream, STEPS))


def among(values: Sequence[object], place: pl.Expr) -> pl.Expr:
    """Return the values at these places."""
    return pl.lit(pl.Series(values)).gather(place)
