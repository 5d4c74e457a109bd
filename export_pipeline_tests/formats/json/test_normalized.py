"""Normalized JSON: entities by key and the relationships between them, equal to what Python makes of the rows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from export_pipeline.errors import FormatError
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.json.documents import (
    assert_damage_is_found,
    document,
    json_form,
    normalized,
    spilling,
    written,
)

ROWS = pl.DataFrame(
    {
        "id": [10, 9, 2],
        "agent": ["b", "a", "b"],
        "host": ["h2", "h1", "h2"],
        "day": [dt.date(2026, 3, 1), None, dt.date(2026, 3, 2)],
    }
)
AGENTS = normalized(
    {"agents": {"key": "agent", "fields": ["host"]}, "commands": {"key": "id"}},
    {"agent_commands": {"from": "agents", "to": "commands"}},
)


def test_the_document(tmp_path: Path) -> None:
    artifact = written(ROWS, tmp_path, **AGENTS)
    assert artifact.path.read_text() == (
        '{"agents":{\n"a":{"host":"h1"},\n"b":{"host":"h2"}\n},'
        '"commands":{\n"2":{"day":"2026-03-02"},\n"9":{"day":null},\n"10":{"day":"2026-03-01"}\n},'
        '"relationships":{"agent_commands":{\n"a":[\n"9"\n],\n"b":[\n"2",\n"10"\n]\n}}}\n'
    )
    assert (artifact.rows, artifact.entries) == (3, 8)
    assert artifact.columns == {
        "agents": "String", "agents.host": "String", "commands": "Int64", "commands.day": "Date",
        "relationships.agent_commands.from": "String", "relationships.agent_commands.to": "Int64",
    }  # fmt: skip


def test_the_pretty_document(tmp_path: Path) -> None:
    text = written(ROWS.head(2), tmp_path, pretty_print=True, null_handling="exclude", **AGENTS).path.read_text()
    assert (
        text
        == """{
  "agents": {
    "a": {
      "host": "h1"
    },
    "b": {
      "host": "h2"
    }
  },
  "commands": {
    "9": {},
    "10": {
      "day": "2026-03-01"
    }
  },
  "relationships": {
    "agent_commands": {
      "a": [
        "9"
      ],
      "b": [
        "10"
      ]
    }
  }
}
"""
    )


@pytest.mark.parametrize("pretty", [False, True])
def test_no_rows(pretty: bool, tmp_path: Path) -> None:
    assert document(ROWS.clear(), tmp_path, pretty_print=pretty, **AGENTS) == {
        "agents": {}, "commands": {}, "relationships": {"agent_commands": {}},
    }  # fmt: skip


@pytest.mark.parametrize("pretty", [False, True])
def test_no_relationships_and_no_fields(pretty: bool, tmp_path: Path) -> None:
    shape = normalized({"agents": {"key": "agent", "fields": []}, "days": {"key": "day", "fields": ["day"]}})
    assert document(ROWS, tmp_path, pretty_print=pretty, **shape) == {
        "agents": {"a": {}, "b": {}},
        "days": {"2026-03-01": {"day": "2026-03-01"}, "2026-03-02": {"day": "2026-03-02"}},
        "relationships": {},
    }


def test_columns_may_be_called_as_they_like(tmp_path: Path) -> None:
    names = [*nasty.NAMES, "#key.x", "text", "lead", "key", "order", "from", "field.a", "x.key"]
    frame = pl.DataFrame({name: [f"{name}-1", f"{name}-2"] for name in names})
    shape = normalized(
        {"x": {"key": "", "fields": names}, "y": {"key": "#key.x", "fields": []}}, {'r"': {"from": "x", "to": "y"}}
    )
    found = document(frame, tmp_path, **shape)
    assert found["x"]["-1"] == {name: f"{name}-1" for name in names}
    assert found["relationships"] == {'r"': {"-1": ["#key.x-1"], "-2": ["#key.x-2"]}}


def test_a_relationship_lists_each_pair_once(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": ["x", "x", "y", "x"], "b": [2, 1, 1, 2]})
    shape = normalized(
        {"as": {"key": "a", "fields": []}, "bs": {"key": "b", "fields": []}},
        {"ab": {"from": "as", "to": "bs"}, "ba": {"from": "bs", "to": "as"}},
    )
    assert document(frame, tmp_path, **shape)["relationships"] == {
        "ab": {"x": ["1", "2"], "y": ["1"]}, "ba": {"1": ["x", "y"], "2": ["x"]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"structure": "normalized"}, "entities"),
        (normalized({}), "at least 1"),
        (normalized({"relationships": {"key": "a"}}), "name of the document itself"),
        (normalized({"a.b": {"key": "a"}}), "dot"),
        (normalized({"as": {"key": "a"}, "bs": {"key": "b"}}), "both take what is left"),
        (normalized({"as": {"key": "a", "source": "x"}}), "unknown option 'source'"),
        (normalized({"as": {"key": "a"}}, {"r": {"from": "as", "to": "agents"}}), "no entity 'agents'.*as"),
        (normalized({"as": {"key": "a"}}, {"r": {"to": "as"}}), "from"),
        (normalized({"as": {"key": "a"}}) | {"layout": "array"}, "is one of a flat structure"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        json_form(options)


@pytest.mark.parametrize(
    ("entity", "said"),
    [
        ({"key": "agnt"}, "no column 'agnt'.*agent"),
        ({"key": "l"}, "which is no key"),
        ({"key": "agent", "fields": ["hst"]}, "no column 'hst'.*host"),
        ({"key": "agent", "fields": ["host", "host"]}, "a field twice"),
    ],
)
def test_columns_that_are_none_are_refused(entity: dict[str, Any], said: str) -> None:
    schema = pl.Schema({"agent": pl.String(), "host": pl.String(), "l": pl.List(pl.Int8())})
    with pytest.raises(FormatError, match=said):
        json_form(normalized({"agents": entity})).check(schema)


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize(("nulls", "budget"), [("include", 1), ("exclude", 30_000), ("empty", 10**8)])
def test_every_nasty_value(
    pretty: bool, nulls: str, budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spilling(monkeypatch, budget)
    frame = nasty.table().with_columns(number=pl.int_range(pl.len()))
    shape = normalized(
        {"rows": {"key": "number"}, "texts": {"key": "text", "fields": ["text"]}},
        {"r": {"from": "texts", "to": "rows"}},
    )
    found = document(frame, tmp_path, pretty_print=pretty, null_handling=nulls, **shape)
    assert list(found["rows"]) == [str(n) for n in range(frame.height)]
    texts = sorted(text for text in nasty.TEXTS if text is not None)
    assert list(found["texts"]) == [one["text"] for one in found["texts"].values()] == texts
    assert found["relationships"]["r"] == {t: [str(nasty.TEXTS.index(t))] for t in texts}


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(st.none() | st.text('a"\\\n,}]', max_size=2), st.integers(-3, 30)), max_size=40),
    pretty=st.booleans(),
    budget=st.sampled_from([1, 200, 10**8]),
)
def test_any_rows_become_what_python_makes_of_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str | None, int]], pretty: bool, budget: int
) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.Int64}, orient="row")
    frame = frame.with_columns(size=pl.col("a").str.len_bytes(), half=pl.col("b") / 2)
    shape = normalized(
        {"as": {"key": "a", "fields": ["size"]}, "bs": {"key": "b", "fields": ["half", "b"]}},
        {"ab": {"from": "as", "to": "bs"}},
    )
    with pytest.MonkeyPatch.context() as patch:
        spilling(patch, budget)
        found = document(frame, tmp_path_factory.mktemp("json"), pretty_print=pretty, **shape)
    texts = sorted({a for a, _ in rows if a is not None})
    assert found == {
        "as": {a: {"size": len(a)} for a in texts},
        "bs": {str(b): {"half": b / 2, "b": b} for _, b in rows},
        "relationships": {"ab": {a: [str(b) for b in sorted({b for c, b in rows if c == a})] for a in texts}},
    }
    assert list(found["bs"]) == [str(b) for b in sorted({b for _, b in rows})]


@pytest.mark.parametrize("budget", [100_000, 450_000, 900_000])
def test_sorting_on_the_disk_gives_the_same_bytes(budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The last batch is a small one.
    frame = pl.DataFrame({"id": range(64_100)}).with_columns(
        agent=pl.when(pl.col("id") % 5 != 0).then(pl.format("agent-{}", pl.col("id").hash() % 300))
    )
    frame = frame.with_columns(host=pl.col("agent").str.replace("agent", "host"), text=pl.format("t{}", "id"))
    once = written(frame, tmp_path, **AGENTS)
    spilling(monkeypatch, budget)
    spilled = written(frame, tmp_path, **AGENTS)
    assert once.sha256 == spilled.sha256
    assert (once.checksums, once.entries) == (spilled.checksums, spilled.entries)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ('{"agents"', '{"agentz"', "must be"),
        ('"commands":{', '"commandz":{', "must be"),
        ("}}}\n", "}}]\n", "does not end with"),
        ('"a":{"host"', '"c":{"host"', "twice there, or out of order"),
        ('"a":{"host"', '"b":{"host"', "twice there, or out of order"),
        ('"b":{"host"', '"c":{"host"', "column 'agents'"),
        ('"b":{"host"', '"b":["host"', "no members of an entity"),
        ('"host":"h1"', '"host":"h3"', "column 'agents.host'"),
        ('"9":{"day":null},\n', "", "7 were read"),
        ('"2",\n', "", "7 were read"),
        ('"9"\n', '"8"\n', "column 'relationships.agent_commands.to'"),
        ('"b":[', '"a":[', "twice, or out of order"),
    ],
)
def test_damage_is_found(good: str, bad: str, said: str, tmp_path: Path) -> None:
    assert_damage_is_found(written(ROWS, tmp_path, **AGENTS), json_form(AGENTS), good, bad, said)
