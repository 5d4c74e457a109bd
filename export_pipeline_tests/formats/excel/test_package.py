"""The zip file: readable by others, the same each time, also beyond 4 GiB."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipeline.formats.excel.package import Deflated, Package
from export_pipeline.zips.crc import combined
from export_pipeline_tests.formats.excel.written import written


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksums_of_pieces_add_up(first: bytes, second: bytes) -> None:
    assert combined(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


def test_checksums_of_long_pieces_add_up() -> None:
    piece = bytes(range(256)) * 40_000
    crc = 0
    for _ in range(3):
        crc = combined(crc, zlib.crc32(piece), len(piece))
    assert crc == zlib.crc32(piece * 3)


def packed(limit: int) -> io.BytesIO:
    """Return a package of small parts that takes `limit` bytes for more than fit the old fields."""
    sink = io.BytesIO()
    package = Package(sink, limit=limit)
    package.add("first.xml", b"<a/>" * 1_000)
    package.begin("grown.xml")
    for n in range(50):
        package.append(Deflated.of([f"<row{n}/>".encode() * 50] * 4))
    package.put(b"<end/>")
    package.end()
    package.add("last.xml", b"<z/>")
    package.close()
    return sink


@pytest.mark.parametrize("limit", [1, 2_000, 5_000, 1 << 32], ids=["all", "some", "few", "none"])
def test_python_and_libarchive_read_it_with_and_without_zip64(limit: int, tmp_path: Path) -> None:
    expected = {
        "first.xml": b"<a/>" * 1_000,
        "grown.xml": b"".join(f"<row{n}/>".encode() * 200 for n in range(50)) + b"<end/>",
        "last.xml": b"<z/>",
    }
    with zipfile.ZipFile(packed(limit)) as package:
        assert package.testzip() is None
        assert {name: package.read(name) for name in package.namelist()} == expected
        assert {entry.date_time for entry in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    if limit == 1:
        assert b"PK\x06\x06" in packed(limit).getvalue()


def test_a_part_that_is_not_open_cannot_grow() -> None:
    with pytest.raises(ValueError, match="no part"):
        Package(io.BytesIO()).put(b"x")


def test_the_file_begins_as_programs_expect_of_a_workbook(tmp_path: Path) -> None:
    with zipfile.ZipFile(written(pl.DataFrame({"a": [1]}), tmp_path).path) as package:
        assert package.namelist()[0] == "_rels/.rels"
        assert package.testzip() is None
