"""How writing JSON ends, in every structure: stopped, refused, with the same bytes, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from export_pipeline.errors import Cancelled, FormatError
from export_pipeline_tests.formats.json.documents import json_form, spilling, written
from export_pipeline_tests.formats.json.structures import NESTED, NORMALIZED, STRUCTURES


@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
@pytest.mark.parametrize("after", [1, 60_000])
def test_a_stop_leaves_nothing(structure: Any, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spilling(monkeypatch, 100_000)
    stop = threading.Event()

    def progress(rows: int) -> None:
        if rows >= after:
            stop.set()

    frame = pl.DataFrame({"n": range(60_000)}).with_columns(k=pl.format("k{}", pl.col("n") % 7))
    frame.write_parquet(tmp_path / "source.parquet", row_group_size=1_000)
    form = json_form({"structure": structure})
    with pytest.raises(Cancelled):
        form.write(pl.scan_parquet(tmp_path / "source.parquet"), tmp_path / "x.json", progress=progress, stop=stop)
    assert [entry.name for entry in tmp_path.iterdir()] == ["source.parquet"]


@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
def test_a_value_that_is_refused_is_named_by_its_row_in_the_source(structure: Any, tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": [3, 2, 1], "k": ["c", "b", "a"], "x": [1.0, 2.0, float("inf")]})
    with pytest.raises(FormatError, match="column 'x', row 3"):
        written(frame, tmp_path, structure=structure, non_finite="error")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
@pytest.mark.parametrize("compression", ["none", {"gzip": 1}, {"brotli": 2}, {"zstd": 3}])
def test_the_same_rows_give_the_same_bytes(structure: Any, compression: Any, tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(40_000)}).with_columns(k=pl.format("k{}", pl.col("n") % 7), f=pl.col("n") / 7)
    options = {"structure": structure, "compression": compression, "include_metadata": True}
    assert written(frame, tmp_path, **options).sha256 == written(frame, tmp_path, **options).sha256


_PEAK = """
import json, sys
from pathlib import Path
import polars as pl
from export_pipeline.formats import Json
from export_pipeline.verification import verify
form = Json.model_validate({"structure": json.loads(sys.argv[1])})
artifact = form.write(pl.scan_parquet(sys.argv[2]), Path(sys.argv[3]))
verify(artifact, form)
print(int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("structure", [NESTED, NORMALIZED], ids=["nested", "normalized"])
def test_memory_is_bounded_whatever_is_sorted(structure: Any, tmp_path: Path) -> None:
    rows = pl.DataFrame({"n": range(2_000_000)}).lazy()
    rows = rows.with_columns(
        k=pl.format("agent-{}", pl.col("n").hash() % 200),
        n=pl.col("n").reverse(),
        f=pl.col("n").hash().cast(pl.Float64) / 7.0,
        text=pl.format("completed step {} of many", pl.col("n") * 31 % 99_991),
        host=pl.format("host-{}.example.org", pl.col("n") % 50),
        more=pl.format("one more text, number {}", "n"),
    )
    rows.sink_parquet(tmp_path / "source.parquet", row_group_size=30_000, compression="lz4")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _PEAK,
            json.dumps(structure),
            str(tmp_path / "source.parquet"),
            str(tmp_path / "x.json"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) <= 500  # the rows alone are 300 MB, and sorting in memory needs them twice
