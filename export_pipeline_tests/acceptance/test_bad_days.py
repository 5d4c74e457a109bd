"""Bad days: sources that are gone, locked, broken or changed meanwhile, and results without rows."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from export_pipeline import pipeline
from export_pipeline.errors import ConfigError, ExportError, SourceError, SourceUnavailableError
from export_pipeline.pipeline import STAGES, Context, Progress
from export_pipeline.sources import sqlite_store
from export_pipeline_tests.acceptance.desk import ARCHIVE, FORMER, LIVE, WHEN, Desk, desk_in, rows, with_stores


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return with_stores(desk_in(tmp_path))


@contextmanager
def elsewhere(code: str, *arguments: str) -> Iterator[None]:
    """Run Python in another process, which prints a line when it is ready, until the block ends."""
    command = [sys.executable, "-c", f"import sys\n{code}\nprint('ready', flush=True)\nsys.stdin.read()", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


def test_a_missing_file_is_named_with_the_nearest(desk: Desk) -> None:
    desk.refused(
        SourceError,
        r"no file .*comands\.parquet",
        r"did you mean 'commands\.parquet'",
        source={"files": "comands.parquet"},
    )
    desk.refused(SourceError, r"no file matches 'data/\*\.csv'", source={"files": "data/*.csv"})


def test_a_missing_database_is_named(desk: Desk) -> None:
    (desk.home.root / "live.sqlite").unlink()
    (desk.home.root / "archive.duckdb").unlink()
    desk.refused(SourceError, "store live", r"no file .*live\.sqlite", r"stores\.yaml", source=LIVE)
    desk.refused(SourceError, "store archive", r"no file .*archive\.duckdb", source=ARCHIVE)


def test_a_locked_sqlite_store_may_be_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "_WAIT", 0.2)
    lock = "import sqlite3; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('begin exclusive')"
    with elsewhere(lock, str(desk.home.root / "live.sqlite")):
        error = desk.refused(SourceUnavailableError, r"live\.sqlite is locked by a writer", "Try again", source=LIVE)
        assert error.transient
    assert desk.run(desk.config(source=LIVE)).written.rows == 500


def test_a_duckdb_store_that_is_open_for_writing_may_be_tried_again(desk: Desk) -> None:
    writer = "import duckdb; c = duckdb.connect(sys.argv[1])"
    with elsewhere(writer, str(desk.home.root / "archive.duckdb")):
        error = desk.refused(
            SourceUnavailableError,
            r"archive\.duckdb is open for writing in process \d+",
            "close the file",
            source=ARCHIVE,
        )
        assert error.transient
    assert desk.run(desk.config(source=ARCHIVE)).written.rows == 500


@pytest.mark.parametrize("damage", ["page", "end", "footer", "garbage", "empty"])
@pytest.mark.parametrize("tag", ["csv", "parquet"])
def test_broken_parquet_is_named(desk: Desk, damage: str, tag: str) -> None:
    path = desk.home.root / "commands.parquet"
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[-8:-4], "little")
    broken = {
        "page": bytes(data[:2000]) + b"\xff" * 3000 + bytes(data[5000:]),
        "end": bytes(data[: len(data) // 2]),
        "footer": bytes(data[: -8 - length]) + b"\x00" * length + bytes(data[-8:]),
        "garbage": b"PAR1" + b"no rows here" * 100,
        "empty": b"",
    }[damage]
    path.write_bytes(broken)
    if tag == "parquet":
        desk.former(".parquet")
    desk.refused(SourceError, r"commands\.parquet", format=tag)


@pytest.mark.parametrize("name", ["live.sqlite", "archive.duckdb"])
@pytest.mark.parametrize("damage", ["garbage", "end"])
def test_broken_databases_are_named(desk: Desk, name: str, damage: str) -> None:
    path = desk.home.root / name
    path.write_bytes(b"no database " * 999 if damage == "garbage" else path.read_bytes()[:5000])
    desk.refused(SourceError, name.replace(".", r"\."), source=LIVE if name == "live.sqlite" else ARCHIVE)


@pytest.mark.parametrize(
    ("type_", "row", "column", "value"),
    [("integer", 3, "amount", "12x"), ("date", 2, "day", "2026-13-01"), ("decimal(6,2)", 4, "price", "1.005"),
     ("boolean", 3, "done", "maybe"), ("datetime with zone", 2, "at", "noon")],
)  # fmt: skip
def test_values_of_csv_that_are_not_of_the_type_are_named(
    desk: Desk, type_: str, row: int, column: str, value: str
) -> None:
    good = {"amount": "1", "day": "2026-01-01", "price": "1.50", "done": "true", "at": "2026-01-01T06:00:00Z"}
    lines = [good[column]] * 5
    lines[row - 1] = value
    (desk.home.root / "typed.csv").write_text(
        "\n".join([f"id,{column}", *(f"{n},{line}" for n, line in enumerate(lines))])
    )
    source = {"files": "typed.csv", "schema": {column: type_}}
    name = type_.replace("(", r"\(").replace(")", r"\)")
    desk.refused(
        SourceError, r"typed\.csv", f"row {row}", f"column '{column}'", f"'{value}' is no {name}", source=source
    )
    lines[row - 1] = good[column]
    (desk.home.root / "typed.csv").write_text(
        "\n".join([f"id,{column}", *(f"{n},{line}" for n, line in enumerate(lines))])
    )
    assert desk.run(desk.config(source=source)).written.rows == 5


@pytest.mark.parametrize("tag", ["csv", "json", "parquet", "excel"])
def test_results_without_rows(desk: Desk, tag: str) -> None:
    ending = {"excel": ".xlsx"}.get(tag, f".{tag}")
    former = desk.former(ending)
    nothing: dict[str, Any] = {"filter": {"status": "lost"}, "format": tag}
    desk.refused(SourceError, "no row is left: rows where status is lost", "on_empty", on_empty="fail", **nothing)
    before = desk.snapshot()
    skipped = desk.run(desk.config(on_empty="skip", **nothing))
    assert "on_empty is skip" in skipped.delivered.skipped
    assert (desk.snapshot(), desk.verified()) == (before, 0)
    assert desk.run(desk.config(on_empty="deliver", **nothing)).written.rows == 0
    assert former.read_bytes() != FORMER
    assert desk.verified() == 1


def test_a_renamed_column_stops_the_next_run_only_where_it_is_named(desk: Desk) -> None:
    named = {"columns": ["id", "agent"], "file_name": "named"}
    desk.run(desk.config(**named))
    first = (desk.out / "named.csv").read_bytes()
    rows().rename({"agent": "agent_name"}).write_parquet(desk.home.root / "commands.parquet")
    plain = {"source": {"files": "commands.parquet"}}
    with pytest.raises(ConfigError, match=r"column 'agent' is unknown .*did you mean 'agent_name'"):
        desk.run(desk.config(**named, **plain), redeliver="again")
    assert (desk.out / "named.csv").read_bytes() == first
    desk.run(desk.config(file_name="all", **plain))
    assert (desk.out / "all.csv").read_bytes().startswith(b"id,agent_name,status,")


def test_a_column_of_another_type_is_said(desk: Desk) -> None:
    asked = {"filter": {"where": {"field": "cost", "operator": "gt", "value": 5}}}
    rows().with_columns(pl.col("cost").cast(pl.String) + " EUR").write_parquet(desk.home.root / "commands.parquet")
    desk.refused(ConfigError, "5 cannot be compared with the column 'cost'", "text", nothing_read=True, **asked)
    desk.refused(ConfigError, "'cost' is text", aggregate={"measures": {"cost": {"sum": "cost"}}}, nothing_read=True)


def step(desk: Desk, between: Any, stage: str, **changes: Any) -> ExportError:
    """Run the stages one by one, with something happening before one of them; return the error."""
    context = Context(desk.home, run_id="by-hand")
    before = desk.snapshot()
    with pytest.raises(ExportError) as caught, context.staging.held():
        results: dict[str, Any] = {"plan": pipeline.plan(context, desk.config(**changes), WHEN)}
        for each in STAGES:
            if each.name == stage:
                between()
            results[each.name] = each(context, results)
    context.staging.remove()
    assert desk.snapshot() == before
    assert desk.verified() == 0
    return caught.value


@pytest.mark.parametrize("stage", ["extract", "write"])
@pytest.mark.parametrize("change", ["rows", "columns", "gone"])
def test_a_file_that_changes_meanwhile_is_refused(desk: Desk, change: str, stage: str) -> None:
    path = desk.home.root / "commands.parquet"

    def between() -> None:
        path.unlink()
        if change != "gone":
            (rows(2001) if change == "rows" else rows().drop("cost")).write_parquet(path)

    error = step(desk, between, stage)
    assert type(error) is SourceError
    assert "commands.parquet" in str(error)
    if change != "gone":
        assert "was changed after" in str(error)
        assert "Run the export again" in str(error)


@pytest.mark.parametrize("how", ["written anew", "cut off"])
def test_a_file_that_changes_while_it_is_read_is_refused(desk: Desk, how: str) -> None:
    path = desk.home.root / "commands.parquet"
    rows(200_000).write_parquet(path, row_group_size=2000)
    whole = path.read_bytes()

    def listen(now: Progress) -> None:
        if now.stage == "write" and path.stat().st_mtime_ns > 1:
            path.touch()
            path.write_bytes(whole if how == "written anew" else whole[:1000])

    before = desk.snapshot()
    with pytest.raises(SourceError, match=r"commands\.parquet was changed after"):
        desk.run(desk.config(format={"json": {"layout": "lines"}}), progress=listen)
    assert desk.snapshot() == before


@pytest.mark.parametrize("source", [LIVE, ARCHIVE], ids=["live", "archive"])
@pytest.mark.parametrize("said", ["has no column 'cost'", "unknown column 'cost'"])
def test_a_store_whose_columns_change_meanwhile_is_refused(desk: Desk, source: dict[str, str], said: str) -> None:
    def between() -> None:
        change = "alter table commands rename column cost to price"
        if source is LIVE:
            with closing(sqlite3.connect(desk.home.root / "live.sqlite")) as live:
                live.execute(change)
        else:
            with duckdb.connect(str(desk.home.root / "archive.duckdb")) as archive:
                archive.execute(change)

    asked: dict[str, dict[str, Any]] = {
        "has no column 'cost'": {"columns": ["id", "cost"]},
        "unknown column 'cost'": {"filter": {"where": {"field": "cost", "operator": "gt", "value": 1}}},
    }
    error = step(desk, between, "extract", source=source, **asked[said])
    assert type(error) is ConfigError
    assert said in str(error)


def test_a_store_whose_rows_change_meanwhile_gives_one_view(desk: Desk) -> None:
    """A live store moves on: what is exported is its state at one moment, whole."""
    done = desk.run(desk.config(source=LIVE, sort="id"))
    with closing(sqlite3.connect(desk.home.root / "live.sqlite")) as live, live:
        live.execute("delete from commands where id > 100")
    again = desk.run(desk.config(source=LIVE, sort="id"), redeliver="again")
    assert (done.written.rows, again.written.rows) == (500, 100)
