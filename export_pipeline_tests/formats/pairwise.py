"""Covering arrays: few combinations of options in which each two values of two options occur together.

Most defects of options need one value or two together; pairs cost rows by the product of the two longest options, not
of all. Rows are made greedily, the best of some tries each, and are the same in every run.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
_TRIES = 12
_Pair = tuple[tuple[int, int], tuple[int, int]]


def _always(_: Row) -> bool:
    return True


def pairwise(options: Mapping[str, Sequence[Any]], allowed: Callable[[Row], bool] = _always) -> list[Row]:
    """Return rows that hold each pair of values of two options at least once, where some allowed row can.

    `allowed` says which rows may be; it is also asked with some of the options only, and then should return False only
    when no row with these values may be.

    >>> len(pairwise({"a": [1, 2], "b": [1, 2], "c": [1, 2]}))
    4
    """
    names = list(options)
    values = [list(options[name]) for name in names]

    def row(picked: Mapping[int, int]) -> Row:
        return {names[n]: values[n][picked[n]] for n in sorted(picked)}

    open_pairs: dict[_Pair, None] = {}  # a set that keeps its order
    for (a, of_a), (b, of_b) in itertools.combinations(enumerate(values), 2):
        for pair in itertools.product(((a, i) for i in range(len(of_a))), ((b, j) for j in range(len(of_b)))):
            if allowed(row(dict(pair))):
                open_pairs[pair] = None
    rows = []
    chance = random.Random(0)
    while open_pairs:
        tries = [next(iter(open_pairs)), *(chance.choice(list(open_pairs)) for _ in range(_TRIES))]
        best: set[_Pair] = set()
        made = None
        for seed in tries:
            order = [n for n in chance.sample(range(len(values)), len(values)) if n not in dict(seed)]
            picked = _completed(dict(seed), order, values, open_pairs, lambda chosen: allowed(row(chosen)))
            if picked is None:
                open_pairs.pop(seed, None)
            elif len(closed := set(itertools.combinations(sorted(picked.items()), 2)) & open_pairs.keys()) > len(best):
                best, made = closed, picked
        if made is not None:
            rows.append(row(made))
            for pair in best:
                del open_pairs[pair]
    return rows


def _completed(
    picked: dict[int, int],
    order: Sequence[int],
    values: Sequence[Sequence[Any]],
    open_pairs: Mapping[_Pair, None],
    allowed: Callable[[Mapping[int, int]], bool],
) -> dict[int, int] | None:
    """Choose the other options' values, each time those with the most open pairs; None where no row may be."""
    if not order:
        return picked
    name, *rest = order

    def gain(value: int) -> int:
        added = (name, value)
        return sum(((item, added) if item < added else (added, item)) in open_pairs for item in picked.items())

    for value in sorted(range(len(values[name])), key=lambda value: -gain(value)):
        chosen = {**picked, name: value}
        if allowed(chosen) and (done := _completed(chosen, rest, values, open_pairs, allowed)) is not None:
            return done
    return None
