"""The launchpad of real exports: the demo's files, and every option of the model."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from dagster._config import process_config, validate_config

from export_pipeline import yaml
from export_pipeline.catalog import Catalog, Entry, load_file
from export_pipeline.config import ExportConfig
from export_pipeline.defs.jobs import InvalidExport, export_job, resolve
from export_pipeline.defs.launchpad import config_type
from export_pipeline.parsing import parse
from export_pipeline_tests.defs.homes import FAILED, home, nested

EXAMPLES = sorted(Path(str(files("export_pipeline.demo") / "exports")).glob("*.yaml"))
WHOLE, PARTIAL = config_type(ExportConfig), config_type(ExportConfig, partial=True)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_export_can_be_copied_from_a_file_to_the_launchpad_and_back(path: Path) -> None:
    config = load_file(path)
    for kind in (WHOLE, PARTIAL):
        result = process_config(kind, config.dump())
        assert result.value is not None, [error.message for error in result.errors or []]
        assert parse(ExportConfig, yaml.load(yaml.dump(dict(result.value))).data) == config


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_launchpad_shows_everything_that_decides_a_run(path: Path) -> None:
    config = load_file(path)
    job = export_job(Entry(config.name, path, config))
    assert job.config_mapping is not None
    kind: Any = job.config_mapping.config_schema.config_type
    shown = {name: field.default_value for name, field in kind.fields.items() if field.default_provided}
    kept = {name: value for name, value in config.dump().items() if name in ("name", "schedule")}
    assert parse(ExportConfig, shown | kept) == config


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_file_launched_with_nothing_is_the_file(path: Path) -> None:
    config = load_file(path)
    shown = {name: value for name, value in yaml.load(path.read_text("utf-8")).data.items() if name != "version"}
    for launched in ({}, shown):
        assert parse(ExportConfig, resolve(config, shown, launched)) == config


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


def test_every_option_of_the_model_is_in_the_launchpad() -> None:
    written = {info.alias or name for name, info in ExportConfig.model_fields.items()}
    assert set(PARTIAL.fields) == set(WHOLE.fields) == written
    assert all(field.description for field in PARTIAL.fields.values())
    assert not any(field.is_required for field in PARTIAL.fields.values())


@pytest.mark.parametrize(
    "written",
    [
        {"source": {"files": "flights-*.parquet"}, "sort": "-cost"},
        {"aggregate": {"group_by": "command"}, "pivot": {"rows": "agent", "columns": "status"}},
        {"format": {"parquet": {"partition_by": "status"}}},
        {"format": {"excel": {"sheets": [{"name": "Runs", "rows": {"sort": "-runs"}}]}}},
        {"format": {"csv": {"seal": {"pgp": "partner.asc"}}}},
    ],
)
def test_what_is_short_in_a_file_may_be_short_in_the_launchpad(written: dict[str, Any]) -> None:
    assert process_config(PARTIAL, written).success


def test_no_type_reads_the_environment() -> None:
    for kind in (WHOLE, PARTIAL):
        names = {found.given_name for found in kind.type_iterator()}
        assert not names & {"StringSourceType", "IntSourceType", "BoolSourceType"}


def test_an_unknown_filter_is_named_before_all_else() -> None:
    (error,) = validate_config(PARTIAL, {"filter": {"wher": {}}}).errors or []
    assert error.message.startswith('Received unexpected config entry "wher" at path root:filter.')
    assert len(error.message) < 10_000


def test_six_levels_pass_in_either_type() -> None:
    value = yaml.load(f"source: {{files: x.csv}}\nfilter: {nested(6)}\n").data
    assert process_config(PARTIAL, value).value == value
    assert process_config(WHOLE, value).value == value


@pytest.mark.parametrize(
    ("file", "launched", "changed"),
    [
        ({"source": {"files": "a.csv"}}, {"source": {"files": "b.csv"}}, {"source": {"files": ["b.csv"]}}),
        (
            {"source": {"files": "a.csv"}},
            {"sources": {"rows": {"files": "b.csv"}}},
            {"source": None, "sources": {"rows": {"files": ["b.csv"]}}},
        ),
        (
            {"source": {"store": "s", "dataset": "d"}},
            {"source": {"dataset": "e"}},
            {"source": {"store": "s", "dataset": "e"}},
        ),
        (
            {"source": {"files": "a.csv"}, "format": {"csv": {"delimiter": ";"}}, "file_name": "x"},
            {"outputs": [{"format": "json"}, {"format": "parquet"}]},
            {"format": None, "file_name": None, "outputs": [{"format": "json"}, {"format": "parquet"}]},
        ),
        (
            {"source": {"files": "a.csv"}, "retry": {"attempts": 7, "delay": "1s"}},
            {"retry": {"attempts": 2}},
            {"retry": {"attempts": 2, "delay": "1s"}},
        ),
        ({"source": {"files": "a.csv"}, "retry": {"attempts": 7}}, {"retry": None}, {"retry": {}}),
        (
            {"source": {"files": "a.csv"}, "timezone": "UTC"},
            {"schedule": {"frequency": "daily", "timezone": "Europe/Berlin"}},
            {"timezone": "Europe/Berlin", "schedule": {"frequency": "daily"}},
        ),
    ],
)
def test_a_launch_changes_what_it_says(file: dict[str, Any], launched: dict[str, Any], changed: dict[str, Any]) -> None:
    config = parse(ExportConfig, {"name": "x", **file})
    expected = {k: v for k, v in ({"name": "x"} | file | changed).items() if v is not None}
    assert parse(ExportConfig, resolve(config, file, file | launched)) == parse(ExportConfig, expected)
    assert parse(ExportConfig, resolve(config, {}, launched)) == parse(ExportConfig, expected)


def test_a_launch_that_is_wrong_is_refused_in_words(tmp_path: Path) -> None:
    (entry,) = Catalog(home(tmp_path, {"failed": FAILED})).entries()
    job = export_job(entry)
    assert job.config_mapping is not None
    with pytest.raises(InvalidExport, match=r"^limit: should be greater than or equal to 1, not 0$"):
        job.config_mapping.resolve_from_validated_config({"limit": 0})
    with pytest.raises(InvalidExport, match=r"^tags: 'dagster/run_key' is a name that Dagster"):
        job.config_mapping.resolve_from_validated_config({"tags": {"dagster/run_key": "x"}})
