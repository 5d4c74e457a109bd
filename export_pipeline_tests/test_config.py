"""The export as one model: its spellings, its places, its refusals, its hash."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from export_pipeline import yaml
from export_pipeline.catalog import load_file
from export_pipeline.config import ExportConfig
from export_pipeline.errors import ConfigError
from export_pipeline.filters import status, time_range
from export_pipeline.formats import Csv, Excel
from export_pipeline.parsing import parse
from export_pipeline.sources import FilesSource

FULL = """\
version: 1
name: failed-commands
timezone: Europe/Berlin
source: {store: dashboard, dataset: commands}
filter:
  and:
    - time_range: {last: 7 days}
    - status: [failed, timeout]
    - not: {command_types: [scan]}
    - where: {field: duration_ms, operator: gt, value: 250}
aggregate:
  group_by: [agent_id]
  time_bucket: {field: started_at, every: 1 day}
  measures:
    runs: count
    cost: {sum: cost_usd}
    p95_ms: {percentile: {field: duration_ms, p: 95}}
columns: {exclude: [host], rename: {agent_id: agent}}
format: {csv: {delimiter: ";"}}
file_name: "{name}-{date:YYYY-MM-DD}"
on_empty: skip
deliver:
  - local: {folder: reports}
schedule: {frequency: daily, at: "06:30", window: {start: "06:00", end: "09:00"}}
retry: {attempts: 5, backoff: exponential, max_delay: 5m}
"""


def config(**changes: Any) -> ExportConfig:
    return parse(ExportConfig, {"name": "sales", "source": {"files": "sales.csv"}} | changes)


def refused(**changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config(**changes)
    return caught.value.message


def test_the_design_s_example_loads_and_comes_back_equal(tmp_path: Any) -> None:
    path = tmp_path / "failed-commands.yaml"
    path.write_text(FULL)
    loaded = load_file(path)
    assert loaded.retry.max_delay == timedelta(minutes=5)
    assert parse(ExportConfig, loaded.dump()) == loaded
    assert parse(ExportConfig, loaded.dump(defaults=True)) == loaded
    assert parse(ExportConfig, yaml.load(yaml.dump(loaded.dump())).data) == loaded


SHEETS: dict[str, Any] = {
    "zoom": 150,
    "sheets": [{"name": "A", "zoom": 100, "header_style": {"bold": True}}, {"name": "B", "rows": {"sort": "-x"}}],
}


@pytest.mark.parametrize(
    "given",
    [
        {"outputs": [{"format": "json"}, {"format": "parquet"}]},
        {"format": {"excel": {"header": False}}},
        {"format": {"excel": SHEETS}},
        {"outputs": [{"format": {"excel": SHEETS}, "deliver": {"local": {"folder": "x"}}}]},
    ],
)
def test_what_is_left_out_stays_left_out(given: dict[str, Any]) -> None:
    """A stored plan is a whole dump; some options mean another thing where they are said than where they are not."""
    asked = config(**given)
    for whole in (True, False):
        back = parse(ExportConfig, asked.dump(defaults=whole))
        assert back == asked
        assert back.dump(defaults=whole) == asked.dump(defaults=whole)
    form = asked.files[0].format
    if isinstance(form, Excel) and form.sheets:
        assert [sheet.zoom for sheet in parse(Excel, form.dump())._sheets] == [100, 150]


def test_the_typescript_contract_s_spellings_and_places_are_normalised() -> None:
    ours = config(
        columns={"exclude": ["host"]},
        timezone="Europe/Berlin",
        retry={"attempts": 2, "max_delay": "5m"},
        format={"csv": {"line_terminator": "\r\n"}},
        schedule={"frequency": "daily", "at": "06:30"},
        on_empty="skip",
    )
    theirs = config(
        format={"csv": {"lineTerminator": "\r\n", "columns": {"exclude": ["host"]}}},
        schedule={
            "frequency": "daily",
            "at": "06:30",
            "timezone": "Europe/Berlin",
            "retry": {"attempts": 2, "maxDelay": "5m"},
        },
        onEmpty="skip",
    )
    assert theirs == ours
    assert theirs.digest() == ours.digest()


def test_one_source_and_one_output_are_sugar_for_lists_of_one() -> None:
    short = config(format="json", deliver={"local": {"folder": "a"}})
    long = parse(
        ExportConfig,
        {
            "name": "sales",
            "sources": {"rows": {"files": "sales.csv"}},
            "outputs": [{"format": "json", "deliver": [{"local": {"folder": "a"}}]}],
        },
    )
    assert short.inputs == long.inputs
    assert short.files == long.files
    assert short.digest() == long.digest()


def test_a_list_of_filters_means_all_of_them() -> None:
    assert config(filter=[{"status": ["a"]}, {"status": ["b"]}]).filter == (status("a") & status("b"))


def test_configs_are_made_in_python_too() -> None:
    made = ExportConfig(
        name="sales",
        source=FilesSource(files="sales.csv"),
        filter=time_range(last="7 days") & ~status("success"),
        format=Csv(delimiter=";"),
    )
    assert parse(ExportConfig, made.dump()) == made


def test_what_decides_the_file_decides_the_hash() -> None:
    base = config().digest()
    assert config(description="x", retry={"attempts": 9}, schedule={"frequency": "hourly"}).digest() == base
    assert config(format="json").digest() != base
    assert config(filter={"status": "failed"}).digest() != base
    assert config(timezone="Europe/Berlin").digest() != base


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"colums": {}}, "unknown option 'colums' (did you mean 'columns'?)"),
        ({"format": "xls"}, "unknown format 'xls'"),
        ({"format": {"csv": {"delimeter": ";"}}}, "did you mean 'delimiter'?"),
        ({"name": "Sales Report"}, "'Sales Report' is no name for an export"),
        ({"timezone": "Europe/Berln"}, "Europe/Berlin"),
        ({"source": None}, "neither 'source' nor 'sources'"),
        ({"sources": {"a": {"files": "a.csv"}}}, "both 'source' and 'sources'"),
        (
            {"source": None, "sources": {"a": {"files": "a"}, "b": {"files": "b"}}},
            "nothing takes rows of the source 'b'",
        ),
        ({"source": None, "sources": {"A b": {"files": "a"}}}, "'A b' is no name for a source"),
        (
            {"format": {"excel": {"sheets": [{"name": "A"}, {"name": "B", "rows": {"source": "row"}}]}}},
            "'B' takes rows of a source 'row', which is not there",
        ),
        ({"outputs": [{"format": "csv"}], "file_name": "x"}, "'file_name' must stand inside each output"),
        ({"outputs": [{}, {}]}, "two outputs are called 'csv'"),
        ({"deliver": []}, "deliver"),
        ({"retry": {"max_delay": 300}}, "unit"),
        ({"limit": 0}, "limit"),
        ({"file_name": "../{name}"}, "may leave its folder"),
        ({"file_name": "{nam}"}, "did you mean 'name'?"),
        ({"timezone": "UTC", "schedule": {"frequency": "daily", "timezone": "Europe/Berlin"}}, "given twice"),
        ({"filter": {"where": {"field": "a", "operator": "resembles", "value": 1}}}, "resembles"),
    ],
)
def test_what_is_wrong_is_refused_by_name(changes: dict[str, Any], says: str) -> None:
    assert says in refused(**changes)


def test_the_json_schema_describes_every_option() -> None:
    schema = ExportConfig.model_json_schema()
    for name, described in schema["properties"].items():
        assert described.get("description"), name
    assert schema["properties"]["on_empty"]["default"] == "deliver"
    assert schema["properties"]["format"]["default"] == "csv"
