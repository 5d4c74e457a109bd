"""Whole runs without Dagster: the table of stages, what stays and what goes."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from export_pipeline import pipeline
from export_pipeline.config import ExportConfig
from export_pipeline.errors import Cancelled, ConfigError, SourceError
from export_pipeline.home import Home
from export_pipeline.parsing import parse
from export_pipeline.pipeline import STAGES, Context, Progress, preview, run
from export_pipeline.plan import Plan
from export_pipeline_tests.formats.excel.template.books import rich

WHEN = datetime(2026, 11, 5, 9, 30, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home").create()
    rows = pl.DataFrame(
        {
            "id": range(1, 2001),
            "agent": [f"agent-{n % 7}" for n in range(2000)],
            "status": ["failed" if n % 10 == 0 else "success" for n in range(2000)],
            "cost": [n / 7 for n in range(2000)],
            "at": [datetime(2026, 11, 1 + n // 500, n % 24) for n in range(2000)],
        }
    )
    rows.write_parquet(made.root / "commands.parquet", row_group_size=300)
    return made


def config(**changes: Any) -> ExportConfig:
    source = {"files": "commands.parquet", "time": "at", "status": "status", "agent": "agent"}
    return parse(ExportConfig, {"name": "commands", "source": source, "file_name": "{name}"} | changes)


def staged(home: Home) -> list[Path]:
    return list(home.staging.iterdir())


@pytest.mark.parametrize("tag", ["csv", "json", "parquet", "excel"])
def test_a_run_ends_with_a_file_and_a_receipt_and_nothing_staged(home: Home, tag: str) -> None:
    done = run(config(format=tag, filter={"status": "failed"}), Context(home), logical_time=WHEN)
    (receipt,) = done.delivered.receipts[tag]
    assert Path(receipt.place).parent == home.out
    assert done.written.rows == 200
    assert staged(home) == []


def test_the_plan_is_plain_data_and_comes_back_equal(home: Home) -> None:
    asked = config(
        filter={"and": [{"time_range": {"last": "2 days"}}, {"not": {"status": ["success"]}}]},
        aggregate={"group_by": ["agent"], "measures": {"cost": {"sum": "cost"}, "runs": "count"}},
        timezone="Europe/Berlin",
    )
    context = Context(home)
    made = pipeline.plan(context, asked, WHEN)
    assert Plan.model_validate_json(json.dumps(made.dump(defaults=True))) == made
    assert made.reads["rows"].columns == ["agent", "status", "cost", "at"]
    assert "from 2026-11-02T23:00:00Z and before 2026-11-04T23:00:00Z" in made.sentence
    assert made.files[0].name == "commands.csv"


def test_relative_ranges_refer_to_the_logical_time(home: Home) -> None:
    asked = config(filter={"time_range": {"last": "1 day"}}, format="parquet")
    done = run(asked, Context(home), logical_time=datetime(2026, 11, 3, 12, tzinfo=UTC))
    days = pl.read_parquet(done.delivered.receipts["parquet"][0].place)["at"].dt.date().unique().to_list()
    assert [str(day) for day in days] == ["2026-11-02"]


def test_several_outputs_hold_the_same_values(home: Home) -> None:
    asked = parse(
        ExportConfig,
        {
            "name": "commands",
            "source": {"files": "commands.parquet"},
            "aggregate": {"group_by": ["agent"], "measures": {"cost": {"sum": "cost"}, "mean": {"avg": "cost"}}},
            "outputs": [
                {"format": "csv", "file_name": "all"},
                {"format": "parquet", "file_name": "all"},
                {"format": {"json": {"layout": "lines"}}, "file_name": "all"},
            ],
        },
    )
    done = run(asked, Context(home), logical_time=WHEN)
    assert {name: artifact.rows for name, artifact in done.written.artifacts.items()} == {
        "csv": 7,
        "parquet": 7,
        "json": 7,
    }
    places = {name: receipts[0].place for name, receipts in done.delivered.receipts.items()}
    csv = pl.read_csv(places["csv"])
    assert csv.equals(pl.read_parquet(places["parquet"]))
    with duckdb.connect() as database:
        found = database.execute("from read_json(?)", [places["json"]]).fetchall()
    assert csv.rows() == found


def test_a_manifest_lists_what_was_delivered(home: Home) -> None:
    done = run(
        config(deliver={"local": {"folder": "lake", "manifest": "{name}.manifest"}}), Context(home), logical_time=WHEN
    )
    listed = json.loads((home.out / "lake" / "commands.manifest.json").read_text())
    assert [file["name"] for file in listed["files"]] == ["commands.csv"]
    assert listed["files"][0]["sha256"] == done.written.artifacts["csv"].sha256
    assert len(done.delivered.receipts["manifest"]) == 1


def test_the_same_tick_is_delivered_once_unless_it_is_asked_for_again(home: Home) -> None:
    first = run(config(), Context(home), logical_time=WHEN).delivered.receipts["csv"][0]
    again = run(config(), Context(home), logical_time=WHEN).delivered.receipts["csv"][0]
    assert (first.skipped, again.skipped) == (False, True)
    assert first.run_id in again.reason
    asked = run(config(), Context(home, redeliver="please"), logical_time=WHEN).delivered.receipts["csv"][0]
    assert (asked.skipped, asked.attempt) == (False, 2)


@pytest.mark.parametrize("pivot", [None, {"columns": "status"}])
@pytest.mark.parametrize(("on_empty", "there"), [("deliver", True), ("skip", False)])
def test_an_empty_result_is_delivered_or_skipped(
    home: Home, on_empty: str, there: bool, pivot: dict[str, str] | None
) -> None:
    asked = config(filter={"status": "lost"}, on_empty=on_empty, pivot=pivot)
    done = run(asked, Context(home), logical_time=WHEN)
    assert (home.out / "commands.csv").exists() is there
    assert bool(done.delivered.skipped) is not there


def test_an_empty_result_may_be_an_error(home: Home) -> None:
    with pytest.raises(SourceError, match="no row is left"):
        run(config(filter={"status": "lost"}, on_empty="fail"), Context(home), logical_time=WHEN)
    assert staged(home) == []
    assert list(home.out.iterdir()) == []


def test_a_stopped_run_leaves_nothing(home: Home) -> None:
    stop = threading.Event()

    def listen(now: Progress) -> None:
        if now.stage == "write":
            stop.set()

    with pytest.raises(Cancelled):
        run(config(format="json"), Context(home, stop=stop, progress=listen), logical_time=WHEN)
    assert staged(home) == []
    assert list(home.out.iterdir()) == []


def test_two_outputs_may_not_be_one_file(home: Home) -> None:
    twice = [{"name": "a", "file_name": "x"}, {"name": "b", "file_name": "x"}]
    asked = parse(ExportConfig, {"name": "n", "source": {"files": "commands.parquet"}, "outputs": twice})
    with pytest.raises(ConfigError, match=r"'a' and 'b' would both be 'x\.csv'"):
        run(asked, Context(home), logical_time=WHEN)


def test_files_outside_the_roots_are_for_the_local_command_line_only(home: Home, tmp_path: Path) -> None:
    outside = tmp_path / "secret.parquet"
    (home.root / "commands.parquet").rename(outside)
    asked = parse(ExportConfig, {"name": "n", "source": {"files": str(outside)}})
    with pytest.raises(ConfigError, match=r"secret\.parquet"):
        run(asked, Context(home), logical_time=WHEN)
    assert run(asked, Context(home, trusted=True), logical_time=WHEN).written.rows == 2000


def test_a_preview_shows_the_first_rows_and_writes_nothing(home: Home) -> None:
    made, frame = preview(config(sort=["-id"], columns={"include": ["id"]}), Context(home), 3, logical_time=WHEN)
    assert frame["id"].to_list() == [2000, 1999, 1998]
    assert made.files[0].name == "commands.csv"
    assert list(home.out.iterdir()) == []
    assert staged(home) == []


def test_the_stages_need_only_what_comes_before_them() -> None:
    known = {"plan"}
    for stage in STAGES:
        assert set(stage.needs) <= known
        known.add(stage.name)
    assert [stage.name for stage in STAGES] == ["extract", "filter", "aggregate", "write", "verify", "deliver"]


def test_pictures_of_a_workbook_are_looked_for_in_the_home_folder_and_only_there(home: Home) -> None:
    picture = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080014001e01011100ffd9")
    for place in (home.root / "logo.jpg", home.root.parent / "logo.jpg"):
        place.write_bytes(picture)
    asked = config(format={"excel": {"first_row": 4, "images": [{"file": "logo.jpg"}]}})
    assert run(asked, Context(home), logical_time=WHEN).written.rows
    with pytest.raises(ConfigError, match="outside of the folders"):
        run(config(format={"excel": {"images": [{"file": "../logo.jpg"}]}}), Context(home), logical_time=WHEN)
    assert staged(home) == []


def test_a_template_is_refused_before_any_row_is_read_and_gives_the_file_its_ending(home: Home) -> None:
    asked = config(format={"excel": {"template": {"file": "report.xltm"}}}, columns={"include": ["id", "cost"]})
    with pytest.raises(ConfigError, match=r"'report\.xltm' cannot be read"):
        pipeline.plan(Context(home), asked, WHEN)
    made = rich(home.root / "report.xlsx")
    asked = config(format={"excel": {"template": {"file": "report.xlsx"}}}, columns={"include": ["id", "agent"]})
    with pytest.raises(ConfigError, match="the table tblData has no header for the column 'agent'"):
        pipeline.plan(Context(home), asked, WHEN)
    made.unlink()
    rich(home.root / "report.xlsm", macros=True)
    asked = config(
        format={"excel": {"template": {"file": "report.xlsm"}}}, columns={"include": ["id", "status", "cost"]}
    )
    done = run(asked, Context(home), logical_time=WHEN)
    assert Path(done.delivered.receipts["excel"][0].place).name == "commands.xlsm"
    assert done.written.rows == 2000
