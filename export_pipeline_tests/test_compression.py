"""Compression: every codec and level gives back its bytes, the same each time, and says when they are cut."""

from __future__ import annotations

import gzip
import io
import random
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from export_pipeline.compression import AnyCompression, Brotli, Compression, Gzip, Stage, Uncompressed, Zip, Zstd
from export_pipeline.secrets import Secret

ANY: TypeAdapter[Any] = TypeAdapter(AnyCompression)
CHANCE = random.Random(7)
DATA = b"".join(
    b"%d,agent-%d,%s,%.3f\r\n"
    % (n, CHANCE.randrange(200), CHANCE.choice([b"deploy", b"test", b"scan"]), CHANCE.random() * 900)
    for n in range(40_000)
)
ALL = [
    Uncompressed(),
    *(Gzip(level=n) for n in (1, 2, 3, 4, 9)),
    *(Zip(level=n) for n in (1, 2, 3, 4, 9)),
    *(Zstd(level=n) for n in (1, 3)),
    *(Brotli(level=n) for n in (1, 4)),
    *(codec(threads=3) for codec in (Gzip, Zip, Zstd)),
    Gzip(level=6, threads=2),
]


def named(codec: Compression) -> str:
    return f"{codec.tag}-{getattr(codec, 'level', 0)}-{getattr(codec, 'threads', 1)}"


each_codec = pytest.mark.parametrize("codec", ALL, ids=named)


def packed(codec: Compression, data: bytes, size: int) -> bytes:
    target = io.BytesIO()
    with codec.compressing(target) as stage:
        for start in range(0, len(data), size):
            assert stage.write(data[start : start + size]) == len(data[start : start + size])
        stage.flush()
        stage.close()
    return target.getvalue()


@each_codec
@pytest.mark.parametrize("data", [DATA, b"", b"x"], ids=["much", "nothing", "little"])
def test_the_bytes_come_back(codec: Compression, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"x{codec.extension}"
    path.write_bytes(packed(codec, data, 100_000))
    with codec.decompressing(path) as file:
        assert file.read() == data


@each_codec
def test_the_same_input_gives_the_same_bytes(codec: Compression) -> None:
    assert packed(codec, DATA, 100_000) == packed(codec, DATA, 100_000)


@pytest.mark.parametrize("codec", [Gzip(), Zstd(), Brotli(), Zip()], ids=lambda c: c.tag)
def test_defaults_save_more_than_half(codec: Compression) -> None:
    assert len(packed(codec, DATA, 100_000)) < 0.5 * len(DATA)


@pytest.mark.parametrize("codec", ALL[1:], ids=named)
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.9999])
def test_a_cut_stream_is_an_error(codec: Compression, kept: float, tmp_path: Path) -> None:
    whole = packed(codec, DATA, 100_000)
    path = tmp_path / "x"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(OSError), codec.decompressing(path) as file:
        file.read()


@pytest.mark.parametrize("codec", [Zstd(level=19), Brotli(level=11)], ids=named)
def test_the_highest_levels(codec: Compression, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(packed(codec, DATA[:100_000], 30_000))
    with codec.decompressing(path) as file:
        assert file.read() == DATA[:100_000]


@pytest.mark.parametrize("codec", [Gzip, Zip, Zstd])
def test_any_number_of_threads_makes_the_same_bytes(codec: type[Gzip]) -> None:
    data = DATA * 3  # several blocks
    first = packed(codec(threads=2), data, 100_000)
    assert packed(codec(threads=5), data, 70_001) == first
    assert packed(codec(level=4, threads=2), data, 10**9) == packed(codec(level=4, threads=3), data, 99_999)


def test_gzip_of_many_threads_is_one_stream_that_gzip_reads(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(packed(Gzip(level=6, threads=3), DATA * 3, 100_000))
    assert subprocess.run(["gzip", "-dc", path], capture_output=True, check=True).stdout == DATA * 3


def test_an_exception_ends_the_threads() -> None:
    before = threading.active_count()
    with pytest.raises(RuntimeError), Gzip(threads=3).compressing(io.BytesIO()) as stage:
        stage.write(DATA * 3)
        raise RuntimeError
    assert threading.active_count() == before


def test_gzip_is_read_by_python() -> None:
    assert gzip.decompress(packed(Gzip(), DATA, 100_000)) == DATA
    assert packed(Gzip(), b"x", 1)[4:8] == b"\0\0\0\0", "no time in the header"


def test_an_exception_ends_no_stream() -> None:
    target = io.BytesIO()
    with pytest.raises(RuntimeError), Gzip().compressing(target) as stage:
        stage.write(DATA)
        raise RuntimeError
    with pytest.raises(EOFError):
        gzip.decompress(target.getvalue())


def test_a_stage_that_filters_nothing_hands_on() -> None:
    target = io.BytesIO()
    stage = Stage(target)
    assert stage.writable()
    assert stage.write(b"abc") == 3
    assert target.getvalue() == b"abc"


@pytest.mark.parametrize(
    ("given", "codec", "extension"),
    [
        ("none", Uncompressed(), ""),
        ("gzip", Gzip(), ".gz"),
        ({"gzip": 6}, Gzip(level=6), ".gz"),
        ({"zstd": {"level": 3}}, Zstd(level=3), ".zst"),
        ("brotli", Brotli(), ".br"),
        ({"zstd": {"level": 3, "threads": 4}}, Zstd(level=3, threads=4), ".zst"),
        ("zip", Zip(), ".zip"),
        ({"zip": 6}, Zip(level=6), ".zip"),
        ({"zip": {"password": {"env": "EXPORT_P"}}}, Zip(password=Secret(env="EXPORT_P")), ".zip"),
    ],
)
def test_how_it_is_written(given: Any, codec: Compression, extension: str) -> None:
    assert ANY.validate_python(given) == codec
    assert codec.extension == extension
    assert ANY.validate_python(ANY.dump_python(codec, mode="json")) == codec


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gz", "did you mean 'gzip'"),
        ({"gzip": 0}, "greater than"),
        ({"zstd": 20}, "less than"),
        ({"brotli": "x"}, "integer"),
        ({"zip": 10}, "less than"),
        ({"gzip": {"threads": 0}}, "greater than"),
        ({"zip": {"password": "secret"}}, "a secret is not written here"),
        ({"zip": {"password": {"env": "HOME"}}}, "begins with EXPORT_"),
    ],
)
def test_wrong_compressions_are_refused(given: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ANY.validate_python(given)
