"""The sink: complete or not there, whatever happens."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import polars as pl
import pytest

from export_pipeline.errors import Cancelled, StorageError
from export_pipeline.formats.base import Format
from export_pipeline.formats.csv import Csv
from export_pipeline.formats.sink import Sink


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_bytes_are_counted_and_hashed(tmp_path: Path) -> None:
    with Sink(tmp_path / "x") as sink:
        assert sink.write(b"abc") == 3
        assert sink.write(memoryview(b"d" * 100_000)) == 100_000
        assert sink.write(b"") == 0
        assert names(tmp_path)[0].startswith(".x.")
    assert sink.bytes == 100_003
    assert sink.sha256 == hashlib.sha256((tmp_path / "x").read_bytes()).hexdigest()
    assert names(tmp_path) == ["x"]


def test_an_exception_leaves_the_former_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with pytest.raises(RuntimeError), Sink(tmp_path / "x") as sink:
        sink.write(b"new")
        raise RuntimeError
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x").read_text() == "old"


def test_even_a_keyboard_interrupt_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Sink(tmp_path / "x") as sink:
        sink.write(b"new")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_stop_is_heard_in_write(tmp_path: Path) -> None:
    stop = threading.Event()
    with pytest.raises(Cancelled), Sink(tmp_path / "x", stop=stop) as sink:
        sink.write(b"new")
        stop.set()
        sink.write(b"more")
    assert isinstance(sink.failure, Cancelled)
    assert names(tmp_path) == []


def test_two_sinks_for_one_name_do_not_mix(tmp_path: Path) -> None:
    with Sink(tmp_path / "x") as one:
        one.write(b"one")
        other = threading.Thread(target=lambda: write(tmp_path / "x", b"two"))
        other.start()
        other.join()
        assert (tmp_path / "x").read_bytes() == b"two"
    assert (tmp_path / "x").read_bytes() == b"one"


def write(path: Path, data: bytes) -> None:
    with Sink(path) as sink:
        sink.write(data)


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), Sink(tmp_path / "no" / "x"):
        pass


FULL = Path("/dev/full")


def fill(sink: Sink) -> Sink:
    """Put a device that is always full in the place of the file."""
    sink._file.close()
    sink._file = FULL.open("wb", buffering=0)
    return sink


def test_who_writes_too_late_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Sink(tmp_path / "x") as sink:
        raise RuntimeError
    with pytest.raises(ValueError, match="x is closed"):
        sink.write(b"late")


def test_bytes_wait_for_a_slow_disk_but_not_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, put = threading.Event(), Sink._put
    monkeypatch.setattr(Sink, "_put", lambda self, data: (slow.wait(5), put(self, data))[1])
    block = b"x" * 1_000_000
    with Sink(tmp_path / "x") as sink:
        for _ in range(3):
            sink.write(block)
        more = threading.Thread(target=lambda: [sink.write(block) for _ in range(5)])
        more.start()
        more.join(0.2)
        assert more.is_alive()
        assert sink.bytes == 0
        slow.set()
        more.join()
    assert (tmp_path / "x").read_bytes() == block * 8


def test_small_pieces_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    put = Sink._put

    def noting(self: Sink, data: memoryview) -> None:
        sizes.append(data.nbytes)
        put(self, data)

    monkeypatch.setattr(Sink, "_put", noting)
    with Sink(tmp_path / "x") as sink:
        for n in range(100_000):
            assert sink.write(b"%07d\n" % n) == 8
    assert (tmp_path / "x").read_bytes() == b"".join(b"%07d\n" % n for n in range(100_000))
    assert (sum(sizes), len(sizes)) == (sink.bytes, 2)


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    sink = Sink(tmp_path / "x")
    with pytest.raises(StorageError, match="No space left on device") as caught, sink:
        fill(sink)
        sink.write(b"x")
    assert caught.value.transient
    assert names(tmp_path) == []


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", [Csv(), Csv.model_validate({"compression": "gzip"})], ids=["plain", "gzip"])
def test_a_full_disk_is_not_hidden_by_polars(form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Sink.__enter__

    def full(self: Sink) -> Sink:
        return fill(opened(self))

    monkeypatch.setattr(Sink, "__enter__", full)
    with pytest.raises(StorageError, match="No space left on device"):
        form.write(pl.LazyFrame({"a": range(300_000)}), tmp_path / "x.csv")
    assert names(tmp_path) == []
