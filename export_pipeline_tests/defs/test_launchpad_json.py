"""The structures of JSON in the launchpad: what is valid in a file can be launched, and changed in part."""

from __future__ import annotations

from typing import Any

import pytest
from dagster._config import process_config

from export_pipeline.config import ExportConfig
from export_pipeline.defs.jobs import resolve
from export_pipeline.defs.launchpad import config_type
from export_pipeline.parsing import parse

NESTED = {"nested": {"by": [{"key": "agent_id", "name": "agents", "keep": True}], "records": "commands"}}
NORMALIZED = {
    "normalized": {
        "entities": {"agents": {"key": "agent_id", "fields": ["host"]}, "commands": {"key": "id"}},
        "relationships": {"agent_commands": {"from": "agents", "to": "commands"}},
        "duplicates": "first",
    }
}
OPTIONS: list[dict[str, Any]] = [
    {"structure": NESTED, "date_format": {"custom": "DD.MM.YYYY"}},
    {"structure": NORMALIZED, "date_format": {"unix": "ms"}, "null_handling": "exclude"},
    {"structure": "flat", "date_format": "unix", "compression": {"brotli": 4}},
]


def export(options: dict[str, Any]) -> dict[str, Any]:
    return {"name": "x", "source": {"files": "x.csv"}, "format": {"json": options}}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("partial", [False, True])
def test_every_structure_can_be_launched(options: dict[str, Any], partial: bool) -> None:
    config = parse(ExportConfig, export(options))
    for given in (export(options), config.dump()):
        result = process_config(config_type(ExportConfig, partial=partial), given)
        assert result.value is not None, [error.message for error in result.errors or []]
        assert parse(ExportConfig, dict(result.value)) == config


def test_one_option_of_a_structure_can_be_changed() -> None:
    config = parse(ExportConfig, export(OPTIONS[1]))
    change = {"format": {"json": {"structure": {"normalized": {"duplicates": "refuse"}}, "pretty_print": True}}}
    changed = parse(ExportConfig, resolve(config, {}, change))
    wanted = {**OPTIONS[1], "pretty_print": True}
    wanted["structure"] = {"normalized": {**NORMALIZED["normalized"], "duplicates": "refuse"}}
    assert changed == parse(ExportConfig, export(wanted))
