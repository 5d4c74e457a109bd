"""Sections: several small files become one, which says of itself what the file of one section says."""

from __future__ import annotations

import errno
import io
import threading
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from export_pipeline.errors import Cancelled, FormatError, StorageError
from export_pipeline.formats.about import About
from export_pipeline.formats.parquet import Parquet, joined, sections, thrift
from export_pipeline.formats.parquet.writers import LARGE, polars_options
from export_pipeline.formats.sink import Sink
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.parquet.test_parquet import CODECS, parquet
from export_pipeline_tests.formats.test_contract import proven

_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
MARK = b"\x15\x0c\x19\x15\x00\x19\x18\x01n\x15\x0c"
"""How the description of the column `n` begins."""
FRAMES = {
    "plain": pl.DataFrame({"s": [f"text {n % 7}" for n in range(1000)], "n": range(1000)}),
    "nulls": pl.DataFrame({"n": [None] * 300, "i": [n if n % 3 else None for n in range(300)]}),
    "nested": pl.DataFrame(
        {"n": range(500), "l": [[n, None] * (n % 3) for n in range(500)], "s": [{"a": n, "b": "x"} for n in range(500)]}
    ),
    "nested alone": pl.DataFrame({"l": [[n] for n in range(500)]}),
    "long values that have no upper bound": pl.DataFrame({"n": [b"\xff" * 900 + bytes([i % 9]) for i in range(400)]}),
    "the mark as a value": pl.DataFrame({"n": [MARK * (n % 30) for n in range(400)]}),
    "a long name": pl.DataFrame({"ä" * 200: range(400)}),
    "many columns": pl.DataFrame({f"c{c}": range(60) for c in range(40)}),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "COLUMNS", 8)
    monkeypatch.setattr(joined, "HELD", 300)


def encoded(frame: pl.DataFrame, form: Parquet) -> bytes:
    target = io.BytesIO()
    form.encode(frame.lazy(), target, About())
    return target.getvalue()


def alone(frame: pl.DataFrame, form: Parquet) -> bytes:
    """What Polars writes without us."""
    target = io.BytesIO()
    frame.lazy().sink_parquet(target, **polars_options(form, frame.schema))
    return target.getvalue()


def footer_of(data: bytes) -> thrift.Struct:
    return thrift.Reader(data, len(data) - 8 - int.from_bytes(data[-8:-4], "little")).struct()


def follow(data: bytes) -> int:
    """Check that every offset leads to what it says; return the number of pages."""
    pages = 0
    last = 4
    for group in footer_of(data)[4][1][1]:
        assert group[5][1] == min(c[3][1].get(11, c[3][1][9])[1] for c in group[1][1][1])
        for column in group[1][1][1]:
            meta = column[3][1]
            at = meta.get(11, meta[9])[1]
            assert at >= last
            last = at + meta[7][1]
            found = []
            while at < last:
                header = (reader := thrift.Reader(data, at)).struct()
                assert header[1][1] == (_DICTIONARY if 11 in meta and at == meta[11][1] else header[1][1])
                size = reader.at - at + header[3][1]
                if header[1][1] != _DICTIONARY:
                    assert header[1][1] in (_DATA, _DATA_V2)
                    found.append((at, size))
                at += size
            assert (at, found[0][0]) == (last, meta[9][1])
            index = (reader := thrift.Reader(data, column[4][1])).struct()
            assert reader.at - column[4][1] == column[5][1]
            assert [(place[1][1], place[2][1]) for place in index[1][1][1]] == found
            if 6 in column:
                values = (reader := thrift.Reader(data, column[6][1])).struct()
                assert reader.at - column[6][1] == column[7][1]
                assert len(values[1][1][1]) == len(found)
            pages += len(found)
    return pages


def told(data: bytes) -> dict[str, Any]:
    """What a file says of itself, but for places."""
    metadata = pq.ParquetFile(io.BytesIO(data)).metadata
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    columns = [group.column(n).to_dict() for group in groups for n in range(metadata.num_columns)]
    for column in columns:
        for place in ("file_offset", "dictionary_page_offset", "data_page_offset"):
            column.pop(place)
    return {
        "of the file": (metadata.num_rows, metadata.metadata, metadata.created_by, metadata.schema.to_arrow_schema()),
        "groups": [(group.num_rows, group.total_byte_size) for group in groups],
        "columns": columns,
        "numbers": [group.get(7, (0, None))[1] for group in footer_of(data)[4][1][1]],
    }


