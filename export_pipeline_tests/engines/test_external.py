"""Rows sorted in bounded memory are those that a sort in memory gives."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from export_pipeline.engines import spill
from export_pipeline.engines.external import ExternalSort
from export_pipeline.engines.spill import Spill
from export_pipeline.errors import StorageError, VerificationError
from export_pipeline_tests.formats import nasty

BUDGET = 2_000
FILES = Path("/proc/self/fd")


def made(frame: pl.DataFrame, by: list[str], folder: Path, *, budget: int = BUDGET, step: int = 17) -> pl.DataFrame:
    with ExternalSort(by, folder, budget=budget) as sort:
        for start in range(0, frame.height, step):
            sort.add(frame.slice(start, step))
        found = list(sort.sorted())
    return pl.concat(found) if found else frame.clear()


def rows(keys: list[object], dtype: pl.DataType) -> pl.DataFrame:
    return pl.DataFrame({"k": pl.Series(keys, dtype=dtype), "n": range(len(keys))}).with_columns(
        text=pl.format("text {}", "n"), some=pl.when(pl.col("n") % 3 != 0).then("n")
    )


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(lambda n: f"key-{n * 7919 % 1000}", id="many keys"),
        pytest.param(lambda n: f"key-{n % 3}", id="few keys"),
        pytest.param(lambda n: "one", id="one key"),
        pytest.param(lambda n: None if n % 4 else f"{n}", id="nulls"),
        pytest.param(lambda n: "heavy" if n % 10 else f"{n % 100}", id="one key has most"),
        pytest.param(lambda n: f"{n:06}", id="sorted already"),
        pytest.param(lambda n: f"{9999 - n:06}", id="sorted backwards"),
    ],
)
@pytest.mark.parametrize("budget", [1, 2_000, 20_000, 10**9])
def test_it_is_a_stable_sort(keys, budget: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    frame = rows([keys(n) for n in range(2_000)], pl.String())
    found = made(frame, ["k"], tmp_path, budget=budget, step=137)
    assert_frame_equal(found, frame.sort("k", nulls_last=True, maintain_order=True))
    assert not list(tmp_path.iterdir())


def test_several_columns(tmp_path: Path) -> None:
    frame = rows([f"k{n % 7}" for n in range(2_000)], pl.String()).with_columns(m=pl.col("n") * 31 % 11)
    found = made(frame, ["k", "m"], tmp_path)
    assert_frame_equal(found, frame.sort("k", "m", maintain_order=True))


@settings(max_examples=50, deadline=None)
@given(
    keys=st.lists(st.none() | st.text(max_size=2), max_size=150)
    | st.lists(st.none() | st.integers(-3, 3), max_size=150),
    step=st.integers(1, 40),
)
def test_any_keys(tmp_path_factory: pytest.TempPathFactory, keys: list[object], step: int) -> None:
    dtype = pl.Int64() if any(isinstance(key, int) for key in keys) else pl.String()
    frame = rows(keys, dtype)
    found = made(frame, ["k"], tmp_path_factory.mktemp("sort"), budget=500, step=step)
    assert_frame_equal(found, frame.sort("k", nulls_last=True, maintain_order=True))


def test_nested_values_come_through(tmp_path: Path) -> None:
    frame = rows([random.Random(1).random() for _ in range(500)], pl.Float64()).with_columns(
        l=pl.concat_list("n", "some"), s=pl.struct("n", "text"), k=pl.format("{}", pl.col("n").hash() % 50)
    )
    assert_frame_equal(made(frame, ["k"], tmp_path), frame.sort("k", maintain_order=True))


def test_values_of_every_type_come_through(tmp_path: Path) -> None:
    frame = (
        nasty.table()
        .with_row_index("n")
        .with_columns(
            enum=pl.lit("a", dtype=pl.Enum(["b", "a"])),
            category=pl.lit("c", dtype=pl.Categorical),
            k=-pl.int_range(pl.len()),
        )
    )
    assert_frame_equal(made(frame, ["k"], tmp_path, budget=1, step=7), frame.sort("k"))


def test_a_squeeze_drops_rows_of_each_run(tmp_path: Path) -> None:
    held = []

    def squeeze(frame: pl.DataFrame) -> pl.DataFrame:
        held.append(frame.height)
        return frame.unique("k", keep="first", maintain_order=True)

    frame = rows([f"k{n % 5}" for n in range(3_000)], pl.String())
    with ExternalSort(["k"], tmp_path, squeeze=squeeze, budget=5_000) as sort:
        for part in frame.iter_slices(100):
            sort.add(part)
        found = pl.concat(sort.sorted())
    assert found["n"].to_list() == [0, 1, 2, 3, 4]
    assert len(held) > 3


def test_the_file_has_no_name_and_is_gone_after_a_failure(tmp_path: Path) -> None:
    before = len(list(FILES.iterdir()))
    with pytest.raises(RuntimeError), ExternalSort(["k"], tmp_path, budget=1) as sort:
        sort.add(rows(["b", "a"], pl.String()))
        assert len(list(FILES.iterdir())) > before
        assert not list(tmp_path.iterdir())
        raise RuntimeError
    assert len(list(FILES.iterdir())) == before


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="cannot be written"),
        ExternalSort(["k"], tmp_path / "none", budget=1) as sort,
    ):
        sort.add(rows(["b"], pl.String()))


@settings(max_examples=100, deadline=None)
@given(
    count=st.integers(0, 1_000), different=st.integers(1, 200), step=st.integers(1, 60), budget=st.integers(1, 9_000)
)
def test_a_squeeze_drops_no_row_that_says_something_new(
    tmp_path_factory: pytest.TempPathFactory, count: int, different: int, step: int, budget: int
) -> None:
    def squeeze(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.unique(["k", "m"], keep="first", maintain_order=True)

    n = pl.int_range(count, eager=True)
    frame = pl.DataFrame({"k": n * 7919 % 10, "m": n * 31 % different, "n": n})
    with ExternalSort(["k", "m"], tmp_path_factory.mktemp("sort"), squeeze=squeeze, budget=budget) as sort:
        for part in frame.iter_slices(step):
            sort.add(part)
        found = list(sort.sorted())
    # Rows of several runs are squeezed by whoever merges them.
    assert_frame_equal(
        squeeze(pl.concat(found)) if found else frame, squeeze(frame.sort("k", "m", maintain_order=True))
    )


def test_what_is_sorted_at_once_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Chunks of all runs begin and end at the same few keys, with others between them.
    monkeypatch.setattr(spill, "CHUNKS", 8)
    frame = rows([f"key-{n * 7919 % 24:03}" for n in range(80_000)], pl.String())
    budget = int(frame.estimated_size() / 14)
    with ExternalSort(["k"], tmp_path, budget=budget) as sort:
        for part in frame.iter_slices(100):
            sort.add(part)
        most = max(found.estimated_size() for found in sort.sorted())
    assert most < 1.5 * budget


def test_a_first_key_that_has_most_is_not_sorted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rows(["a" if n % 100 else f"b{n}" for n in range(20_000)], pl.String())
    budget = int(frame.estimated_size() / 50)
    sorts: list[int] = []
    in_order = ExternalSort._in_order
    with ExternalSort(["k"], tmp_path, budget=budget) as sort:
        for part in frame.iter_slices(100):
            sort.add(part)

        def counted(sort: ExternalSort, frames: list[pl.DataFrame]) -> pl.DataFrame:
            sorts.append(sum(frame.height for frame in frames))
            return in_order(sort, frames)

        monkeypatch.setattr(ExternalSort, "_in_order", counted)
        found = pl.concat(sort.sorted())
    assert_frame_equal(found, frame.sort("k", maintain_order=True))
    assert max(sorts) < 5_000


def test_rows_that_get_lost_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Spill.read
    monkeypatch.setattr(Spill, "read", lambda spill, chunk: whole(spill, chunk).head(-1))
    frame = rows([f"k{n % 7}" for n in range(2_000)], pl.String())
    with pytest.raises(VerificationError, match="of 2,000"):
        made(frame, ["k"], tmp_path)
