"""The JSON Schema that editors check export files by: what loads is valid, and what is wrong is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import export_pipeline
from export_pipeline import yaml
from export_pipeline.config import ExportConfig
from export_pipeline.formats import Format
from export_pipeline.parsing import parse
from export_pipeline_tests.formats.test_options_covered import ROWS

PACKAGE = Path(export_pipeline.__file__).parent
SOURCE = {"source": {"files": "sales.csv"}}
SHORT: list[dict[str, Any]] = [
    {"deliver": {"local": {"folder": "a"}}}, {"deliver": {"local": "a"}}, {"deliver": "local"}, {"deliver": ["local"]},
    {"filter": [{"status": ["a"]}, {"agent_ids": "a"}]}, {"filter": {"agentIds": [1]}}, {"filters": {"status": "a"}},
    {"filter": {"and": [{"timeRange": {"last": "7 days"}}, {"where": {"field": "n", "operator": ">", "value": 1}}]}},
    {"onEmpty": "skip", "fileName": "{name}", "title": "what for"},
    {"outputs": [{"format": "csv", "deliver": "local"}]},
    {"format": {"excel": {"pivots": [{"name": "P", "rows": ["a"], "values": ["b"]}]}}},
    {"format": {"excel": {"sheets": [{"name": "A", "pivots": [{"name": "P", "rows": ["a"], "values": ["b"]}]}]}}},
    {"format": {"excel": {"headerStyle": {"bold": False}, "workbook": {"properties": {"Project": "x"}}}}},
    {"format": {"csv": {"lineTerminator": "\r\n", "columns": {"exclude": ["host"]}}}},
    {"format": {"csv": {"pivot": {"rows": "a", "columns": "b"}}}},
    {"format": {"parquet": {"rowGroupSize": 7}}},
    {"aggregation": {"groupBy": "a", "timeBucket": {"field": "at", "interval": "hour"}, "measures": {"n": "count"}}},
    {"schedule": {"frequency": "custom", "customCron": "5 4 * * SUN", "timezone": "UTC", "retry": {"attempts": 2}}},
    {"schedule": {"frequency": "daily", "time": "06:30"}}, {"schedule": {"frequency": " Daily"}},
    {"notify": "log"}, {"notify": {"log": {"on": "success"}}},
]  # fmt: skip
WRONG: list[dict[str, Any]] = [
    {"format": {"csv": {"delimeter": ";"}}}, {"format": {"excel": {"pivot": []}}},
    {"format": {"csv": {"quotes": "some"}}}, {"schedule": {"frequency": "dayly"}},
    {"filter": {"where": {"field": "n", "operator": "=>", "value": 1}}}, {"limit": 0}, {"deliver": {"locl": "a"}},
    {"aggregate": {"time_bucket": {"field": "at"}}}, {"filter": {"agentids": [1]}}, {"fileNames": "{name}"},
]  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    text = ExportConfig.model_json_schema()  # what `export-pipeline schema` prints
    jsonschema.Draft202012Validator.check_schema(text)
    return jsonschema.Draft202012Validator(text)


def written() -> Iterator[tuple[str, dict[str, Any]]]:
    """The exports of the README, the docs and the demo."""
    for page in (PACKAGE.parent / "README.md", *sorted((PACKAGE / "docs").glob("*.md"))):
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)):
            yield f"{page.name}-{number}", yaml.load(block).data
    for path in sorted((PACKAGE / "demo" / "exports").glob("*.yaml")):
        yield path.name, yaml.load(path.read_text("utf-8")).data


@pytest.mark.parametrize(("name", "export"), list(written()))
def test_examples(schema: jsonschema.Draft202012Validator, name: str, export: dict[str, Any]) -> None:
    whole = export if export.keys() & {"source", "sources"} else SOURCE | export
    parse(ExportConfig, {"name": "x"} | whole)
    schema.validate(whole)


@pytest.mark.parametrize("given", SHORT, ids=lambda given: json.dumps(given)[:60])
def test_short_forms_and_other_spellings(schema: jsonschema.Draft202012Validator, given: dict[str, Any]) -> None:
    parse(ExportConfig, SOURCE | given)
    schema.validate(SOURCE | given)


@pytest.mark.parametrize("model", list(ROWS))
def test_every_value_of_every_option(schema: jsonschema.Draft202012Validator, model: type[Format]) -> None:
    for row in ROWS[model]:
        schema.validate(json.loads(json.dumps(SOURCE | {"format": {model.tag: row}})))


@pytest.mark.parametrize("given", WRONG, ids=lambda given: json.dumps(given)[:60])
def test_what_is_wrong_is_not_valid(schema: jsonschema.Draft202012Validator, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        parse(ExportConfig, SOURCE | given)
    assert not schema.is_valid(SOURCE | given)
