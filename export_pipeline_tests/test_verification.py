"""Checksums: equal where values and places are equal, and only there."""

from __future__ import annotations

import itertools
import math
import random
import threading
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipeline.errors import Cancelled, VerificationError
from export_pipeline.formats import Csv, Parquet
from export_pipeline.verification import Meter, Verified, verify
from export_pipeline_tests.formats import nasty


def checksums(frame: pl.DataFrame, *cuts: int) -> dict[str, str]:
    """Return the checksums of a frame that is added in pieces."""
    meter = Meter(frame.schema)
    edges = [0, *cuts, frame.height]
    for start, end in itertools.pairwise(edges):
        meter.add(frame[start:end])
    assert meter.rows == frame.height
    return meter.checksums


def checksum(*values: object, dtype: pl.DataType | None = None) -> str:
    return checksums(pl.DataFrame({"x": pl.Series(values, dtype=dtype, strict=False)}))["x"]


def test_they_do_not_depend_on_batches() -> None:
    frame = nasty.table()
    assert checksums(frame) == checksums(frame, 1, 2, 7, 30)


def test_a_tap_gives_the_same_and_changes_nothing() -> None:
    frame = pl.DataFrame({"n": range(200_000), "position": range(200_000)})
    meter = Meter(frame.schema)
    assert meter.tap(frame.lazy()).collect(engine="streaming").equals(frame)
    assert meter.rows == 200_000
    assert meter.checksums == checksums(frame)


def test_columns_may_have_the_names_that_a_tap_gives_to_its_own() -> None:
    rows = pl.DataFrame(
        {"meter position": [3, 1], "meter weight": [1, 2], "meter 0": ["a", "b"], "_meter 1": [0.5, None]}
    )
    meter, other = Meter(rows.schema), Meter(rows.schema)
    assert meter.tap(rows.lazy()).collect(engine="streaming").equals(rows)
    other.add(rows)
    assert meter.checksums == other.checksums


@pytest.mark.parametrize(
    ("one", "other", "dtype"),
    [
        (0.0, -0.0, pl.Float64()),
        ("", None, pl.String()),
        (0, None, pl.Int64()),
        (float("nan"), None, pl.Float64()),
        (b"", None, pl.Binary()),
        ([], None, pl.List(pl.Int64)),
        ([], [None], pl.List(pl.Int64)),
        ([0.0], [-0.0], pl.List(pl.Float64)),
        ([1, 2], [2, 1], pl.List(pl.Int64)),
        ([[1], []], [[], [1]], pl.List(pl.List(pl.Int64))),
        ({"a": None}, None, pl.Struct({"a": pl.Int64})),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}, pl.Struct({"a": pl.Int64, "b": pl.Int64})),
        ("\u00e9", "e\u0301", pl.String()),
        ("x", "x\0", pl.String()),
        (True, False, pl.Boolean()),
        (2**63 - 1, 2**63 - 2, pl.Int64()),
    ],
)
def test_different_values_differ(one: object, other: object, dtype: pl.DataType) -> None:
    assert checksum(one, dtype=dtype) != checksum(other, dtype=dtype)


def test_equal_values_are_equal_in_every_type() -> None:
    nan = float("nan")
    assert checksum(nan) == checksum(-nan) == checksum(math.inf - math.inf)
    assert checksum(0.5) == checksum(0.5, dtype=pl.Float32())
    assert checksum(5) == checksum(5, dtype=pl.UInt8())
    assert (
        checksum("a", None) == checksum("a", None, dtype=pl.Categorical()) == checksum("a", None, dtype=pl.Enum(["a"]))
    )


values = st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=2, max_size=30)


@settings(max_examples=100, deadline=None)
@given(values, st.randoms(use_true_random=False))
def test_any_other_order_differs(given_values: list[int | None], chance: random.Random) -> None:
    other = given_values.copy()
    chance.shuffle(other)
    same = checksum(*given_values, dtype=pl.Int64()) == checksum(*other, dtype=pl.Int64())
    assert same == (other == given_values)


def test_places_that_add_up_to_the_same_are_told_apart() -> None:
    assert checksum(None, None, 0, 0, None, dtype=pl.Int64()) != checksum(None, 0, None, None, 0, dtype=pl.Int64())


def test_columns_are_named_that_differ(tmp_path: Path) -> None:
    good = Csv().write(pl.LazyFrame({"a": [1, 2], "b c": ["x", "y"], "d": [0.1, 0.2]}), tmp_path / "good.csv")
    bad = Csv().write(pl.LazyFrame({"a": [1, 2], "b c": ["y", "x"], "d": [0.1, 0.25]}), tmp_path / "bad.csv")
    with pytest.raises(VerificationError, match="values differ in columns 'b c', 'd'") as caught:
        verify(good.replace(path=bad.path, bytes=bad.bytes, sha256=bad.sha256), Csv())
    assert "not delivered" in str(caught.value)


def test_bytes_that_change_nothing_for_a_reader_are_found(tmp_path: Path) -> None:
    artifact = Csv().write(pl.LazyFrame({"a": ["x", "y"]}), tmp_path / "x.csv")
    artifact.path.write_text('a\r\n"x"\r\ny\r\n')
    with pytest.raises(VerificationError, match="9 bytes were written, 11 were read"):
        verify(artifact, Csv())


def test_what_was_verified_is_told(tmp_path: Path) -> None:
    seen: list[int] = []
    artifact = Parquet().write(pl.LazyFrame({"a": range(100_000), "b": range(100_000)}), tmp_path / "x.parquet")
    verified = verify(artifact, Parquet(), progress=seen.append)
    assert isinstance(verified, Verified)
    assert (verified.rows, verified.columns, verified.bytes) == (100_000, 2, artifact.bytes)
    assert verified.sha256 == artifact.sha256
    assert seen[-1] == 100_000
    assert Verified.model_validate_json(verified.model_dump_json()) == verified


def test_a_stop_is_kept_as_the_reason() -> None:
    stop = threading.Event()
    stop.set()
    meter = Meter(pl.Schema({"a": pl.Int64()}), stop=stop)
    with pytest.raises((Cancelled, pl.exceptions.PolarsError)):  # Polars wraps it, or not
        meter.tap(pl.LazyFrame({"a": [1]})).collect(engine="streaming")
    assert isinstance(meter.failure, Cancelled)
