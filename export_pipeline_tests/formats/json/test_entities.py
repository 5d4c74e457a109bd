"""Entities of normalized JSON: which rows are one, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from export_pipeline.errors import FormatError
from export_pipeline_tests.formats.json.documents import document, normalized, spilling, written
from export_pipeline_tests.formats.json.test_normalized import AGENTS, ROWS


def test_one_key_with_different_fields_is_refused_by_name(tmp_path: Path) -> None:
    frame = ROWS.with_columns(host=pl.Series(["h2", "h1", "h3"]))
    with pytest.raises(FormatError, match=r"entity 'agents': the key 'b' has different fields.*host: 'h2' and 'h3'"):
        written(frame, tmp_path, **AGENTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("budget", [1, 10**8])
def test_or_the_first_row_counts(budget: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spilling(monkeypatch, budget)
    frame = ROWS.with_columns(host=pl.Series([None, "h1", "h3"]))
    shape = normalized(
        {"agents": {"key": "agent", "fields": ["host"]}, "commands": {"key": "id", "fields": []}}, duplicates="first"
    )
    artifact = written(frame, tmp_path, **shape)
    assert document(frame, tmp_path, **shape)["agents"] == {"a": {"host": "h1"}, "b": {"host": None}}
    whys = {(loss.column, loss.why) for loss in artifact.losses}
    assert (None, "entity 'agents': of different fields of one key, those of its first row stay") in whys
    assert ("day", "it is in no entity") in whys


@pytest.mark.parametrize("value", [0.0, -0.0, float("nan"), [1], [None], {"a": 1}, {"a": None}, None])
def test_equal_fields_of_any_type_are_one_entity(value: Any, tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["a", "a"], "v": [value, value]})
    assert len(document(frame, tmp_path, **normalized({"ks": {"key": "k"}}))["ks"]) == 1
    other = pl.DataFrame({"k": ["a", "a"], "v": [value, None]})
    if value is not None and value == value:  # NaN becomes null
        with pytest.raises(FormatError, match="different fields"):
            written(other, tmp_path, **normalized({"ks": {"key": "k"}}))


def test_rows_without_a_key_have_no_such_entity(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [1, 2, 3], "agent": ["null", None, "a"], "host": ["h", None, "h"]})
    assert document(frame, tmp_path, **AGENTS) == {
        "agents": {"a": {"host": "h"}, "null": {"host": "h"}},
        "commands": {"1": {}, "2": {}, "3": {}},
        "relationships": {"agent_commands": {"a": ["3"], "null": ["1"]}},
    }
    assert document(frame, tmp_path, null_handling="empty", **AGENTS)["agents"]["null"] == {"host": "h"}


@pytest.mark.parametrize("nulls", ["include", "empty"])
def test_fields_without_a_key_are_refused(nulls: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [1], "agent": pl.Series([None], dtype=pl.String), "host": ["h"]})
    with pytest.raises(FormatError, match="entity 'agents': a row without a key has fields"):
        written(frame, tmp_path, null_handling=nulls, **AGENTS)


def test_fields_without_a_key_are_refused_whatever_their_types(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": ["x", None], "n": [1, 2]})
    for nulls in ("include", "empty"):
        with pytest.raises(FormatError, match="a row without a key has fields"):
            written(frame, tmp_path, null_handling=nulls, **normalized({"as": {"key": "a"}}))


@pytest.mark.parametrize("value", [[1, None], {"a": [0.5]}, -0.0, "x"])
def test_many_rows_of_few_entities(value: Any, tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [n % 3 for n in range(100)], "v": [value] * 100})
    shape = normalized({"as": {"key": "a"}})
    assert document(frame, tmp_path, **shape)["as"] == {str(n): {"v": value} for n in range(3)}
    other = frame.with_columns(v=pl.when(pl.int_range(pl.len()) != 70).then("v"))
    with pytest.raises(FormatError, match=r"the key 1 has different fields|the key '1' has different fields"):
        written(other, tmp_path, **shape)
