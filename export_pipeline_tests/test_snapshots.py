"""Snapshots: there whole or not at all, and the same as long as they are read."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from export_pipeline.errors import Cancelled, SourceError, StorageError
from export_pipeline.filters import Filter
from export_pipeline.snapshots import ROW_GROUP, Pin, Snapshot, stage
from export_pipeline.snapshots.arrow import arrow_schema, plain, to_batches

SCHEMA = pl.Schema({"id": pl.Int64(), "text": pl.String()})


class Rows:
    """Rows that come in batches of any size, slowly or not, whole or not."""

    what = "rows of a test"
    version = "1"

    def __init__(self, frame: pl.DataFrame, batch: int, pins: tuple[Pin, ...] | None = None) -> None:
        self.frame, self.batch, self.pins, self.schema = frame, batch, pins, frame.schema
        self.interrupted = threading.Event()
        self.fail: Exception | None = None

    def batches(
        self,
        columns: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        for part in self.frame.select(columns or self.frame.columns).iter_slices(self.batch):
            yield from to_batches(part)
        if self.fail:
            raise self.fail

    def pushed(self, filter: Filter | None) -> str | None:  # noqa: A002
        return None

    def count(self) -> int | None:
        return self.frame.height

    def interrupt(self) -> None:
        self.interrupted.set()


class Stuck(Rows):
    """Rows that do not come before somebody interrupts."""

    def batches(
        self,
        columns: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        yield from super().batches(columns, filter)
        assert self.interrupted.wait(20)
        raise SourceError("the store was interrupted")


def frame(rows: int) -> pl.DataFrame:
    return pl.DataFrame({"id": range(rows), "text": [f"text {n % 100}" for n in range(rows)]}, schema=SCHEMA)


@pytest.mark.parametrize("batch", [1_000, 29_999, 30_000, 75_000])
def test_groups_are_small_whatever_the_batches_are(tmp_path: Path, batch: int) -> None:
    seen: list[int] = []
    snapshot = stage(Rows(frame(100_000), batch), tmp_path, progress=seen.append)
    assert_frame_equal(snapshot.scan().collect(), frame(100_000))
    metadata = pq.read_metadata(snapshot.paths[0])
    groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert max(groups) < 2 * ROW_GROUP
    assert sorted(groups)[1] >= ROW_GROUP or batch == 75_000
    assert seen == sorted(seen)
    assert seen[-1] == snapshot.rows == 100_000


def test_columns_are_those_asked_for(tmp_path: Path) -> None:
    snapshot = stage(Rows(frame(10), 3), tmp_path, columns=["text"])
    assert snapshot.types == {"text": "String"}
    assert snapshot.scan().collect().columns == ["text"]


def test_a_failure_leaves_nothing_and_the_former_file(tmp_path: Path) -> None:
    before = stage(Rows(frame(5), 5), tmp_path).scan().collect()
    rows = Rows(frame(100_000), 1_000)
    rows.fail = SourceError("the store is gone")
    with pytest.raises(SourceError, match="the store is gone"):
        stage(rows, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]
    assert_frame_equal(pl.read_parquet(tmp_path / "rows.parquet"), before)


def test_stopping_ends_a_stuck_store_soon(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        stage(Stuck(frame(100), 10), tmp_path, stop=stop)
    assert time.monotonic() - began < 5
    assert not list(tmp_path.iterdir())


def test_stopping_ends_a_running_store(tmp_path: Path) -> None:
    stop = threading.Event()

    def progress(rows: int) -> None:
        if rows >= 60_000:
            stop.set()

    with pytest.raises(Cancelled):
        stage(Rows(frame(200_000), 10_000), tmp_path, stop=stop, progress=progress)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        stage(Rows(frame(5), 5), tmp_path / "nowhere")


def test_a_full_disk_is_a_storage_error_and_leaves_nothing(tmp_path: Path) -> None:
    program = f"""
import os, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from export_pipeline.errors import StorageError
from export_pipeline.snapshots import stage
from export_pipeline_tests.test_snapshots import Rows, frame
import polars as pl
rows = frame(200_000).with_columns(text=pl.col("id").hash().cast(pl.String))
try:
    stage(Rows(rows, 10_000), Path({str(tmp_path)!r}))
except StorageError as error:
    print(error)
    sys.exit(3)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert "cannot be written" in done.stdout
    assert not list(tmp_path.iterdir())


def test_pinned_files_are_not_copied_and_must_not_change(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    frame(10).write_parquet(path)
    rows = Rows(frame(10), 5, pins=(Pin.of(path, "identity"),))
    snapshot = stage(rows, tmp_path)
    assert snapshot.pinned
    assert snapshot.paths == (path,)
    assert Snapshot.model_validate_json(snapshot.model_dump_json()) == snapshot
    assert_frame_equal(snapshot.scan().collect(), frame(10))
    os.utime(path, ns=(1, 1))
    with pytest.raises(SourceError, match=r"mine\.parquet was changed after it was read first"):
        snapshot.scan()
    path.unlink()
    with pytest.raises(SourceError, match=r"mine\.parquet cannot be read: No such file"):
        snapshot.check()


def test_staged_rows_that_are_gone_are_named(tmp_path: Path) -> None:
    snapshot = stage(Rows(frame(10), 5), tmp_path)
    snapshot.paths[0].unlink()
    with pytest.raises(SourceError, match=r"rows\.parquet are gone"):
        snapshot.scan()


def test_damage_inside_of_a_file_names_it(tmp_path: Path) -> None:
    snapshot = stage(Rows(frame(100_000), 5_000), tmp_path)
    data = bytearray(snapshot.paths[0].read_bytes())
    data[200:2_000] = bytes(1_800)
    snapshot.paths[0].write_bytes(bytes(data))
    with pytest.raises(SourceError, match=r"rows\.parquet cannot be read"), snapshot.reading() as rows:
        rows.collect()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (pl.Categorical(), pl.String()),
        (pl.Enum(["a"]), pl.String()),
        (pl.Null(), pl.String()),
        (pl.Int128(), pl.Decimal(38, 0)),
        (pl.Array(pl.Int8(), (2, 3)), pl.List(pl.List(pl.Int8()))),
        (pl.Struct({"a": pl.List(pl.Enum(["a"]))}), pl.Struct({"a": pl.List(pl.String())})),
        (pl.Datetime("ns", "Europe/Berlin"), pl.Datetime("ns", "Europe/Berlin")),
    ],
    ids=str,
)
def test_plain_types(dtype: pl.DataType, expected: pl.DataType) -> None:
    assert plain(dtype) == expected
    empty = pl.DataFrame(schema={"c": expected})
    assert pl.DataFrame(pl.from_arrow(arrow_schema(empty.schema).empty_table())).schema == empty.schema
