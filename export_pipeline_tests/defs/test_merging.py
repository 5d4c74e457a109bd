from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipeline.defs.merging import merge
from export_pipeline_tests.defs.models import Export

FILE: dict[str, Any] = {
    "name": "failed",
    "tags": {"team": "ops", "tier": "1"},
    "source": {"store": "dashboard", "dataset": "commands"},
    "filter": {"not": {"where": {"field": "status", "operator": "in", "value": ["ok"]}}},
    "measures": {"runs": "count", "p95": {"percentile": {"field": "duration", "p": 95}}},
    "format": {"csv": {"delimiter": ";", "number_format": {"decimals": 3, "separator": ","}}},
    "deliver": [{"local": {"folder": "a"}}],
    "limit": 10,
}


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ({}, {}),
        ({"limit": 5}, {"limit": 5}),
        ({"limit": None}, {"limit": None}),
        ({"deliver": [{"local": {"folder": "b"}}, "local"]}, {"deliver": [{"local": {"folder": "b"}}, "local"]}),
        ({"tags": {"tier": "2", "new": "x"}}, {"tags": {"team": "ops", "tier": "2", "new": "x"}}),
        ({"tags": {"tier": None}}, {"tags": {"team": "ops"}}),
        ({"source": {"dataset": "agents"}}, {"source": {"store": "dashboard", "dataset": "agents"}}),
        ({"source": {"files": "x.csv"}}, {"source": {"files": "x.csv"}}),
        (
            {"format": {"csv": {"number_format": {"decimals": 1}}}},
            {"format": {"csv": {"delimiter": ";", "number_format": {"decimals": 1, "separator": ","}}}},
        ),
        (
            {"format": {"csv": {"numberFormat": {"decimals": 1}}}},
            {"format": {"csv": {"delimiter": ";", "number_format": {"decimals": 1, "separator": ","}}}},
        ),
        ({"format": {"csv": {"number_format": None}}}, {"format": {"csv": {"delimiter": ";", "number_format": None}}}),
        (
            {"format": {"csv": {"delimiter": None}}},
            {"format": {"csv": {"number_format": {"decimals": 3, "separator": ","}}}},
        ),
        ({"format": "csv"}, {}),
        ({"format": {"csv": {}}}, {}),
        ({"format": {"csv": None}}, {}),
        ({"format": "json"}, {"format": "json"}),
        ({"format": {"json": {"pretty": True}}}, {"format": {"json": {"pretty": True}}}),
        (
            {"filter": {"not": {"where": {"value": ["failed"]}}}},
            {"filter": {"not": {"where": {"field": "status", "operator": "in", "value": ["failed"]}}}},
        ),
        ({"filter": {"not": {"status": ["failed"]}}}, {"filter": {"not": {"status": ["failed"]}}}),
        ({"filter": {"and": [{"status": ["failed"]}]}}, {"filter": {"and": [{"status": ["failed"]}]}}),
        ({"filter": None}, {"filter": None}),
        (
            {"measures": {"p95": {"percentile": {"p": 90}}}},
            {"measures": {"runs": "count", "p95": {"percentile": {"field": "duration", "p": 90}}}},
        ),
        (
            {"measures": {"p95": {"percentile": "cost"}, "runs": {"count": "id"}}},
            {"measures": {"runs": {"count": {"field": "id"}}, "p95": {"percentile": {"field": "cost", "p": 95}}}},
        ),
    ],
)
def test_only_what_is_said_changes(override: dict[str, Any], changed: dict[str, Any]) -> None:
    file, given_override = copy.deepcopy(FILE), copy.deepcopy(override)
    assert merge(Export, file, given_override) == FILE | changed
    assert (file, given_override) == (FILE, override)


def test_a_short_body_in_the_file_is_completed_not_lost() -> None:
    file = {"measures": {"m": {"percentile": "duration"}}, "format": {"template": "book.xlsx"}}
    merged = merge(Export, file, {"measures": {"m": {"percentile": {"p": 99}}}, "format": {"template": {"sheet": "X"}}})
    assert merged == {
        "measures": {"m": {"percentile": {"field": "duration", "p": 99}}},
        "format": {"template": {"path": "book.xlsx", "sheet": "X"}},
    }


def test_unknown_options_reach_pydantic() -> None:
    merged = merge(Export, FILE, {"format": {"csv": {"delimeter": ","}}, "fromat": "csv"})
    assert merged["format"]["csv"]["delimeter"] == ","
    with pytest.raises(ValueError, match="did you mean 'delimiter'"):
        Export.model_validate({key: value for key, value in merged.items() if key != "fromat"})
    with pytest.raises(ValueError, match="did you mean 'format'"):
        Export.model_validate(merged)


WORDS = st.sampled_from(["a", "b", "c"])
FILTERS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        st.builds(lambda words: {"status": words}, st.lists(WORDS)),
        st.builds(lambda field, value: {"where": {"field": field, "value": value}}, WORDS, st.integers() | WORDS),
    ),
    lambda inner: st.one_of(
        st.builds(lambda items: {"and": items}, st.lists(inner, max_size=3)),
        st.builds(lambda item: {"not": item}, inner),
    ),
    max_leaves=8,
)
EXPORTS = st.fixed_dictionaries(
    {},
    optional={
        "limit": st.integers(1, 9),
        "tags": st.dictionaries(WORDS, WORDS),
        "filter": FILTERS,
        "source": st.one_of(st.builds(lambda s: {"store": s}, WORDS), st.builds(lambda s: {"files": s}, WORDS)),
        "format": st.one_of(
            st.just("csv"), st.just({"json": {"pretty": True}}), st.just({"csv": {"delimiter": ";", "headers": ["a"]}})
        ),
        "measures": st.dictionaries(WORDS, st.sampled_from(["count", {"percentile": {"field": "x", "p": 9}}])),
    },
)


@given(EXPORTS)
def test_a_file_over_itself_and_over_nothing_is_the_file(file: dict[str, Any]) -> None:
    config = Export.model_validate(file)
    assert Export.model_validate(merge(Export, file, file)) == config
    assert Export.model_validate(merge(Export, {}, file)) == config
    assert Export.model_validate(merge(Export, file, {})) == config
    assert Export.model_validate(merge(Export, config.dump(), file)) == config


@given(EXPORTS, EXPORTS)
def test_merging_valid_exports_gives_a_valid_export_with_the_launchs_scalars(
    file: dict[str, Any], override: dict[str, Any]
) -> None:
    merged = Export.model_validate(merge(Export, file, override))
    both = Export.model_validate(override)
    if "limit" in override:
        assert merged.limit == both.limit
    if "format" in override:
        assert merged.format.tag == both.format.tag
    assert set(both.tags.items()) <= set(merged.tags.items())
    for field in set(file) - set(override):
        assert getattr(merged, field) == getattr(Export.model_validate(file), field)
