"""Outputs of several files, whatever their format: bad days, checksums whose order is not known, no seal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter, ValidationError

from export_pipeline.errors import Cancelled
from export_pipeline.formats import AnyFormat
from export_pipeline.verification import Meter, verify
from export_pipeline_tests.formats.parquet.test_parquet import parquet
from export_pipeline_tests.formats.parts import split


def test_unordered_checksums_bind_cells_to_rows_whatever_the_order() -> None:
    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"]})

    def sums(given: pl.DataFrame) -> dict[str, str]:
        meter = Meter(given.schema, ordered=False)
        meter.add(given)
        return meter.checksums

    assert sums(frame) == sums(frame.reverse())
    assert sums(frame) != sums(frame.with_columns(b=pl.Series(["y", "x", "x"])))
    assert sums(frame) != sums(frame.with_columns(a=pl.Series([2, 1, 3])))


@pytest.mark.parametrize("form", [{"csv": {"split": {"rows": 1}}}, {"parquet": {"partition_by": ["a"]}}])
def test_a_folder_is_not_sealed(form: dict[str, Any]) -> None:
    ((tag, options),) = form.items()
    with pytest.raises(ValidationError, match="a folder of several files is not sealed"):
        TypeAdapter(AnyFormat).validate_python({tag: options | {"seal": {"pgp": ["a.asc"]}}})


FOLDERS = [parquet(partition_by=["k"]), split(split={"rows": 1000})]
each_folder = pytest.mark.parametrize("form", FOLDERS, ids=lambda form: form.tag)


@each_folder
def test_a_stop_leaves_nothing(form: Any, tmp_path: Path) -> None:
    stop = threading.Event()
    pl.DataFrame({"n": range(300_000)}).with_columns(k=pl.col("n") % 5).write_parquet(
        tmp_path / "source.parquet", row_group_size=1_000
    )
    with pytest.raises(Cancelled):
        form.write(
            pl.scan_parquet(tmp_path / "source.parquet"), tmp_path / "out", progress=lambda _: stop.set(), stop=stop
        )
    assert [entry.name for entry in tmp_path.iterdir()] == ["source.parquet"]


@each_folder
def test_a_failing_query_leaves_nothing_and_the_former_folder_alone(form: Any, tmp_path: Path) -> None:
    good = form.write(pl.LazyFrame({"k": [1], "n": [1]}), tmp_path / "out")
    rows = pl.DataFrame({"t": ["1"] * 90_000 + ["x"]}).lazy().select(pl.col("t").str.to_integer(), k=1)
    with pytest.raises(pl.exceptions.PolarsError):
        form.write(rows, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    verify(good, form)


@each_folder
def test_killed_in_the_middle_nothing_has_the_name(form: Any, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import polars as pl; from pydantic import TypeAdapter\n"
        "from export_pipeline.formats import AnyFormat\n"
        "form = TypeAdapter(AnyFormat).validate_json(sys.argv[1])\n"
        "rows = pl.LazyFrame({'n': range(20_000_000)}).with_columns(k=pl.col('n') % 5)\n"
        "form.write(rows, Path(sys.argv[2]))"
    )
    given = json.dumps({form.tag: form.dump()})
    with subprocess.Popen([sys.executable, "-c", code, given, tmp_path / "out"]) as process:
        end = time.monotonic() + 30
        while not list(tmp_path.rglob("*part-*")) and time.monotonic() < end and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert {entry.name[0] for entry in tmp_path.iterdir()} == {"."}
