"""The demo on disk: what is in its stores, and whose files it never touches."""

from __future__ import annotations

import errno
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from export_pipeline import demo
from export_pipeline.demo import History, create, example_files, parquet
from export_pipeline.errors import ConfigError, StorageError

UNTIL = datetime(2026, 11, 23, 19, 7, tzinfo=UTC)
ROWS = 20_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "home"
    create(folder, rows=ROWS, until=UNTIL)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_there(home: Path) -> None:
    assert names(home) == sorted([".demo.json", "archive.duckdb", "dashboard.sqlite", *example_files()])
    assert json.loads((home / ".demo.json").read_text())["rows"] == ROWS
    assert len(example_files()) == 7


def test_the_archive_has_every_row_and_its_types(home: Path) -> None:
    history = History(ROWS, UNTIL)
    with duckdb.connect(str(home / "archive.duckdb"), read_only=True) as database:
        database.execute("set timezone = 'UTC'")
        for table, expected in {
            "commands": pl.concat(history.commands()),
            "agents": history.agents(),
            "metrics": history.metrics(),
        }.items():
            found = pl.DataFrame(database.sql(f"select * from {table}").to_arrow_table())
            assert found.schema == expected.schema
            assert found.equals(expected)


def test_the_live_store_has_the_last_days(home: Path) -> None:
    everything = pl.concat(History(ROWS, UNTIL).commands())
    with closing(sqlite3.connect(home / "dashboard.sqlite")) as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert database.execute("pragma foreign_key_check").fetchall() == []
        rows = database.execute("select * from commands order by id").fetchall()
        counts = {
            table: database.execute(f"select count(*) from {table}").fetchone()[0] for table in ("agents", "metrics")
        }
        kinds = {row[0] for row in database.execute("select distinct typeof(cost_usd) from commands")}
    live = everything[-len(rows) :]
    assert 0.1 * ROWS < len(rows) < 0.4 * ROWS
    assert counts == {"agents": 200, "metrics": 33_600}
    assert kinds <= {"real", "integer", "null"}
    first, last = rows[0], rows[-1]
    assert live["started_at"][0] >= datetime(2026, 10, 24, 19, 7, tzinfo=UTC)
    for row, expected in ((first, live.row(0, named=True)), (last, live.row(-1, named=True))):
        assert row[0] == expected["id"]
        assert row[5] == expected["started_at"].strftime("%Y-%m-%d %H:%M:%S.%f")
        assert row[12] == expected["message"]
    assert [row[4] for row in rows] == live["ticket"].to_list()  # leading zeros and all
    assert [row[10] for row in rows] == live["cost_usd"].cast(pl.Float64).to_list()


def test_the_same_again_for_a_seed(home: Path, tmp_path: Path) -> None:
    create(tmp_path, rows=ROWS, until=UNTIL)
    query = "select md5(string_agg(c::varchar, '\n' order by c.id)) from commands c"
    sums = set()
    for folder in (home, tmp_path):
        with duckdb.connect(str(folder / "archive.duckdb"), read_only=True) as database:
            sums.add(database.sql(query).fetchall()[0][0])
    assert len(sums) == 1


def test_a_demo_replaces_a_demo_and_leaves_the_rest(tmp_path: Path) -> None:
    create(tmp_path, rows=100, until=UNTIL)
    (tmp_path / "exports" / "mine.yaml").write_text("version: 1")
    (tmp_path / "dashboard.sqlite-wal").write_bytes(b"the log of the former database")
    create(tmp_path, rows=200, until=UNTIL)
    assert (tmp_path / "exports" / "mine.yaml").read_text() == "version: 1"
    assert not (tmp_path / "dashboard.sqlite-wal").exists()
    with duckdb.connect(str(tmp_path / "archive.duckdb"), read_only=True) as database:
        assert database.sql("select count(*) from commands").fetchall() == [(200,)]
    assert not list(tmp_path.glob(".demo-*"))


