"""Whole runs with structured JSON: beside other outputs, planned, and refused before a row is read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from export_pipeline.config import ExportConfig
from export_pipeline.errors import FormatError
from export_pipeline.home import Home
from export_pipeline.parsing import parse
from export_pipeline.pipeline import Context, Result, run
from export_pipeline_tests.formats.json.documents import strict

NORMALIZED = {"normalized": {"entities": {"agents": {"key": "agent", "fields": []}, "commands": {"key": "id"}}}}


def ran(folder: Path, *formats: Any) -> Result:
    pl.DataFrame({"id": [1, 2, 3], "agent": ["a", "b", "a"], "v": [0.5, 1.5, None]}).write_csv(folder / "x.csv")
    (folder / "out").mkdir()
    outputs = [{"format": form, "file_name": "agents", "deliver": {"local": str(folder / "out")}} for form in formats]
    given = {
        "name": "agents",
        "source": {"files": str(folder / "x.csv")},
        "filter": {"where": {"field": "id", "operator": "gt", "value": 1}},
        "outputs": outputs,
    }
    config = parse(ExportConfig, given)
    return run(config, Context(Home(folder / "home").create(), trusted=True))


def test_a_normalized_document_beside_a_table(tmp_path: Path) -> None:
    result = ran(tmp_path, {"json": {"structure": NORMALIZED}}, "csv")
    assert result.written.rows == 2
    assert {label: artifact.entries for label, artifact in result.written.artifacts.items()} == {"json": 4, "csv": None}
    (name,) = [path for path in (tmp_path / "out").iterdir() if path.suffix == ".json"]
    assert strict(name.read_text())["commands"] == {"2": {"v": 1.5}, "3": {"v": None}}
    assert not list(Home(tmp_path / "home").staging.iterdir())


def test_metadata_are_those_of_the_run(tmp_path: Path) -> None:
    shape = {"nested": {"by": [{"key": "agent", "name": "agents"}]}}
    result = ran(tmp_path, {"json": {"structure": shape, "includeMetadata": True, "prettyPrint": True}})
    found = strict((tmp_path / "out" / "agents.json").read_text())
    about = found["metadata"]
    assert (about["name"], about["filter"]) == ("agents", "id > 1")
    assert about["version"] == hashlib.sha256(result.extracted.version.encode()).hexdigest()[:16]
    assert set(about) == {"name", "logical_time", "timezone", "filter", "version", "schema"}
    assert str(tmp_path) not in (tmp_path / "out" / "agents.json").read_text()  # nothing of this machine
    assert found["row_count"] == 2
    assert list(found["agents"]) == ["a", "b"]


def test_an_unknown_key_is_refused_when_it_is_planned(tmp_path: Path) -> None:
    shape = {"nested": {"by": [{"key": "agnt", "name": "agents"}]}}
    with pytest.raises(FormatError, match=r"no column 'agnt'.*did you mean 'agent'"):
        ran(tmp_path, {"json": {"structure": shape}})
