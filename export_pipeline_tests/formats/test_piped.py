"""A pipe in place of many calls of Python: every byte arrives, and whatever goes wrong ends both sides."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import IO, BinaryIO, cast

import polars as pl
import pytest

from export_pipeline.errors import Cancelled
from export_pipeline.formats.piped import piped, pipes
from export_pipeline.formats.sink import Sink

ROWS = pl.DataFrame({"n": range(200_000)})


class Refusing(io.RawIOBase):
    """Takes some bytes and then fails."""

    def __init__(self, taken: int) -> None:
        self.taken = taken

    def write(self, data: object) -> int:
        self.taken -= len(cast("bytes", data))
        if self.taken < 0:
            raise OSError("it is full")
        return len(cast("bytes", data))


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _pumps() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "pipe"]


def test_every_byte_arrives_in_order() -> None:
    target = io.BytesIO()
    expected = [os.urandom(length) for length in (0, 1, 70_000, 3_000_000, 5)]
    before = _open_files()
    with piped(target) as file:
        for data in expected:
            _write_all(file, data)
    assert target.getvalue() == b"".join(expected)
    assert (_open_files(), _pumps()) == (before, [])


def _write_all(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def test_native_code_writes_the_same_as_to_a_file(tmp_path: Path) -> None:
    ROWS.write_parquet(tmp_path / "plain.parquet", row_group_size=1_000)
    with Sink(tmp_path / "piped.parquet") as sink, piped(cast("BinaryIO", sink)) as file:
        ROWS.write_parquet(file, row_group_size=1_000)
    assert (tmp_path / "piped.parquet").read_bytes() == (tmp_path / "plain.parquet").read_bytes()


@pytest.mark.parametrize("taken", [0, 100_000])
def test_a_target_that_fails_ends_whoever_writes(taken: int) -> None:
    before = _open_files()
    with pytest.raises(OSError, match=r"[Bb]roken pipe"), piped(cast("BinaryIO", Refusing(taken))) as file:
        ROWS.lazy().sink_csv(file)
    assert (_open_files(), _pumps()) == (before, [])


def test_who_writes_may_fail() -> None:
    target = io.BytesIO()
    with pytest.raises(ZeroDivisionError), piped(target) as file:
        file.write(b"some")
        _ = 1 / 0
    assert _pumps() == []


def test_a_pipe_that_stays_open_elsewhere_holds_nobody_up_after_an_error() -> None:
    kept = []
    with pytest.raises(ZeroDivisionError), piped(io.BytesIO()) as file:
        kept.append(os.dup(file.fileno()))
        _ = 1 / 0
    os.close(kept[0])


def test_a_cancel_is_what_is_raised(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with (
        pytest.raises(Cancelled),
        Sink(tmp_path / "out", stop=stop) as sink,
        piped(cast("BinaryIO", sink)) as file,
    ):
        ROWS.lazy().sink_csv(file)
    assert list(tmp_path.iterdir()) == []


def test_files_come_in_the_order_of_their_numbers() -> None:
    target = io.BytesIO()
    before = _open_files()
    with pipes() as begin:
        files = {number: begin(number, target.write) for number in (2, 0, 1)}
        for number in (1, 2, 0):
            with files[number] as file:
                file.write(b"%d" % number)
    assert target.getvalue() == b"012"
    assert (_open_files(), _pumps()) == (before, [])


def test_what_fails_in_one_file_ends_those_that_wait() -> None:
    before = _open_files()
    with pytest.raises(BrokenPipeError), pipes() as begin:
        later = begin(1, io.BytesIO().write)
        with begin(0, Refusing(0).write) as file, later:
            file.write(b"some")
            while True:
                later.write(b"more")
    with pytest.raises(BrokenPipeError, match="has ended"), pipes() as begin:
        _pumps_end(begin(0, Refusing(0).write))
        begin(1, io.BytesIO().write)
    assert (_open_files(), _pumps()) == (before, [])


def _pumps_end(file: IO[bytes]) -> None:
    """Write until nobody takes it any more."""
    with file:
        while True:
            try:
                file.write(b"some")
            except BrokenPipeError:
                return