@pytest.mark.parametrize("name", ["stores.yaml", "archive.duckdb", "dashboard.sqlite", "exports/commands-lake.yaml"])
def test_a_file_of_somebody_else_is_never_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match="is not the demo's"):
        create(tmp_path, rows=100, until=UNTIL)
    assert names(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_an_edited_example_is_never_overwritten(tmp_path: Path) -> None:
    create(tmp_path, rows=100, until=UNTIL)
    edited = tmp_path / "exports" / "cost-per-agent.yaml"
    edited.write_text(edited.read_text() + "# mine\n")
    before = (tmp_path / "archive.duckdb").read_bytes()
    with pytest.raises(ConfigError, match="was changed since the demo was made"):
        create(tmp_path, rows=300, until=UNTIL)
    assert edited.read_text().endswith("# mine\n")
    assert (tmp_path / "archive.duckdb").read_bytes() == before


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    create(tmp_path / "home", rows=100, until=UNTIL)
    outside = tmp_path / "outside.yaml"
    (tmp_path / "home" / "stores.yaml").replace(outside)
    (tmp_path / "home" / "stores.yaml").symlink_to(outside)
    with pytest.raises(ConfigError, match="is not the demo's"):
        create(tmp_path / "home", rows=100, until=UNTIL)


def test_a_failure_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(demo, "write_live", full)
        with pytest.raises(StorageError, match="No space left"):
            create(tmp_path / "new", rows=100, until=UNTIL)
    assert not (tmp_path / "new").exists()
    create(tmp_path / "old", rows=100, until=UNTIL)
    before = (tmp_path / "old" / "archive.duckdb").read_bytes()
    monkeypatch.setattr(demo, "write_live", full)
    with pytest.raises(StorageError):
        create(tmp_path / "old", rows=200, until=UNTIL)
    assert (tmp_path / "old" / "archive.duckdb").read_bytes() == before
    assert not list((tmp_path / "old").glob(".demo-*"))


def test_leftovers_of_a_killed_demo_are_swept(tmp_path: Path) -> None:
    import os

    for name, age in ((".demo-dead.part", 7200), (".demo-busy.part", 0)):
        (tmp_path / name).mkdir()
        now = (tmp_path / name).stat().st_mtime
        os.utime(tmp_path / name, (now - age, now - age))
    create(tmp_path, rows=100, until=UNTIL)
    assert [path.name for path in tmp_path.glob(".demo-*")] == [".demo-busy.part"]


def test_arguments_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one row"):
        create(tmp_path, rows=0)
    with pytest.raises(ConfigError, match="needs a time zone"):
        create(tmp_path, until=datetime(2026, 1, 1))


def test_the_end_is_now_if_not_given(tmp_path: Path) -> None:
    create(tmp_path, rows=5_000)
    with duckdb.connect(str(tmp_path / "archive.duckdb"), read_only=True) as database:
        age = database.sql("select epoch(now() - max(started_at)) from commands").fetchall()[0][0]
    assert 0 <= age < 7200


def test_the_table_of_the_benchmarks(tmp_path: Path) -> None:
    for name in ("a", "b"):
        parquet(70_001, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    parquet(70_001, tmp_path / "c", seed=8)
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()
    file = pq.ParquetFile(tmp_path / "a").metadata
    assert [file.row_group(group).num_rows for group in range(file.num_row_groups)] == [30_000, 30_000, 10_001]
    rows = pl.read_parquet(tmp_path / "a")
    assert rows.schema == {
        "id": pl.Int64,
        "agent_id": pl.String,
        "command": pl.String,
        "status": pl.String,
        "started_at": pl.Datetime("us"),
        "duration_ms": pl.Float64,
        "exit_code": pl.Int32,
        "cost_usd": pl.Float64,
        "host": pl.String,
        "message": pl.String,
    }
    assert rows["started_at"].is_sorted()
    assert rows["message"].null_count() == 70_001 // 17
    assert rows["agent_id"].n_unique() == 200
    parquet(0, tmp_path / "empty")
    assert pl.read_parquet(tmp_path / "empty").schema == rows.schema
