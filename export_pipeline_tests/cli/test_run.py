"""`run` without an instance, as a person or a script uses it."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from export_pipeline.cli.screen import STAGES
from export_pipeline_tests.cli.terminal import Ended, command, inside, terminal

FIELDS = {"run_id", "state", "export", "rows", "seconds", "files", "receipts", "losses"}
"""What one JSON object on standard output has, however the run ended."""


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sales") / "sales.csv"
    lines = [f"{i},{'failed' if i % 3 else 'ok'},0{i},{i / 4}" for i in range(1, 200)]
    path.write_text("\n".join(["id,status,code,amount", *lines]) + "\n")
    return path


def _rows(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def _agrees(file: dict[str, Any]) -> None:
    """Check what the object says of a file against the file."""
    content = Path(file["path"]).read_bytes()
    assert file["bytes"] == len(content)
    assert file["sha256"] == hashlib.sha256(content).hexdigest()


def test_by_name(shared: Path) -> None:
    done = command(shared, "run", "failed-commands")
    path = shared / "out/reports/failed-commands.csv"
    assert done.code == 0, done.err
    assert re.fullmatch(rf"{path}  verified: 200 rows, 4 columns, [\d.]+ kB\n", done.out)
    assert re.search(r"^failed-commands: \d+\.\d s, [\d,]+ rows/s, run [0-9a-f-]{36}$", done.err, re.MULTILINE)
    rows = _rows(path, ";")
    assert [int(row["id"]) for row in rows] == [i for i in range(499, -1, -1) if i % 5 in (1, 2)]
    assert "\x1b" not in done.out + done.err


SEVERAL = """
sources: {commands: {files: commands.parquet}, again: {files: commands.parquet}}
filter: {where: {field: id, operator: lt, value: 10}}
outputs:
  - {name: plain, format: {excel: {header: false}}, file_name: plain, deliver: {local: {folder: board}}}
  - format:
      excel:
        zoom: 150
        sheets:
          - {name: Commands, zoom: 100}
          - {name: By status, rows: {aggregate: {group_by: [status], measures: {runs: count}}}}
          - {name: All, rows: {source: again}}
    file_name: board
    deliver: {local: {folder: board}}
  - {format: {csv: {split: {rows: 4}}}, file_name: parts, deliver: {local: {folder: board}}}
