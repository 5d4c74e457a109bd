"""Which files a source means, which it may read, and Parquet and Arrow files as they are."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from export_pipeline.errors import ConfigError, SourceError
from export_pipeline.snapshots import stage
from export_pipeline.sources import FilesSource
from export_pipeline_tests.sources.test_contract import read


def open_(folder: Path, files: Any, roots: list[Path] | None = None, **options: Any) -> Any:
    return FilesSource(files=files, **options).open(None, roots, folder=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "home" / "data"
    inside.mkdir(parents=True)
    for name in ("b.csv", "a.csv", "c.CSV"):
        (inside / name).write_text(f"name\n{name}\n")
    (tmp_path / "secret.csv").write_text("name\nsecret\n")
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ("data/*.csv", ["a.csv", "b.csv"]),
        ("data/b.csv", ["b.csv"]),
        (["data/b.csv", "data/*.csv"], ["b.csv", "a.csv"]),
        ("**/*.csv", ["a.csv", "b.csv"]),
        ("data/[ac].*", ["a.csv", "c.CSV"]),
        ("../secret.csv", ["secret"]),
    ],
)
def test_names_and_patterns(folder: Path, files: Any, names: list[str]) -> None:
    with open_(folder, files) as opened:
        assert read(opened)["name"].to_list() == names


def test_a_name_with_wildcards_is_a_name_first(folder: Path) -> None:
    (folder / "x[1].csv").write_text("name\nx\n")
    with open_(folder, "x[1].csv") as opened:
        assert read(opened)["name"].to_list() == ["x"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("data/d.csv", r"there is no file .*d\.csv \((did you mean|valid)"),
        ("data/*.parquet", r"no file matches 'data/\*\.parquet'"),
        ("nowhere/a.csv", "the folder .*nowhere does not exist"),
        ("data", "is a folder"),
    ],
)
def test_missing_files(folder: Path, files: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_(folder, files)


@pytest.mark.parametrize(
    "files", ["../secret.csv", "data/link.csv", "../*.csv", "data/../../secret.csv", "/etc/passwd", "/etc/*"]
)
def test_files_outside_of_the_roots_are_refused(folder: Path, tmp_path: Path, files: str) -> None:
    (folder / "data" / "link.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(ConfigError, match="outside of the folders that exports may read"):
        open_(folder, files, roots=[folder])


def test_roots_may_be_links_and_several(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    with open_(folder, ["data/a.csv"], roots=[tmp_path / "nowhere", tmp_path / "link"]) as opened:
        assert read(opened).height == 1


def test_formats_by_name(folder: Path) -> None:
    (folder / "data.dat").write_text("a;b\n1;2\n")
    with pytest.raises(ConfigError, match=r"the name of data\.dat tells no format"):
        open_(folder, "data.dat")
    with open_(folder, "data.dat", format="csv") as opened:
        assert read(opened).rows() == [(1, 2)]
    (folder / "data" / "x.ndjson").write_text('{"a": 1}')
    with pytest.raises(ConfigError, match=r"several formats: csv \(.*\) and ndjson \(x\.ndjson\)"):
        open_(folder, ["data/*.csv", "data/x.ndjson"])


FRAME = pl.DataFrame({"id": [1, 2], "text": ["a", None]}, schema={"id": pl.Int32, "text": pl.String})


def test_parquet_is_pinned_not_copied(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "a.parquet")
    with open_(tmp_path, "a.parquet") as opened:
        snapshot = stage(opened, tmp_path / "staging")
        assert opened.files == [tmp_path / "a.parquet"]
        assert opened.count() == 2
    assert snapshot.pinned
    assert snapshot.pins[0].identity
    assert_frame_equal(snapshot.scan().collect(), FRAME)


def test_parquet_files_are_united_by_name(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "1.parquet")
    FRAME.select("text", pl.col("id").cast(pl.Int64), new=pl.lit(1.5)).write_parquet(tmp_path / "2.parquet")
    with open_(tmp_path, "*.parquet") as opened:
        assert opened.schema == pl.Schema({"id": pl.Int64(), "text": pl.String(), "new": pl.Float64()})
        assert_frame_equal(read(opened), stage(opened, tmp_path).scan().collect())
        assert read(opened).rows() == [(1, "a", None), (2, None, None), (1, "a", 1.5), (2, None, 1.5)]


def test_types_that_do_not_go_together_are_refused_until_one_is_given(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "1.parquet")
    FRAME.with_columns(id=pl.lit("x")).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(SourceError, match=r"column 'id' is Int32 in .*1\.parquet and String in .*2\.parquet"):
        open_(tmp_path, "*.parquet")
    with open_(tmp_path, "*.parquet", schema={"id": "text"}) as opened:
        assert read(opened)["id"].to_list() == ["1", "2", "x", "x"]


@pytest.mark.parametrize("keep", [0, 3, 11, 100, -1, -9])
def test_truncated_parquet_is_refused_by_name(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.parquet"
    FRAME.write_parquet(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SourceError, match=r"a\.parquet"):
        open_(tmp_path, "a.parquet")


def test_damaged_footers_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    FRAME.write_parquet(path)
    data = bytearray(path.read_bytes())
    data[-40:-8] = b"\xff" * 32
    path.write_bytes(bytes(data))
    with pytest.raises(SourceError, match=r"a\.parquet is no Parquet file that can be read"):
        open_(tmp_path, "a.parquet")


def test_a_parquet_file_with_intervals_is_refused_by_column(tmp_path: Path) -> None:
    duckdb.execute(f"COPY (SELECT 1 AS a, INTERVAL 1 MONTH AS b) TO '{tmp_path / 'a.parquet'}'")
    with pytest.raises(SourceError, match=r"column 'b' of .*a\.parquet is an interval"):
        open_(tmp_path, "a.parquet")


def test_a_replaced_parquet_file_is_refused(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "a.parquet")
    with open_(tmp_path, "a.parquet") as planned:
        version = planned.version
        FRAME.head(1).write_parquet(tmp_path / "a.parquet")
        with pytest.raises(SourceError, match=r"a\.parquet was changed"):
            read(planned)
    with (
        open_(tmp_path, "a.parquet") as opened,
        pytest.raises(SourceError, match="changed after the export was planned"),
    ):
        opened.expect(version)


ODD = pa.table(
    {
        "category": pa.array(["x", None]).dictionary_encode(),
        "json": pa.array(['{"a":1}', None], pa.json_()),
        "uuid": pa.array([uuid.UUID(int=1).bytes, None], pa.uuid()),
        "half": pa.array([1.5, None], pa.float16()),
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
        "fixed": pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
        "length": pa.array([5, None], pa.duration("us")),
        "nothing": pa.nulls(2),
    }
)


@pytest.mark.parametrize("name", ["odd.parquet", "odd.feather"])
def test_odd_types_become_plain_ones(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pq.write_table(ODD, tmp_path / name)
    else:
        pyarrow.feather.write_feather(ODD, str(tmp_path / name))
    with open_(tmp_path, name) as opened:
        found = stage(opened, tmp_path, name="staged").scan().collect()
        assert found.schema == opened.schema
        assert_frame_equal(read(opened), found)
    row = found.row(0, named=True)
    assert (row["category"], row["json"], row["half"], row["nothing"]) == ("x", '{"a":1}', 1.5, None)
    assert (row["map"], row["fixed"], row["uuid"]) == ([{"key": "k", "value": 1}], [1, 2], uuid.UUID(int=1).bytes)
    assert [str(dtype) for dtype in found.dtypes[:1]] == ["String"]


def test_types_that_nobody_can_hold_are_refused_by_name(tmp_path: Path) -> None:
    table = pa.table({"big": pa.array([[1]], pa.list_(pa.decimal256(50, 2)))})
    pq.write_table(table, tmp_path / "big.parquet")
    pyarrow.feather.write_feather(table, str(tmp_path / "big.feather"))
    months = pa.table({"months": pa.array([(1, 2, 3)], pa.month_day_nano_interval())})
    pyarrow.feather.write_feather(months, str(tmp_path / "months.feather"))
    for name in ("big.parquet", "big.feather", "months.feather"):
        with pytest.raises(SourceError, match=name):
            open_(tmp_path, name)


def test_truncated_arrow_files_are_refused_by_name(tmp_path: Path) -> None:
    pyarrow.feather.write_feather(FRAME.to_arrow(), str(tmp_path / "a.feather"))
    data = (tmp_path / "a.feather").read_bytes()
    for keep in (5, 100, len(data) - 4):
        (tmp_path / "a.feather").write_bytes(data[:keep])
        with pytest.raises(SourceError, match=r"a\.feather"), open_(tmp_path, "a.feather") as opened:
            read(opened)
