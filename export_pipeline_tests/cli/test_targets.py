"""An export file outside of the home: every file that it names stands beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from export_pipeline.cli.commands import run as command
from export_pipeline.cli.targets import find_target
from export_pipeline.errors import ConfigError
from export_pipeline.home import Home
from export_pipeline.options import placed
from export_pipeline.pipeline import Context, plan, run
from export_pipeline_tests.formats.excel.pictures import png
from export_pipeline_tests.formats.excel.template.books import rich

ELSEWHERE = """
sources: {rows: {files: data/*.parquet}, more: {files: [data/a.parquet, /data/b.parquet]}}
outputs:
  - format: {excel: {template: report.xlsm, seal: {pgp: [keys/a.asc, ~/b.asc]}}}
  - name: sheets
    format:
      excel:
        sheets: [{name: A, images: [{file: logo.png}]}, {name: B, rows: {source: more}}]
"""


def test_every_name_of_a_file_begins_in_the_folder_of_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/users/me")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "board.yaml").write_text(ELSEWHERE)
    here = tmp_path / "mine"
    config = find_target(Home(tmp_path / "home"), str(here / "board.yaml")).config
    given = config.dump()
    assert given["sources"]["rows"]["files"] == [f"{here}/data/*.parquet"]
    assert given["sources"]["more"]["files"] == [f"{here}/data/a.parquet", "/data/b.parquet"]
    report, sheets = (output["format"]["excel"] for output in given["outputs"])
    assert report["template"]["file"] == f"{here}/report.xlsm"
    assert report["seal"] == {"pgp": [f"{here}/keys/a.asc", "/users/me/b.asc"]}
    assert sheets["sheets"][0]["images"][0]["file"] == f"{here}/logo.png"
    assert placed(config, Path("/elsewhere")) == config
    set_ = find_target(Home(tmp_path), str(here / "board.yaml"), sets=("sources.rows.files=other.csv",)).config
    assert set_.dump()["sources"]["rows"]["files"] == [f"{here}/other.csv"]


def test_such_an_export_runs_and_says_where_it_looked(tmp_path: Path) -> None:
    here, home = tmp_path / "mine", Home(tmp_path / "home").create()
    here.mkdir()
    pl.DataFrame({"id": [1], "status": ["ok"], "cost": [1.5]}).write_parquet(here / "rows.parquet")
    rich(here / "report.xlsm", macros=True)
    (here / "logo.png").write_bytes(png(4, 4))
    told = "source: {files: rows.parquet}\nfile_name: '{name}'\nformat: {excel: {%s}}\n"
    (here / "filled.yaml").write_text(told % "template: report.xlsm")
    (here / "logo.yaml").write_text(told % "first_row: 9, images: [{file: logo.png}]")
    (here / "wrong.yaml").write_text(told % "template: reprot.xlsm")
    (here / "none.yaml").write_text(told % "first_row: 9, images: [{file: pictures/none.png}]")

    def launched(name: str) -> Path:
        target = find_target(home, str(here / f"{name}.yaml"))
        done = run(target.config, Context(home, trusted=True), logical_time=datetime(2026, 11, 23, tzinfo=UTC))
        return Path(done.delivered.receipts["excel"][0].place)

    assert launched("filled").name == "filled.xlsm"
    assert launched("logo").name == "logo.xlsx"
    with pytest.raises(ConfigError) as wrong:
        launched("wrong")
    assert wrong.value.message == f"excel: template: '{here}/reprot.xlsm' cannot be read: No such file or directory"
    assert wrong.value.cure == f"Did you mean '{here}/report.xlsm'?"
    with pytest.raises(ConfigError, match="in an export file elsewhere, in the folder of that file"):
        plan(
            Context(home, trusted=True), find_target(home, str(here / "none.yaml")).config, datetime.now(UTC)
        )  # no row is read


def test_validate_names_a_broken_file_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.yaml").write_text("source: {files: a.csv}\nformat:\n  csv: {delimeter: ';'}\n")
    assert command(["--home", str(tmp_path / "home"), "validate", str(tmp_path / "broken.yaml")]) == 2
    said = capsys.readouterr().err.splitlines()[0]
    assert said == "broken.yaml, line 3: format.csv: unknown option 'delimeter' (did you mean 'delimiter'?)"
