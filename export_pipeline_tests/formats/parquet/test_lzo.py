"""LZO pages: what is in the file, who cannot read it, and damage that is found. Another reader is in spark_proof.py."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal
from pydantic import ValidationError

from export_pipeline.errors import ConfigError, FormatError, VerificationError
from export_pipeline.formats.parquet import Parquet, lzo, thrift
from export_pipeline.verification import Artifact, verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.parquet.test_parquet import parquet


def sample(rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "n": range(rows),
            "text": [None if n % 7 == 0 else f"text {n % 900} ä " * (n % 20) for n in range(rows)],
            "many": [[n, None] if n % 3 else None for n in range(rows)],
            "none": pl.Series([None] * rows, dtype=pl.Int64),
        }
    )


def written(frame: pl.DataFrame, folder: Path, **options: Any) -> Artifact:
    form = parquet(compression="lzo", **options)
    artifact = form.write(frame.lazy(), folder / "a.parquet")
    verify(artifact, form)
    return artifact


@pytest.mark.parametrize("rows", [0, 1, 20_000])
@pytest.mark.parametrize("options", [{}, {"statistics": False, "row_group_size": "auto", "page_size": 1024}])
def test_unpacked_it_is_read_by_duckdb_and_arrow(rows: int, options: dict[str, Any], tmp_path: Path) -> None:
    frame = sample(rows)
    artifact = written(frame, tmp_path, **options)
    metadata = pq.ParquetFile(artifact.path).metadata
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    assert {group.column(n).compression for group in groups for n in range(4)} <= {"LZO"}
    # every page is in one column, and the first group begins behind the magic number
    assert all(
        group.total_byte_size == sum(group.column(n).total_uncompressed_size for n in range(4)) for group in groups
    )
    plain = tmp_path / "plain.parquet"
    with plain.open("wb") as target:
        lzo.unpack_file(artifact.path, target)
    assert_frame_equal(pl.DataFrame(pq.read_table(plain)), frame)
    assert duckdb.execute("SELECT * FROM read_parquet(?)", [str(plain)]).fetchall() == frame.rows()
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(("tmp", "."))] == []


@pytest.mark.parametrize("name", list(nasty.COLUMNS))
def test_every_type(name: str, tmp_path: Path) -> None:
    written(pl.DataFrame([nasty.column(name)]), tmp_path)


def test_the_same_rows_give_the_same_bytes_and_who_reads_them_is_said(tmp_path: Path) -> None:
    first = written(sample(3000), tmp_path)
    assert first.sha256 == written(sample(3000), tmp_path).sha256
    assert [(loss.column, loss.why) for loss in first.losses] == [(None, lzo.WHO)]
    for reader in (lambda: pq.read_table(first.path), lambda: duckdb.read_parquet(str(first.path)).fetchall()):
        with pytest.raises(Exception, match=r"(?i)lzo|codec"):
            reader()


@pytest.mark.parametrize("size", [0, 1, lzo.PIECE, lzo.PIECE + 1, 3 * lzo.PIECE])
def test_pages_are_framed_as_hadoop_does_it(size: int) -> None:
    page = (b"export " * (size // 7 + 1))[:size]
    packed = lzo.pack(page)
    assert int.from_bytes(packed[:4], "big") == size and lzo.unpack(packed) == page
    pieces, at = 0, 4
    while at < len(packed):
        at, pieces = at + 4 + int.from_bytes(packed[at : at + 4], "big"), pieces + 1
    assert (at, pieces) == (len(packed), -(-size // lzo.PIECE))


def test_damage_is_found(tmp_path: Path) -> None:
    artifact = written(sample(2000), tmp_path)
    good = artifact.path.read_bytes()
    size = int.from_bytes(good[-8:-4], "little")
    footer = thrift.Reader(good, len(good) - 8 - size).struct()
    column = footer[4][1][1][0][1][1][1][1][3][1]
    column[9] = (column[9][0], column[9][1] + 1)
    moved = thrift.dumps(footer)
    wrong_offset = good[: -8 - size] + moved + len(moved).to_bytes(4, "little") + b"PAR1"
    for broken in (wrong_offset, good[: len(good) // 2], b"PAR2" + good[4:], good[:3000] + b"\xff" * 40 + good[3040:]):
        artifact.path.write_bytes(broken)
        with pytest.raises(VerificationError):
            verify(artifact, parquet(compression="lzo"))
    uncompressed = io.BytesIO()
    sample(20).write_parquet(uncompressed, compression="uncompressed")
    artifact.path.write_bytes(uncompressed.getvalue())
    with pytest.raises(VerificationError):
        verify(artifact, parquet(compression="lzo"))


def test_without_the_package_it_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lzo, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="lzallright") as error:
        parquet(compression="lzo").check(pl.Schema({"a": pl.Int64()}))
    assert "pip install 'export_pipeline[lzo]'" in str(error.value.cure)
    Parquet().check(pl.Schema({"a": pl.Int64()}))


@pytest.mark.parametrize(
    "other",
    [{"partition_by": ["a"]}, {"sorting_columns": ["a"]}, {"encryption": {"key": {"env": "EXPORT_K"}}}],
)
def test_what_it_cannot_be_used_with(other: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"lzo cannot be used with {next(iter(other))}"):
        parquet(compression="lzo", **other)


def test_a_page_that_is_not_lzo_is_refused() -> None:
    with pytest.raises(FormatError, match="a page of 9 bytes has 0"):
        lzo.unpack((9).to_bytes(4, "big"))
