"""Normalized documents whose entities come from several sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.config import ExportConfig
from export_pipeline.errors import FormatError, VerificationError
from export_pipeline.formats import Json
from export_pipeline.home import Home
from export_pipeline.parsing import parse
from export_pipeline.pipeline import Context, run
from export_pipeline.verification import verify
from export_pipeline_tests.formats.json.documents import strict

AGENTS = pl.DataFrame({"name": ["b", "a", "idle"], "team": ["x", "y", "y"], "cost": [1.5, None, 2.0]})
COMMANDS = pl.DataFrame(
    {"id": [10, 9, 8], "agent": ["a", "b", "a"], "host": ["h", "h", "i"], "ok": [True, False, None]}
)
OWN: dict[str, Any] = {"source": "agents"}


def structure(**relationships: Any) -> dict[str, Any]:
    entities = {"agents": {"key": "name", "rows": OWN}, "commands": {"key": "id"}}
    return {"normalized": {"entities": entities, "relationships": relationships}}


ISSUED = {"from": "agents", "to": "commands", "fromKey": "agent"}


@pytest.mark.parametrize("pretty", [False, True])
def test_entities_of_several_sources_and_what_links_them(pretty: bool, tmp_path: Path) -> None:
    back = {"from": "commands", "to": "agents", "rowsOf": "commands", "toKey": "agent"}
    form = Json(structure=structure(issued=ISSUED, by=back), pretty_print=pretty)
    artifact = form.write(COMMANDS.lazy(), tmp_path / "x.json", tables={"agents": AGENTS.lazy()})
    verify(artifact, form)
    assert strict(artifact.path.read_text()) == {
        "agents": {
            "a": {"team": "y", "cost": None},
            "b": {"team": "x", "cost": 1.5},
            "idle": {"team": "y", "cost": 2.0},
        },
        "commands": {
            "8": {"agent": "a", "host": "i", "ok": None},
            "9": {"agent": "b", "host": "h", "ok": False},
            "10": {"agent": "a", "host": "h", "ok": True},
        },
        "relationships": {
            "issued": {"a": ["8", "10"], "b": ["9"]},
            "by": {"8": ["a"], "9": ["b"], "10": ["a"]},
        },
    }
    assert (artifact.rows, artifact.entries) == (3, 12)
    again = form.write(COMMANDS.lazy(), tmp_path / "y.json", tables={"agents": AGENTS.lazy()})
    assert again.sha256 == artifact.sha256


def test_an_entity_of_the_exports_rows_beside_one_of_its_own(tmp_path: Path) -> None:
    entities = {
        "hosts": {"key": "host", "fields": []},
        "agents": {"key": "name", "rows": OWN},
        "commands": {"key": "id"},
    }
    form = Json(structure={"normalized": {"entities": entities}})
    artifact = form.write(COMMANDS.lazy(), tmp_path / "x.json", tables={"agents": AGENTS.lazy()})
    verify(artifact, form)
    found = strict(artifact.path.read_text())
    assert (list(found["hosts"]), list(found["agents"])) == (["h", "i"], ["a", "b", "idle"])


def test_a_changed_member_of_any_source_is_found(tmp_path: Path) -> None:
    form = Json(structure=structure())
    artifact = form.write(COMMANDS.lazy(), tmp_path / "x.json", tables={"agents": AGENTS.lazy()})
    text = artifact.path.read_text()
    artifact.path.write_text(text.replace('"team":"x"', '"team":"z"'))
    with pytest.raises(VerificationError, match=r"agents\.team"):
        verify(artifact, form)


def test_keys_that_say_different_things_are_refused_in_any_source(tmp_path: Path) -> None:
    twice = pl.concat([AGENTS, AGENTS.head(1).with_columns(team=pl.lit("other"))])
    with pytest.raises(FormatError, match="entity 'agents': the key 'b' has different fields"):
        Json(structure=structure()).write(COMMANDS.lazy(), tmp_path / "x.json", tables={"agents": twice.lazy()})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"issued": {"from": "agents", "to": "commands"}}, "'issued', from_key: there is no column 'name'"),
        ({"issued": ISSUED | {"rowsOf": "agents"}}, "rows of 'agents': relationship 'issued', from_key: .* 'agent'"),
    ],
)
def test_a_key_that_is_not_in_the_rows_is_refused(given: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=says):
        Json(structure=structure(**given)).write(COMMANDS.lazy(), tmp_path / "x", tables={"agents": AGENTS.lazy()})


@pytest.mark.parametrize(
    ("entities", "relationships", "says"),
    [
        ({"agents": {"key": "name", "rows": OWN}}, {}, "every entity has rows of its own"),
        ({"a": {"key": "x"}}, {"r": {"from": "a", "to": "a", "rowsOf": "b"}}, "there is no entity 'b'"),
        (
            {"a": {"key": "x"}, "b": {"key": "x", "fields": []}},
            {"r": {"from": "a", "to": "b"}},
            "both keys would be .* 'x'",
        ),
        ({"a": {"key": "x"}, "b": {"key": "y"}}, {}, "both take what is left"),
    ],
)
def test_structures_that_cannot_be_are_refused(entities: Any, relationships: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Json(structure={"normalized": {"entities": entities, "relationships": relationships}})


def test_a_run_of_two_sources(tmp_path: Path) -> None:
    COMMANDS.write_csv(tmp_path / "commands.csv")
    AGENTS.write_parquet(tmp_path / "agents.parquet")
    priced = {"where": {"field": "cost", "operator": "is_not_null"}}
    entities = {"agents": {"key": "name", "rows": OWN | {"filter": priced}}, "commands": {"key": "id"}}
    given = {
        "name": "all",
        "sources": {
            "commands": {"files": str(tmp_path / "commands.csv")},
            "agents": {"files": str(tmp_path / "agents.parquet")},
        },
        "format": {"json": {"structure": {"normalized": {"entities": entities}}, "includeMetadata": True}},
        "file_name": "{name}",
        "deliver": {"local": str(tmp_path / "out")},
    }
    (tmp_path / "out").mkdir()
    run(parse(ExportConfig, given), Context(Home(tmp_path / "home").create(), trusted=True))
    found = strict((tmp_path / "out" / "all.json").read_text())
    assert list(found["agents"]) == ["b", "idle"]
    assert (list(found["commands"]), found["row_count"]) == (["8", "9", "10"], 3)
