"""Nested JSON: groups in groups, equal to what Python makes of the rows."""

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
    nested,
    spilling,
    written,
)

ROWS = pl.DataFrame({"id": [1, 2, 3, 4], "agent": ["b", "a", "b", "a"], "v": [0.5, None, 1.5, 2.0]})
AGENTS = nested({"key": "agent", "name": "agents"}, records="commands")


def test_the_document(tmp_path: Path) -> None:
    assert written(ROWS, tmp_path, **AGENTS).path.read_text() == (
        '{"agents":{\n"a":{"commands":[\n{"id":2,"v":null},\n{"id":4,"v":2.0}\n]},\n'
        '"b":{"commands":[\n{"id":1,"v":0.5},\n{"id":3,"v":1.5}\n]}\n}}\n'
    )


def test_the_pretty_document(tmp_path: Path) -> None:
    text = written(ROWS.head(3), tmp_path, pretty_print=True, **AGENTS).path.read_text()
    assert (
        text
        == """{
  "agents": {
    "a": {
      "commands": [
        {
          "id": 2,
          "v": null
        }
      ]
    },
    "b": {
      "commands": [
        {
          "id": 1,
          "v": 0.5
        },
        {
          "id": 3,
          "v": 1.5
        }
      ]
    }
  }
}
"""
    )


@pytest.mark.parametrize("pretty", [False, True])
def test_levels_in_levels(pretty: bool, tmp_path: Path) -> None:
    frame = ROWS.with_columns(day=pl.lit(dt.date(2026, 3, 1)), region=pl.Series(["eu", "eu", "us", "eu"]))
    shape = nested(
        {"key": "region", "name": "regions"},
        {"key": "agent", "name": "agents", "keep": True},
        {"key": "id", "name": "ids"},
        records="commands",
    )
    assert document(frame, tmp_path, pretty_print=pretty, **shape) == {
        "regions": {
            "eu": {
                "agents": {
                    "a": {
                        "ids": {
                            "2": {"commands": [{"agent": "a", "v": None, "day": "2026-03-01"}]},
                            "4": {"commands": [{"agent": "a", "v": 2.0, "day": "2026-03-01"}]},
                        }
                    },
                    "b": {"ids": {"1": {"commands": [{"agent": "b", "v": 0.5, "day": "2026-03-01"}]}}},
                }
            },
            "us": {"agents": {"b": {"ids": {"3": {"commands": [{"agent": "b", "v": 1.5, "day": "2026-03-01"}]}}}}},
        }
    }


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("levels", [1, 2])
def test_no_rows(pretty: bool, levels: int, tmp_path: Path) -> None:
    by = [{"key": "agent", "name": "agents"}, {"key": "id", "name": "ids"}][:levels]
    assert document(ROWS.clear(), tmp_path, pretty_print=pretty, **nested(*by)) == {"agents": {}}