@pytest.mark.parametrize("options", [{}, {"statistics": False, "compression": "none", "page_size": 1024}])
@pytest.mark.parametrize("name", FRAMES)
def test_the_file_is_that_of_one_section_but_for_places(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    frame = FRAMES[name]
    form = parquet(row_group_size=10, metadata={"b": "1", "a": "2"}, **options)
    path = proven(form, frame, tmp_path).path
    data, expected = path.read_bytes(), alone(frame, form)
    assert told(data) == told(expected)
    assert follow(data) == follow(expected)
    assert (data == expected) == (name == "nested alone")
    assert data == encoded(frame, form)
    assert_frame_equal(pl.read_parquet(path), frame)
    assert duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall() == frame.rows()
    some = frame.columns[-1]
    assert_frame_equal(pl.scan_parquet(path).slice(33, 20).select(some).collect(), frame[33:53].select(some))


@pytest.mark.parametrize("codec", CODECS)
def test_every_type_with_every_codec(codec: str, tmp_path: Path) -> None:
    path = proven(parquet(row_group_size=7, compression=codec), nasty.table(), tmp_path).path
    assert pq.ParquetFile(path).metadata.num_row_groups == -(-nasty.table().height // 7)
    follow(path.read_bytes())


def test_what_is_declared_stays(tmp_path: Path) -> None:
    fields = [{"name": "n", "rename": "number", "nullable": False, "metadata": {"unit": "m"}}]
    form = parquet(row_group_size=10, schema={"fields": fields, "metadata": {"of": "us"}})
    field = pq.read_schema(form.write(FRAMES["plain"].lazy(), tmp_path / "a.parquet").path).field("number")
    assert (field.nullable, field.metadata) == (False, {b"unit": b"m"})


@pytest.mark.parametrize(("rows", "sections_made"), [(0, 1), (39, 1), (40, 1), (41, 2), (80, 2), (1000, 25)])
def test_a_file_of_one_section_is_what_polars_writes(rows: int, sections_made: int) -> None:
    frame, form = FRAMES["plain"].head(rows), parquet(row_group_size=10)
    data = encoded(frame, form)
    assert (data == alone(frame, form)) == (sections_made == 1)
    assert pl.read_parquet(data).equals(frame) and data.count(b"PAR1") == 2
    assert follow(data) == 2 * -(-rows // 10)


def test_filters_find_rows_of_every_section(tmp_path: Path) -> None:
    path = proven(parquet(row_group_size=10), FRAMES["plain"], tmp_path).path
    for n in (0, 39, 40, 777, 999):
        assert pq.read_table(path, filters=[("n", "=", n)]).num_rows == 1
        found = duckdb.execute("SELECT n, s FROM read_parquet(?) WHERE n = ?", [str(path), n]).fetchall()
        assert found == [(n, f"text {n % 7}")]
        assert pl.scan_parquet(path).filter(pl.col("n") == n).collect().height == 1


def test_row_groups_beyond_the_largest_number_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined, "ORDINALS", 6)
    data = encoded(FRAMES["plain"].head(80), parquet(row_group_size=10))
    assert told(data)["numbers"] == [0, 1, 2, 3, 4, 5, None, None]
    assert pl.read_parquet(data).equals(FRAMES["plain"].head(80))


@pytest.mark.parametrize("size", ["auto", LARGE])
def test_large_row_groups_need_no_sections(size: Any) -> None:
    frame = pl.DataFrame({"n": range(LARGE * 9 if size != "auto" else 1000)})
    assert encoded(frame, parquet(row_group_size=size)) == alone(frame, parquet(row_group_size=size))


def test_a_disk_that_is_full_in_a_later_section_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put, room = Sink._put, [20_000]

    def some(self: Sink, data: memoryview) -> None:
        room[0] -= data.nbytes
        if room[0] < 0:
            raise StorageError("the disk is full") from OSError(errno.ENOSPC, "full")
        put(self, data)

    monkeypatch.setattr(Sink, "_put", some)
    monkeypatch.setattr("export_pipeline.formats.sink._BLOCK", 1000)
    frame = pl.DataFrame({"n": range(200_000)})
    with pytest.raises(StorageError, match="the disk is full"):
        parquet(row_group_size=1000).write(frame.lazy(), tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []
    assert "pipe" not in {thread.name for thread in threading.enumerate()}


def test_a_cancel_in_a_later_section_leaves_nothing(tmp_path: Path) -> None:
    stop, seen = threading.Event(), []

    def look(rows: int) -> None:
        seen.append(rows)
        if rows > 50_000:
            stop.set()

    frame = pl.DataFrame({"n": range(400_000)})
    with pytest.raises(Cancelled):
        parquet(row_group_size=1000).write(frame.lazy(), tmp_path / "a.parquet", progress=look, stop=stop)
    assert 50_000 < max(seen) < 400_000
    assert list(tmp_path.iterdir()) == []
    assert "pipe" not in {thread.name for thread in threading.enumerate()}


def test_a_section_that_is_none_is_said() -> None:
    target = io.BytesIO()
    with pytest.raises(FormatError, match="without a footer"), sections._sections(target, "n") as provide:
        for number in range(2):
            with provide(
                pl.io.partition.FileProviderArgs(index_in_partition=number, partition_keys=pl.DataFrame())
            ) as f:
                f.write(b"PAR1 and no more")
