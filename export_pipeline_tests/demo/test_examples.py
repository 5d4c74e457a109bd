"""The six examples: each is a valid export, says what it shows, and finds rows in the demo's stores."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from export_pipeline.config import ExportConfig
from export_pipeline.demo import create, example_files
from export_pipeline.parsing import parse_file
from export_pipeline.sources.stores import Stores

UNTIL = datetime(2026, 11, 23, 11, 7, tzinfo=UTC)
EXAMPLES = sorted(name.removeprefix("exports/") for name in example_files() if name.startswith("exports/"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    create(folder, rows=50_000, until=UNTIL)
    return folder


def load(home: Path, name: str) -> ExportConfig:
    return parse_file(ExportConfig, home / "exports" / name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_says_what_it_shows(name: str, home: Path) -> None:
    text = example_files()[f"exports/{name}"]
    first = text.splitlines()[0]
    assert first.startswith("# ")
    assert first.endswith(".")
    assert all(len(line) <= 120 for line in text.splitlines())
    config = load(home, name)
    assert config.name == name.removesuffix(".yaml")
    assert config.description
    assert config.schedule is not None
    assert ExportConfig.model_validate(config.dump()) == config


def test_together_they_show_every_format(home: Path) -> None:
    configs = [load(home, name) for name in EXAMPLES]
    assert len(configs) == 6
    single = [config.files[0].format.tag for config in configs if len(config.files) == 1]
    assert {"csv", "json", "parquet", "excel"} <= set(single)
    assert any(len(config.files) > 1 for config in configs)
    assert any(config.pivot is not None for config in configs)
    assert {"hourly", "weekly", "monthly", "daily", "custom"} == {
        config.schedule.frequency for config in configs if config.schedule is not None
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_finds_rows(name: str, home: Path) -> None:
    config = load(home, name)
    (source,) = config.inputs.values()
    with source.open(Stores.load(home / "stores.yaml")) as opened:
        query = config.query.resolve(UNTIL).bind(opened.schema, opened.roles)
        rows = pl.concat(pl.DataFrame(batch) for batch in opened.batches(query.needs(opened.schema), query.filter))
        schema = opened.schema
    expected = query.check(schema)
    found = query.apply(rows.lazy()).collect()
    assert found.height > 0
    if config.pivot is None:
        assert found.schema == expected
    else:
        assert found.columns == [
            "team", "region", "2026-06-01", "2026-07-01", "2026-08-01", "2026-09-01", "2026-10-01", "Total",
        ]  # fmt: skip
        assert found["team"][-1] == "Total"