def test_records_need_a_column() -> None:
    with pytest.raises(FormatError, match="no column is left"):
        json_form(nested({"key": "a", "name": "as"})).check(pl.Schema({"a": pl.String()}))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"structure": "nested"}, "by"),
        (nested(), "at least 1"),
        (nested({"key": "a", "name": "metadata"}), "name of the document itself"),
        (nested({"key": "a", "name": "x"}, {"key": "a", "name": "y"}), "two levels have the key 'a'"),
        (nested({"key": "a", "name": "x"}, {"key": "b", "name": "x"}), "two levels have the name 'x'"),
        (nested({"key": "a", "name": "x"}) | {"layout": "lines"}, "is one of a flat structure"),
        ({"structure": {"nestd": {}}}, "nested"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        json_form(options)


def test_losses_are_named(tmp_path: Path) -> None:
    losses = {(loss.column, loss.why) for loss in written(ROWS, tmp_path, **AGENTS).losses}
    assert (None, "rows are grouped by key: the order of rows of different keys is not kept") in losses
    assert ("agent", "as a key it is text; null becomes 'null'") in losses


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize(("nulls", "budget"), [("include", 1), ("exclude", 30_000), ("empty", 10**8)])
def test_every_nasty_value(
    pretty: bool, nulls: str, budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spilling(monkeypatch, budget)
    frame = nasty.table().with_columns(k=pl.col("text"), number=pl.int_range(pl.len()) % 3)
    shape = nested({"key": "number", "name": "ns"}, {"key": "k", "name": "ks"}, missing="(none)")
    found = document(frame, tmp_path, pretty_print=pretty, null_handling=nulls, **shape)["ns"]
    texts = [key for group in found.values() for key in group["ks"]]
    assert sorted(texts) == sorted("(none)" if text is None else text for text in nasty.TEXTS)
    records = [record for group in found.values() for one in group["ks"].values() for record in one["records"]]
    assert sorted(record.get("text") or "" for record in records) == sorted(text or "" for text in nasty.TEXTS)


def test_columns_may_be_called_as_they_like(tmp_path: Path) -> None:
    names = [*nasty.NAMES, "#key0", "#order", "agents.#key0", "text", "lead", "key", "from"]
    frame = pl.DataFrame({name: [f"{name}-1", f"{name}-2"] for name in names})
    for keep in (False, True):
        by = [{"key": "#key0", "name": "agents", "keep": keep}, {"key": "", "name": "blanks", "keep": keep}]
        found = document(frame, tmp_path, **nested(*by))["agents"]
        assert list(found) == ["#key0-1", "#key0-2"]
        (record,) = found["#key0-1"]["blanks"]["-1"]["records"]
        assert record == {name: f"{name}-1" for name in names if keep or name not in ("", "#key0")}


def grouped(rows: list[tuple[Any, Any, int]]) -> dict[str, Any]:
    """Return the document as Python makes it."""
    out: dict[str, Any] = {}
    for one, two, n in sorted(rows, key=lambda row: (row[0], row[1] is None, row[1] or 0)):
        inner = out.setdefault(one, {"twos": {}})["twos"].setdefault(str(two) if two is not None else "-", {"r": []})
        inner["r"].append({"n": n})
    return {"ones": out}


@settings(max_examples=60, deadline=None)
@given(
    keys=st.lists(st.tuples(st.text('a\x00\x01"\\\n,}]', max_size=2), st.none() | st.integers(-12, 12)), max_size=40),
    pretty=st.booleans(),
    budget=st.sampled_from([1, 300, 10**8]),
)
def test_any_rows_are_grouped_as_python_does(
    tmp_path_factory: pytest.TempPathFactory, keys: list[tuple[str, int | None]], pretty: bool, budget: int
) -> None:
    rows = [(one, two, n) for n, (one, two) in enumerate(keys)]
    frame = pl.DataFrame(rows, schema={"one": pl.String, "two": pl.Int64, "n": pl.Int64}, orient="row")
    shape = nested({"key": "one", "name": "ones"}, {"key": "two", "name": "twos"}, records="r", missing="-")
    with pytest.MonkeyPatch.context() as patch:
        spilling(patch, budget)
        found = document(frame, tmp_path_factory.mktemp("json"), pretty_print=pretty, **shape)
    wanted = grouped(rows)
    assert found == wanted
    assert [list(group["twos"]) for group in found["ones"].values()] == [
        list(group["twos"]) for group in wanted["ones"].values()
    ]


def test_sorting_on_the_disk_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"n": range(60_000)}).with_columns(
        agent=pl.when(pl.col("n") % 5 != 0).then(pl.format("agent-{}", pl.col("n").hash() % 300)),
        text=pl.format("t{}", "n"),
    )
    once = written(frame, tmp_path, **AGENTS)
    again = written(frame, tmp_path, **AGENTS)
    spilling(monkeypatch, 100_000)
    spilled = written(frame, tmp_path, **AGENTS)
    assert once.sha256 == again.sha256 == spilled.sha256
    assert once.checksums == spilled.checksums
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize("pretty", [False, True])
def test_rows_longer_than_a_block(pretty: bool, tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["b", "a", "b", "a"], "text": ["x", "y" * 3_000_000, "z\n" * 3_000_000, None]})
    found = document(frame, tmp_path, pretty_print=pretty, **nested({"key": "k", "name": "ks"}))["ks"]
    assert [len(record["text"] or "") for one in found.values() for record in one["records"]] == [
        3_000_000, 0, 1, 6_000_000,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ('{"agents"', '{"agentz"', "must be"),
        ("]}\n}}\n", "]}\n}]\n", "does not end with"),
        ("},\n{", "} \n{", "no comma"),
        ('"b":{', '"a":{', "twice, or out of order"),
        ('"b":{', '"c":{', "column 'agent'"),
        ('"b":{"commands"', '"b":{"commandz"', "read"),
        ("]},\n", "]}, ", "read"),
        ('{"id":2,"v":null},\n', "", "3 were read"),
        ('"id":2', '"id":3', "column 'id'"),
        ('"id":2', '"id":x', "Invalid value"),
    ],
)
def test_damage_is_found(good: str, bad: str, said: str, tmp_path: Path) -> None:
    assert_damage_is_found(written(ROWS, tmp_path, **AGENTS), json_form(AGENTS), good, bad, said)


def test_swapped_rows_of_one_key_are_found(tmp_path: Path) -> None:
    one, other = '{"id":2,"v":null}', '{"id":4,"v":2.0}'
    good, bad = f"{one},\n{other}", f"{other},\n{one}"
    assert_damage_is_found(written(ROWS, tmp_path, **AGENTS), json_form(AGENTS), good, bad, "columns 'id', 'v'")
