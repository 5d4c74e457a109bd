"""Choosing columns: which, under which names, in which order."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from export_pipeline.columns import Columns
from export_pipeline.errors import ConfigError

NAMES = ["id", "agent", "host", "cost"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, {"id": "id", "agent": "agent", "host": "host", "cost": "cost"}),
        (["cost", "id"], {"cost": "cost", "id": "id"}),
        ("cost", {"cost": "cost"}),
        ({"exclude": "host"}, {"id": "id", "agent": "agent", "cost": "cost"}),
        ({"rename": {"agent": "who"}}, {"id": "id", "agent": "who", "host": "host", "cost": "cost"}),
        ({"order": ["cost", "host"]}, {"cost": "cost", "host": "host", "id": "id", "agent": "agent"}),
        ({"include": ["id", "cost"], "order": ["cost"]}, {"cost": "cost", "id": "id"}),
        ({"rename": {"id": "cost", "cost": "id"}, "exclude": ["host", "agent"]}, {"id": "cost", "cost": "id"}),
        ({"rename": {"agent": "host"}, "exclude": ["host"]}, {"id": "id", "agent": "host", "cost": "cost"}),
    ],
)
def test_choice(columns: Any, expected: dict[str, str]) -> None:
    chosen = Columns.model_validate(columns)
    assert list(chosen.check(NAMES).items()) == list(expected.items())
    assert Columns.model_validate(chosen.dump()) == chosen
    # Of rows that only have what is kept, the same columns come out.
    kept = [name for name in NAMES if name not in chosen.exclude]
    assert chosen.pick(kept) == expected


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["agnt"], r"columns.include: column 'agnt' is unknown \(did you mean 'agent'\?\)"),
        ({"exclude": ["hots"]}, r"columns.exclude: column 'hots' is unknown \(did you mean 'host'\?\)"),
        ({"rename": {"hots": "x"}}, r"columns.rename: column 'hots' is unknown"),
        ({"order": ["cots"]}, r"columns.order: column 'cots' is unknown"),
        ({"include": ["id"], "order": ["cost"]}, r"columns.order: column 'cost' is unknown or left out"),
        ({"exclude": ["cost"], "rename": {"cost": "x"}}, r"columns.rename: column 'cost' is unknown or left out"),
        ({"rename": {"agent": "who"}, "order": ["who"]}, r"'who' is the new name of 'agent': write 'agent'"),
        ({"rename": {"agent": "id"}}, r"'id' and 'agent' would both be called 'id'"),
        ({"rename": {"agent": "x", "id": "x"}}, r"would both be called 'x'"),
        ({"exclude": NAMES}, r"no column is left"),
    ],
)
def test_wrong_choice(columns: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Columns.model_validate(columns).check(NAMES)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([], "include is empty"),
        (["a", "a"], "include names 'a' twice"),
        ({"exclude": ["a", "a"]}, "exclude names 'a' twice"),
        ({"include": ["a"], "exclude": ["a"]}, "both included and excluded"),
        ({"rename": {"a": " "}}, "the new name of 'a' is empty"),
        ({"renam": {}}, "did you mean 'rename'"),
        ({"timezone": "Europe/Berln"}, "Europe/Berlin"),
    ],
)
def test_impossible_choice(columns: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Columns.model_validate(columns)
