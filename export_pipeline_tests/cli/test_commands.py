"""The command line as a whole: help, what it imports, how it tells errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from export_pipeline.catalog import Catalog
from export_pipeline.cli import failures
from export_pipeline.cli.commands import COMMANDS, Commands, cli, run
from export_pipeline.errors import Cancelled, SourceError, StorageError

HEAVY = ("dagster", "polars", "pyarrow", "pydantic", "duckdb", "sqlalchemy", "openpyxl", "httpx", "rich", "numpy")


def _imports(*arguments: str) -> set[str]:
    """Return the heavy libraries that a command imports: what it waits for."""
    script = (
        "import json, sys\n"
        "from export_pipeline.cli.commands import run\n"
        f"code = run({list(arguments)!r})\n"
        f"found = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(json.dumps([code, found]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    code, found = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return set(found)


def test_help_is_instant() -> None:
    assert _imports("--help") == set()


@pytest.mark.parametrize("arguments", [("list",), ("validate",), ("schema",), ("status",), ("init", "--help")])
def test_dagster_only_where_it_is_needed(home: Path, arguments: tuple[str, ...]) -> None:
    assert "dagster" not in _imports("--home", str(home), *arguments)


def test_every_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    group = cli
    assert isinstance(group, Commands)
    for name, (_, what) in COMMANDS.items():
        command = group.get_command(click.Context(group), name)
        assert command is not None
        assert command.name == name
        assert what.split(",")[0].split(".")[0][:30] in " ".join((command.help or "").split())
        assert f"  {name}  " in shown
        assert run([name, "--help"]) == 0
        assert f"Usage: export-pipeline {name}" in capsys.readouterr().out


def test_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    read = capsys.readouterr()
    assert "Usage: export-pipeline" in read.out + read.err


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (
            RuntimeError("boom\nand"),
            1,
            ["an error that nobody foresaw: RuntimeError: boom; and", "report it"],
        ),
        (SourceError("the store is locked"), 1, ["the store is locked", "export-pipeline doctor looks at the stores."]),
        (StorageError("the disk is full", cure="Free some space."), 1, ["the disk is full", "Free some space."]),
        (Cancelled("enough"), 130, ["enough", "is not sent twice."]),
        (KeyboardInterrupt(), 130, ["cancelled: nothing half-written is left", "is not sent twice."]),
        (click.Abort(), 130, ["cancelled: nothing half-written is left", "is not sent twice."]),
    ],
)
def test_three_lines(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    lines: list[str],
) -> None:
    def fail(_self: Catalog) -> None:
        raise error

    monkeypatch.setattr(Catalog, "entries", fail)
    monkeypatch.delenv(failures.DEBUG, raising=False)
    given = ["--home", str(home), "list"]
    assert run(given) == code
    told = capsys.readouterr().err.splitlines()
    assert told[0] == lines[0]
    assert told[1].endswith(lines[1]) or lines[1] in told[1]
    assert told[2:] == [f"Try again: export-pipeline --home {home} list"]
    assert run([*given, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["state"] == ("cancelled" if code == 130 else "failed")
    assert found["error"] == lines[0]


def test_debug_shows_the_traceback(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_self: Catalog) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(Catalog, "entries", fail)
    monkeypatch.setenv(failures.DEBUG, "")  # set by --debug: restored at the end
    assert run(["--debug", "--home", str(home), "list"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("Traceback (most recent call last):")
    assert "in fail" in told
    assert "Please report it with the traceback above." in told


def test_a_reader_that_has_seen_enough(home: Path) -> None:
    line = f"{sys.executable} -m export_pipeline --home {home} schema | head -n 1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_several_lines_become_one() -> None:
    assert failures.one_line("a is wrong\nb is wrong\nMend both\n\nThen go on.\nOr not") == (
        "a is wrong; b is wrong. Mend both. Then go on. Or not"
    )
