"""Disks that are full or read-only, in every place that a run writes to: the former file stays, nothing else does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from export_pipeline.errors import ExportError, StorageError
from export_pipeline_tests.acceptance.desk import FORMER, Desk, desk_in, rows, small_disk

COUNT = 60_000
"""Rows of which every format makes a file larger than the small disk."""
ENDINGS = {"csv": ".csv", "json": ".json", "parquet": ".parquet", "excel": ".xlsx"}


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "commands.parquet"
    rows(COUNT).write_parquet(path)
    return path


@pytest.fixture
def desk(tmp_path: Path, big: Path) -> Desk:
    made = desk_in(tmp_path)
    (made.home.root / "commands.parquet").unlink()
    (made.home.root / "commands.parquet").hardlink_to(big)
    return made


def parts(folder: Path) -> list[str]:
    """Return the unfinished files in a folder."""
    return [path.name for path in folder.rglob("*.part")]


def test_a_full_disk_while_rows_are_extracted(desk: Desk, big: Path) -> None:
    root = desk.home.root
    with duckdb.connect(str(root / "store.duckdb")) as store:
        store.execute("create table commands as from read_parquet(?)", [str(big)])
    (root / "stores.yaml").write_text("stores: {archive: {duckdb: store.duckdb}}")
    with small_disk(desk.home.staging):
        source = {"store": "archive", "dataset": "commands"}
        error = desk.refused(StorageError, "cannot be written: No space left", "Free some space", source=source)
        assert "rows.parquet" in str(error)
        assert error.transient
        assert not any(now.stage == "write" for now in desk.seen)
    assert desk.run(desk.config(source=source)).written.rows == COUNT


@pytest.mark.parametrize("tag", list(ENDINGS))
def test_a_full_disk_while_the_file_is_written(desk: Desk, tag: str) -> None:
    former = desk.former(ENDINGS[tag])
    with small_disk(desk.home.staging):
        error = desk.refused(StorageError, "No space left", "[Ff]ree", format=tag)
        assert f"file{ENDINGS[tag]}" in str(error)
    assert former.read_bytes() == FORMER
    desk.run(desk.config(format=tag))
    assert former.read_bytes() != FORMER


def test_a_full_disk_while_rows_for_several_files_are_computed(desk: Desk) -> None:
    outputs = [{"format": "csv", "file_name": "report"}, {"format": "json"}]
    with small_disk(desk.home.staging, "300k"):
        error = desk.refused(
            StorageError, r"result-0\.parquet: No space left", "Free", sort="-id", file_name=None, outputs=outputs
        )
        assert error.transient


@pytest.mark.parametrize("mode", ["overwrite", "version"])
@pytest.mark.parametrize("tag", ["csv", "parquet"])
def test_a_full_disk_while_the_file_is_delivered(desk: Desk, tag: str, mode: str) -> None:
    with small_disk(desk.out):
        former = desk.former(ENDINGS[tag])
        deliver = {"local": {"folder": ".", "if_exists": mode}}
        error = desk.refused(StorageError, f"report{ENDINGS[tag]}", "No space left", format=tag, deliver=deliver)
        assert error.transient
        assert parts(desk.out) == []
        assert former.read_bytes() == FORMER
        assert [entry.name for entry in desk.out.iterdir()] == [former.name]
        subprocess.run(["mount", "-o", "remount,size=60m", str(desk.out)], check=True)
        (receipt,) = desk.run(desk.config(format=tag, deliver=deliver)).delivered.receipts[tag]
        assert (Path(receipt.place).stat().st_size, receipt.version) == (receipt.bytes, 1 if mode == "overwrite" else 2)


def test_a_disk_that_fills_with_the_ledger_on_it(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger cannot write down what is sent: then nothing is sent."""
    disk = tmp_path / "ledger"
    with small_disk(disk, "1m"):
        monkeypatch.setenv("EXPORT_PIPELINE_LEDGER", f"sqlite:///{disk / 'ledger.sqlite'}")
        desk.verified()  # makes its tables
        (disk / "filler").write_bytes(b"")
        with (disk / "filler").open("ab", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(b"x" * 4096)
        before = desk.snapshot()
        with pytest.raises(ExportError) as caught:
            desk.run(desk.config())
        assert isinstance(caught.value, StorageError)
        assert "ledger" in str(caught.value)
        assert desk.snapshot() == before
        (disk / "filler").unlink()
        assert desk.run(desk.config()).written.rows == COUNT
        assert desk.verified() == 1


@pytest.mark.parametrize("where", ["out", "staging", "home"])
def test_a_read_only_disk(desk: Desk, where: str) -> None:
    folder = {"out": desk.out, "staging": desk.home.staging, "home": desk.home.root}[where]
    if where == "home":
        config = desk.config()
        (desk.home.root / "commands.parquet").unlink()
    with small_disk(folder, "8m"):
        if where == "home":
            desk.home.create()
            rows(100).write_parquet(folder / "commands.parquet")
        former = desk.former()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        if where == "home":
            with pytest.raises(StorageError, match=r"cannot be written|read-only|readonly"):
                desk.run(config)
        else:
            desk.refused(StorageError, "(?i)read-only", "choose another folder")
        assert former.read_bytes() == FORMER
        assert parts(folder) == []


LIMITED = """
import json, resource, signal, sys
from pathlib import Path
from export_pipeline.catalog import load_file
from export_pipeline.errors import ExportError
from export_pipeline.home import Home
from export_pipeline.pipeline import Context, run
from export_pipeline_tests.acceptance.desk import WHEN
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
kept = []
for most in (1_000_000, 100_000_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    try:
        config = load_file(Path(sys.argv[1]) / "exports" / "report.yaml")
        print(json.dumps(["rows", run(config, Context(Home(Path(sys.argv[1]))), logical_time=WHEN).written.rows]))
    except ExportError as error:
        kept.append(error)
        staged, there = Path(sys.argv[1]) / ".staging", Path(sys.argv[1]) / "out"
        left = [path.name for path in staged.iterdir()] + [path.name for path in there.glob(".*")]
        print(json.dumps([type(error).__name__, str(error), left, [path.read_text() for path in there.iterdir()]]))
"""


@pytest.mark.parametrize("tag", [*ENDINGS, "store"])
def test_a_file_that_may_not_grow_and_then_may(desk: Desk, big: Path, tag: str) -> None:
    """The limit of a process on the size of its files: what a quota does, for any user. Then the same process goes on.

    The first error is kept, as a retry keeps it: nothing that it holds may stand in the way of the second run.
    """
    root = desk.home.root
    source: dict[str, str] = {"files": "commands.parquet"}
    if tag == "store":
        with duckdb.connect(str(root / "store.duckdb")) as store:
            store.execute("create table commands as from read_parquet(?)", [str(big)])
        (root / "stores.yaml").write_text("stores: {archive: {duckdb: store.duckdb}}")
        source = {"store": "archive", "dataset": "commands"}
    format_ = "csv" if tag == "store" else tag
    if tag != "csv":
        desk.former().rename(desk.out / f"report{ENDINGS[format_]}")
    desk.config(format=format_, source=source)
    command = [sys.executable, "-c", LIMITED, str(root)]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=120)
    (kind, text, left, there), second = map(json.loads, done.stdout.splitlines())
    assert kind == "StorageError"
    assert "File too large" in text
    assert ("rows.parquet" in text) is (tag == "store")
    assert (left, there) == ([], [FORMER.decode()])
    assert second == ["rows", COUNT]
