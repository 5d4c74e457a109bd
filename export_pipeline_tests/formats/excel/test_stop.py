"""Errors and stops in the middle: raised as they are, and nothing goes on."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl
import pytest

from export_pipeline.errors import Cancelled
from export_pipeline.formats.about import About
from export_pipeline.formats.excel import Excel

ROWS = 3_000_000


class Counted:
    """Rows whose batches are counted as they are made."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.batches, self.fail_at = 0, fail_at
        source = pl.LazyFrame({"n": pl.int_range(0, ROWS, eager=True)})
        self.rows = source.map_batches(self._count, streamable=True, schema=pl.Schema({"n": pl.Int64}))

    def _count(self, frame: pl.DataFrame) -> pl.DataFrame:
        self.batches += 1
        if self.fail_at is not None and self.batches >= self.fail_at:
            raise ArithmeticError("the source broke")
        return frame


class Full(io.RawIOBase):
    """A sink that takes some bytes and then raises."""

    def __init__(self, error: BaseException, after: int) -> None:
        self.error, self.left = error, after

    def write(self, data: object) -> int:
        self.left -= len(data)  # type: ignore[arg-type]
        if self.left < 0:
            raise self.error
        return len(data)  # type: ignore[arg-type]


def idle(counted: Counted) -> bool:
    """Return whether no batch is made any more and no thread of ours lives."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        before = counted.batches
        time.sleep(0.2)
        if counted.batches == before:
            return not [thread for thread in threading.enumerate() if thread.name.startswith("excel")]
    return False


@pytest.mark.parametrize("error", [OSError(28, "disk full"), KeyboardInterrupt(), Cancelled("stop")], ids=type)
@pytest.mark.parametrize("after", [0, 200_000])
def test_a_sink_that_raises_ends_everything(error: BaseException, after: int) -> None:
    counted = Counted()
    with pytest.raises(type(error)) as raised:
        Excel().encode(counted.rows, cast("BinaryIO", Full(error, after)), About())
    assert raised.value is error
    assert idle(counted)


def test_a_source_that_raises_ends_everything(tmp_path: Path) -> None:
    counted = Counted(fail_at=3)
    with pytest.raises(Exception, match="the source broke"):
        Excel().write(counted.rows, tmp_path / "file.xlsx")
    assert idle(counted)
    assert not list(tmp_path.iterdir())


def test_a_stop_is_heard_within_a_batch(tmp_path: Path) -> None:
    stop, counted = threading.Event(), Counted()

    def progress(rows: int) -> None:
        if rows > 0:
            stop.set()

    with pytest.raises(Cancelled):
        Excel().write(counted.rows, tmp_path / "file.xlsx", progress=progress, stop=stop)
    assert idle(counted)
    assert not list(tmp_path.iterdir())
