"""Compression: every codec and level gives back its bytes, the same each time, and says when they are cut."""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from export_pipeline.compression import AnyCompression, Brotli, Compression, Gzip, Stage, Uncompressed, Zstd

ANY: TypeAdapter[Any] = TypeAdapter(AnyCompression)
CHANCE = random.Random(7)
DATA = b"".join(
    b"%d,agent-%d,%s,%.3f\r\n"
    % (n, CHANCE.randrange(200), CHANCE.choice([b"deploy", b"test", b"scan"]), CHANCE.random() * 900)
    for n in range(40_000)
)
ALL = [Uncompressed(), Gzip(), Zstd(), Brotli(), *(Gzip(level=n) for n in (1, 3, 4, 9)), Zstd(level=3), Brotli(level=4)]
each_codec = pytest.mark.parametrize("codec", ALL, ids=lambda c: f"{c.tag}-{getattr(c, 'level', 0)}")


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


@pytest.mark.parametrize("codec", [Gzip(), Zstd(), Brotli()], ids=lambda c: c.tag)
def test_defaults_save_more_than_half(codec: Compression) -> None:
    assert len(packed(codec, DATA, 100_000)) < 0.5 * len(DATA)


@pytest.mark.parametrize("codec", ALL[1:], ids=lambda c: f"{c.tag}-{c.level}")
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.9999])
def test_a_cut_stream_is_an_error(codec: Compression, kept: float, tmp_path: Path) -> None:
    whole = packed(codec, DATA, 100_000)
    path = tmp_path / "x"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(OSError), codec.decompressing(path) as file:
        file.read()


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
    ],
)
def test_wrong_compressions_are_refused(given: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ANY.validate_python(given)