"""


def test_several_outputs_of_several_sources(shared: Path, tmp_path: Path) -> None:
    (shared / "exports" / "several.yaml").write_text(SEVERAL)
    done = inside(shared, "run", "several", "--output", str(tmp_path), "--json")
    assert done.code == 0, done.err
    assert {file["output"]: file["rows"] for file in done.json["files"]} == {"plain": 10, "excel": 10, "csv": 10}
    book = openpyxl.load_workbook(tmp_path / "board" / "board.xlsx")
    assert {sheet.title: (sheet.max_row, sheet.sheet_view.zoomScale) for sheet in book.worksheets} == {
        "Commands": (11, None),
        "By status": (5, 150),
        "All": (501, 150),
    }
    assert openpyxl.load_workbook(tmp_path / "board" / "plain.xlsx").active["A1"].value == 0
    assert len(list((tmp_path / "board" / "parts").glob("*.csv"))) == 3


def test_json_with_everything_changed(shared: Path, tmp_path: Path) -> None:
    done = inside(
        shared,
        "run",
        "failed-commands",
        *("--set", "limit=7", "--set", "format={json: {layout: lines}}", "--set", "deliver[0].local.if_exists=version"),
        *("--set", "file_name={name}-{date:YYYY}", "--where", "id < 100", "--output", str(tmp_path)),
        *("--at", "2024-02-29T10:00", "--json"),
    )
    assert done.code == 0, done.err
    assert done.err == ""
    told = done.json
    assert set(told) >= FIELDS
    assert (told["state"], told["export"], told["rows"]) == ("done", "failed-commands", 7)
    (file,) = told["files"]
    assert file["path"] == str(tmp_path / "reports/failed-commands-2024.ndjson")
    assert file["format"] == "json"
    _agrees(file)
    rows = [json.loads(line) for line in Path(file["path"]).read_text().splitlines()]
    assert [row["id"] for row in rows] == [97, 96, 92, 91, 87, 86, 82]
    assert told["receipts"][0]["sha256"] == file["sha256"]


def test_any_file_and_the_yaml_that_it_equals(
    shared: Path,
    tmp_path: Path,
    sales: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, at = tmp_path / "one" / "result.xlsx", ("--at", "2026-11-05T06:30")
    first.parent.mkdir()
    wanted = ("--where", "status = failed", "--where", "amount >= 10")
    given = ("run", sales.name, "--to", str(first), *wanted, "--set", "sort=[-amount]", *at)
    monkeypatch.chdir(sales.parent)
    done = inside(shared, *given)
    assert done.code == 0, done.err
    assert f"{first}  verified: 107 rows, 4 columns" in done.out
    header, text = done.err.split("\n\n")[0].split("\n", 1)
    assert header == "# the same as this export file:"
    moved = text.replace(str(tmp_path / "one"), str(tmp_path / "two"))
    (tmp_path / "two").mkdir()
    (tmp_path / "export.yaml").write_text(moved)
    again = inside(shared, "run", str(tmp_path / "export.yaml"), *at)
    assert again.code == 0, again.err
    assert (tmp_path / "two" / first.name).read_bytes() == first.read_bytes()


def test_a_file_beside_its_export(shared: Path, tmp_path: Path, sales: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(sales.read_bytes())
    (tmp_path / "some.yaml").write_text("source: {files: rows.csv}\nfilter: {where: {field: id, value: 3}}\n")
    done = inside(shared, "run", str(tmp_path / "some.yaml"), "--output", str(tmp_path), "--json")
    assert done.code == 0, done.err
    assert _rows(Path(done.json["files"][0]["path"])) == [{"id": "3", "status": "ok", "code": "03", "amount": "0.75"}]


def test_sent_once_and_again(shared: Path, tmp_path: Path) -> None:
    given = ("run", "failed-commands", "--output", str(tmp_path), "--at", "2026-11-05T06:30")
    path = tmp_path / "reports/failed-commands.csv"
    assert inside(shared, *given).code == 0
    first = path.stat().st_mtime_ns
    second = inside(shared, *given)
    assert second.code == 0
    assert "failed-commands.csv: not sent again, " in second.err
    assert path.stat().st_mtime_ns == first
    third = inside(shared, *given, "--redeliver", "--json")
    assert [receipt["skipped"] for receipt in third.json["receipts"]] == [False]
    assert path.stat().st_mtime_ns != first


def _three(done: Ended) -> list[str]:
    # On a busy machine a line says how far the run is.
    lines = [line for line in done.told if not re.fullmatch(rf"[\w-]+: ({'|'.join(STAGES)})\b.*", line)]
    assert len(lines) == 3, done.err
    assert lines[2].startswith("Try again: export-pipeline --home ")
    assert done.out == ""
    return lines


def test_a_failure(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text(
        f"source: {{files: {shared / 'commands.parquet'}}}\nfilter: {{where: {{field: id, operator: lt, value: 0}}}}\n"
        "on_empty: fail\n"
    )
    done = inside(shared, "run", str(tmp_path / "empty.yaml"))
    assert done.code == 1
    cause, cure, _ = _three(done)
    assert cause.startswith("no row is left: ")
    assert cure.startswith("Widen the filter")
    done = inside(shared, "run", str(tmp_path / "empty.yaml"), "--json")
    assert done.code == 1
    assert set(done.json) >= FIELDS | {"error", "cure", "retry"}
    assert (done.json["state"], done.json["export"]) == ("failed", "empty")
    assert done.json["run_id"]
    assert done.json["error"] == cause


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("run", "failed-comands"), "there is no export 'failed-comands' (did you mean 'failed-commands'?)"),
        (("run", "failed-commands", "--bogus"), "no such option '--bogus'"),
        (("run",), "missing argument 'FILE|NAME'"),
        (("run", "failed-commands", "--set", "limit=0"), "limit: should be greater than or equal to 1, not 0"),
        (
            ("run", "failed-commands", "--at", "yesterdy"),
            "--at: 'yesterdy' is no date, time or step (did you mean 'yesterday'?)",
        ),
        (("rnu",), "there is no command 'rnu' (did you mean 'run'?)"),
    ],
)
def test_bad_input(home: Path, arguments: tuple[str, ...], cause: str) -> None:
    done = inside(home, *arguments)
    assert done.code == 2
    assert _three(done)[0].startswith(cause)
    done = inside(home, *arguments, "--json")
    assert (done.code, done.err) == (2, "")
    assert set(done.json) >= FIELDS | {"error", "cure", "retry"}
    assert done.json["run_id"] is None
    assert done.json["error"].startswith(cause)


def test_what_only_the_worker_finds(shared: Path) -> None:
    done = inside(shared, "run", "failed-commands", "--set", "columns.exclude=[nope]", "--json")
    assert done.code in (1, 2)
    assert "nope" in done.json["error"]
    assert done.json["state"] == "failed"


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colour(shared: Path, variables: dict[str, str]) -> None:
    with terminal(shared, "run", "nope", variables=variables) as shown:
        assert shown.wait() == 2
        colours = re.findall(r"\x1b\[(?:3[0-7]|9[0-7])", shown.text)
        assert colours == []
        assert shown.plain.splitlines()[0].startswith("there is no export 'nope'")
