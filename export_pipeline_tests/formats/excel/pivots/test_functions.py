"""Parts of groups: the same to the last bit, however busy Polars' threads are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

from export_pipeline.formats.excel.pivots.functions import merged, parts_of

ROWS = pl.DataFrame(
    {
        "key": [n * 7_919 % 10_007 % 50 for n in range(20_000)],
        "n": [n * 7_919 % 10_007 / 7 * 10.0 ** (n % 15 - 5) for n in range(20_000)],
    }
)
"""Numbers of many magnitudes: each order of them has another sum."""
PARTS = parts_of(pl.col("n"), pl.col("n"), pl.Float64())


@pytest.mark.parametrize("part", ["sum", "mean", "spread", "product"])
def test_parts_do_not_depend_on_busy_threads(part: str) -> None:
    grouped = ROWS.group_by("key", maintain_order=True)

    def made(_: int) -> str:
        return repr(grouped.agg(PARTS[part]).rows())  # NaN is not equal to itself

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(made, range(300)))) == 1


@pytest.mark.parametrize("part", ["sum", "mean", "spread"])
def test_nor_do_merged_ones(part: str) -> None:
    blocks = ROWS.with_row_index("block").with_columns(pl.col("block") // 4)
    made = blocks.group_by("key", "block", maintain_order=True).agg(**{f"x {name}": PARTS[name] for name in PARTS})
    grouped = made.group_by("key", maintain_order=True)

    def of_all(_: int) -> str:
        return repr(grouped.agg(merged(part, "x")).rows())

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(of_all, range(200)))) == 1
