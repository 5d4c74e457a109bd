"""The commands before the first run: `init`, `validate`, `preview`, `doctor`, `schema`, `list`; an empty history."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from export_pipeline.catalog import load_file
from export_pipeline.cli.commands import run
from export_pipeline.config import ExportConfig
from export_pipeline_tests.servers import free_port

Read = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str]) -> Read:
    """Return a function that runs a command in the home and returns its code, output and errors."""

    def read(*arguments: str, folder: Path = home) -> tuple[int, str, str]:
        code = run(["--home", str(folder), *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return read


def _database(path: Path) -> Path:
    with sqlite3.connect(path) as made:
        made.execute("create table teams (id integer, name text)")
        made.execute("create table jobs (id integer, started_at timestamp, state text, worker text)")
        made.execute("insert into jobs values (1, '2026-01-01 10:00:00', 'failed', 'w1')")
    made.close()
    return path


def test_init_of_a_file(call: Read, home: Path, tmp_path: Path) -> None:
    (tmp_path / "Sales 2026.csv").write_text("id,created_at,status\n1,2026-01-01T10:00:00,ok\n")
    code, out, err = call("init", str(tmp_path / "Sales 2026.csv"))
    assert code == 0, err
    assert f"{home / 'stores.yaml'}  lets exports read files in {tmp_path}" in out
    assert f"{home / 'exports/sales-2026.yaml'}  holds the export:" in out
    assert out.splitlines()[-1] == "Next: export-pipeline preview sales-2026, export-pipeline run sales-2026"
    assert err.splitlines() == ["guessed: time is the column 'created_at'", "guessed: status is the column 'status'"]
    config = load_file(home / "exports/sales-2026.yaml")
    assert config.source is not None
    assert config.source.dump()["status"] == "status"
    code, out, err = call("doctor")  # as the Dagster UI and schedules will find it
    assert "ok  export sales-2026" in out
    assert code == 0, out
    again = call("init", str(tmp_path / "Sales 2026.csv"))
    assert again[0] == 2
    assert again[2].startswith("there is an export 'sales-2026' already\nGive this one another name: --name\n")
    inside = call("init", str(home / "commands.parquet"), "--name", "inside")
    assert inside[0] == 0
    assert "lets exports read" not in inside[1]


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_init_of_a_database(call: Read, home: Path, tmp_path: Path, form: str) -> None:
    (home / "stores.yaml").write_text("# ours\nstores: {}\nroots: [data]  # kept\n")
    path = _database(tmp_path / "live.db")
    code, out, err = call("init", form.format(path))
    assert code == 0, err
    assert "names the store live" in out
    assert "other data sets: teams" in err
    text = (home / "stores.yaml").read_text()
    assert text.startswith("# ours\n")
    assert "# kept" in text
    code, out, err = call("preview", "jobs")
    assert (code, out.splitlines()[0].split()) == (0, ["id", "started_at", "state", "worker"])
    assert call("init", form.format(path), "--name", "second")[0] == 0
    assert (home / "stores.yaml").read_text() == text


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("nope.csv", "there is no file "),
        ("sqlite:///nope.db", "there is no file "),
        ("postgresql://host/db", "there is no store of the kind 'postgresql'\nThere are: duckdb, sqlite.\n"),
    ],
)
def test_init_of_nothing(call: Read, tmp_path: Path, source: str, told: str) -> None:
    code, out, err = call("init", source, folder=tmp_path / "none")
    assert (code, out) == (2, "")
    assert err.startswith(told)
    assert not (tmp_path / "none").exists()


def test_validate(call: Read, home: Path) -> None:
    code, out, err = call("validate")
    assert (code, err) == (0, "")
    assert out == (
        "failed-commands: right. rows where status is failed or timeout; sorted by id descending"
        " -> failed-commands.csv\n"
    )
    (home / "exports" / "bad.yaml").write_text("source: {files: commands.parquet}\ncolumns: {exclude: [nope]}\n")
    code, out, err = call("validate")
    assert (code, len(out.splitlines())) == (2, 1)
    assert err.splitlines()[0].startswith("bad: ")
    assert "'nope'" in err.splitlines()[0]
    assert err.splitlines()[-1] == f"Try again: export-pipeline --home {home} validate bad"
    assert call("validate", "failed-commands", "--set", "limit=0")[0] == 2


def test_preview(call: Read, home: Path) -> None:
    code, out, err = call("preview", "failed-commands", "--rows", "2")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["id", "497", "496"]
    assert err.startswith("rows where status is failed or timeout")
    code, out, _ = call("preview", str(home / "commands.parquet"), "--where", "id = 7", "--json")
    assert [row["id"] for row in json.loads(out)] == [7]
    assert list((home / ".staging").iterdir()) == []
    assert not (home / "out" / "reports").exists()


def test_doctor(call: Read, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_HOOK", "https://example.org")
    (home / "junk.db").write_bytes(b"this is no database" * 100)
    (home / "stores.yaml").write_text("stores: {junk: {sqlite: junk.db}, gone: {duckdb: gone.duckdb}}")

    def hook(name: str) -> str:
        return f"{{webhook: {{url: {{env: {name}}}}}}}"

    told = f'[{hook("EXPORT_HOOK")}, {hook("HOOK")}, {{webhook: "http://127.0.0.1:{free_port()}"}}]'
    (home / "exports" / "told.yaml").write_text(f"source: {{files: commands.parquet}}\nnotify: {told}\n")
    (home / "exports" / "broken.yaml").write_text("source: {files: commands.parquet}\nformt: csv\n")
    code, out, err = call("doctor")
    assert (code, err) == (1, "")
    good = [line[4:] for line in out.splitlines() if line.startswith("ok  ")]
    bad = [line[4:] for line in out.splitlines() if line.startswith("!!  ")]
    cures = [line for line in out.splitlines() if line.startswith("    ")]
    assert f"home folder {home} can be written" in good
    assert "export failed-commands" in good
    assert "export told: secret EXPORT_HOOK" in good
    assert [line.split(":")[0] for line in bad] == [
        "store junk",
        "store gone",
        "broken.yaml, line 2",
        "export told",
        "export told",
    ]
    assert "'HOOK' may not be read" in bad[3]
    assert "does not answer: Connection refused" in bad[4]
    assert len(cures) == len(bad)


def test_schema(call: Read, tmp_path: Path) -> None:
    code, out, _ = call("schema")
    assert code == 0
    schema = json.loads(out)
    assert set(schema["properties"]) == set(ExportConfig.model_fields)
    code, out, _ = call("schema", "--output", str(tmp_path / "s.json"))
    assert (code, json.loads((tmp_path / "s.json").read_text())) == (0, schema)
    assert out.splitlines()[-1] == f"# yaml-language-server: $schema={(tmp_path / 's.json').as_uri()}"
    assert call("schema", "--output", str(tmp_path / "none" / "s.json"))[0] == 1


def test_list(call: Read, home: Path, tmp_path: Path) -> None:
    (home / "exports" / "broken.yaml").write_text("source: {files: x.csv}\nformt: csv\n")
    code, out, err = call("list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["export", "failed-commands"]
    assert err == "broken: broken.yaml, line 2: unknown option 'formt' (did you mean 'format'?)\n"
    code, out, err = call("list", "--json")
    told = {entry["name"]: entry for entry in json.loads(out)}
    assert told["failed-commands"]["formats"] == ["csv"]
    assert "formt" in told["broken"]["problem"]
    assert err == ""
    none = tmp_path / "none"
    assert call("list", folder=none)[2].startswith(f"No export in {none / 'exports'}.")
    assert not none.exists()


def test_history_and_status_of_nothing(call: Read, home: Path) -> None:
    assert call("history") == (0, "", "No run yet: export-pipeline run NAME makes one.\n")
    assert call("history", "nope")[2] == "No run of nope yet.\n"
    assert call("history", "--json") == (0, "[]\n", "")
    code, out, err = call("status", "nope")
    assert (code, out) == (2, "")
    assert err.startswith("there is no run 'nope'\n")
    assert json.loads(call("status", "--json")[1]) == {"home": str(home), "url": None}
