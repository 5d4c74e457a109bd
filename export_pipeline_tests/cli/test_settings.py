from __future__ import annotations

from typing import Any

import pytest

from export_pipeline.cli.settings import changed, meant
from export_pipeline.config import ExportConfig
from export_pipeline.defs.merging import merge
from export_pipeline.errors import ConfigError
from export_pipeline.parsing import parse

BASE = parse(
    ExportConfig,
    {
        "name": "base",
        "source": {"files": "x.csv", "status": "status"},
        "filter": {"and": [{"status": ["failed"]}, {"where": {"field": "id", "operator": "gt", "value": 3}}]},
        "sort": ["-id", "name"],
        "format": {"csv": {"delimiter": ";", "headers": False}},
        "deliver": [{"local": {"folder": "reports", "if_exists": "version"}}, {"local": "other"}],
    },
)


def _set(*texts: str, base: ExportConfig = BASE) -> dict[str, Any]:
    """Return the export as it is with these settings."""
    changes: dict[str, Any] = {}
    for text in texts:
        changes = changed(changes, base, text)
    return parse(ExportConfig, merge(ExportConfig, base.dump(), changes)).dump()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-1.5", -1.5), ("true", True), ("null", None), ("", None), ("~", None),
        ("no", "no"), ("22:00", "22:00"), ("00123", "00123"), ("2026-01-01", "2026-01-01"), ('"12"', "12"),
        *((mark, mark) for mark in ";|#-?:%@&*!>,`\t "), ("'|'", "|"),
        ("[a, 1]", ["a", 1]), ("[a", "[a"), ("{a: 1}", {"a": 1}), ("- a", "- a"), ("a: b", "a: b"),
        ("{name}-{date:YYYY}", "{name}-{date:YYYY}"), ("{name}", "{name}"), ("{date:YYYY}", "{date:YYYY}"),
        ("-7d", "-7d"), ("> 5", "> 5"),
    ],
)  # fmt: skip
def test_what_a_value_means(text: str, value: Any) -> None:
    found = meant(text)
    assert (found, type(found)) == (value, type(value))


def test_one_option_leaves_its_neighbours() -> None:
    made = _set("format.csv.delimiter=|")
    assert made["format"] == {"csv": {"delimiter": "|", "headers": False}}
    assert {**made, "format": 0} == {**BASE.dump(), "format": 0}


@pytest.mark.parametrize("text", ["format=parquet", "format.parquet.compression=zstd"])
def test_another_member_of_a_choice(text: str) -> None:
    assert set(_set(text)["format"]) == {"parquet"}


def test_items_of_lists() -> None:
    made = _set("deliver[1].local.if_exists=fail", "sort[0].descending=false", "filter.and[0].status=[timeout]")
    assert made["deliver"] == [
        {"local": {"folder": "reports", "if_exists": "version"}},
        {"local": {"folder": "other", "if_exists": "fail"}},
    ]
    assert made["sort"] == [{"field": "id"}, {"field": "name"}]
    assert made["filter"]["and"][0] == {"status": ["timeout"]}
    assert made["filter"]["and"][1] == BASE.dump()["filter"]["and"][1]


def test_several_settings_of_one_thing() -> None:
    made = _set("deliver[0].local.folder=a", "deliver[0].local.if_exists=fail", "limit=5", "limit=6")
    assert made["deliver"][0] == {"local": {"folder": "a", "if_exists": "fail"}}
    assert made["limit"] == 6


def test_back_to_the_default() -> None:
    made = _set("sort=", "filter=null", "format.csv.delimiter=null")
    assert "sort" not in made
    assert "filter" not in made
    assert made["format"] == {"csv": {"headers": False}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("limit", "--set 'limit' is not path=value"),
        ("=5", "is not path=value"),
        ("[0]=5", "is not path=value"),
        ("sort[x]=5", "is not path=value"),
        ("deliver[2].local.folder=x", r"--set deliver\[2\].local.folder: there is no item 2: the list has 2"),
        ("limit[0]=x", r"there is no item 0: it is no list"),
        ("formt=csv", r"unknown option 'formt' \(did you mean 'format'\?\)"),
        ("format.csv.delimeter=;", r"format.csv: unknown option 'delimeter' \(did you mean 'delimiter'\?\)"),
        ("format.cvs.delimiter=;", r"format: unknown format 'cvs' \(did you mean 'csv'\?\)"),
        ("limit=many", "limit: "),
        ("sort[0].descending=perhaps", r"sort\[0\]"),
    ],
)
def test_bad_settings(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        _set(text)
