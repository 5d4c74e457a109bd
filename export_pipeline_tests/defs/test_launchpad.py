from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from dagster._config import process_config, validate_config
from hypothesis import given

from export_pipeline.defs.launchpad import DEPTH, config_type
from export_pipeline_tests.defs.models import Export
from export_pipeline_tests.defs.test_merging import EXPORTS

WHOLE, PARTIAL = config_type(Export), config_type(Export, partial=True)


def messages(kind: dg.Shape, value: Any) -> str:
    errors = validate_config(kind, value).errors or []
    return "\n".join(error.message for error in errors)


def nested(levels: int) -> dict[str, Any]:
    """A filter in filters, `levels` of them."""
    inner: dict[str, Any] = {"where": {"field": "a", "value": 1}}
    for level in range(levels - 1):
        inner = {"not": inner} if level % 2 else {"and": [inner, {"status": ["x"]}]}
    return inner


@given(EXPORTS)
def test_what_is_valid_in_a_file_is_valid_in_the_launchpad_and_comes_out_unchanged(data: dict[str, Any]) -> None:
    config = Export.model_validate(data)
    for kind in (WHOLE, PARTIAL):
        for spelling in (data, config.dump(), config.dump(defaults=kind is PARTIAL)):
            result = process_config(kind, spelling)
            assert result.success, result.errors
            assert Export.model_validate(result.value) == config


@pytest.mark.parametrize("levels", [1, DEPTH, DEPTH + 1, 6, 12])
def test_filters_in_filters_pass_at_any_depth(levels: int) -> None:
    value = {"filter": nested(levels)}
    assert process_config(PARTIAL, value).value == value
    assert Export.model_validate(process_config(WHOLE, value).value) == Export.model_validate(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"fromat": "csv"}, "fromat"),
        ({"format": {"xml": {}}}, "xml"),
        ({"format": {"csv": {}, "json": {}}}, "You can only specify a single field"),
        ({"format": {"csv": {"delimiter": "x"}}}, r"not in enum type ',' | ';'"),
        ({"format": {"csv": {"headers": 3}}}, "format:csv:headers"),
        ({"filter": {"and": [{"wher": {}}]}}, "wher"),
        ({"limit": "ten"}, "limit"),
        ({"tags": {"a": {"env": "HOME"}}}, "root:tags"),
        ({"name": {"env": "HOME"}}, "root:name"),
        ({"filter": {"status": [{"env": "HOME"}]}}, "root:filter:status"),
        ({"format": {"template": {"env": "HOME"}}}, "env"),
    ],
)
@pytest.mark.parametrize("kind", [WHOLE, PARTIAL])
def test_what_is_wrong_is_refused_where_it_stands(kind: dg.Shape, value: dict[str, Any], said: str) -> None:
    assert said in messages(kind, value)


def test_messages_stay_short_though_dagster_prints_whole_types() -> None:
    assert len(messages(PARTIAL, {"filter": {"wher": {}}})) < 4000


def test_a_part_of_an_option_is_enough_to_override_it_but_list_items_are_complete() -> None:
    assert not messages(PARTIAL, {"source": {"dataset": "agents"}, "filter": {"where": {"value": 3}}})
    assert "field" in messages(PARTIAL, {"filter": {"and": [{"where": {"value": 3}}]}})
    assert "field" in messages(WHOLE, {"filter": {"where": {"value": 3}}})


def test_null_takes_any_option_back_but_only_where_a_file_stands_behind() -> None:
    everything = dict.fromkeys(Export.model_fields)
    assert process_config(PARTIAL, everything).value == everything
    assert "limit" not in messages(WHOLE, {"limit": None})
    assert "window" in messages(WHOLE, {"window": None})


def test_nothing_is_filled_in() -> None:
    value = {"format": {"csv": {"number_format": {"decimals": 1}}}}
    assert process_config(PARTIAL, value).value == value
    assert process_config(PARTIAL, {}).value == {}


def test_options_are_described_with_their_defaults() -> None:
    fields = PARTIAL.fields
    assert fields["limit"].description == "At most so many rows."
    assert fields["format"].description == 'Format of the file. Default: "csv".'
    selector: Any = fields["format"].config_type
    csv = selector.inner_type.non_scalar_type.fields["csv"]
    assert csv.description == "Text with separators."
    assert csv.config_type.fields["delimiter"].description == 'Between the columns. Default: ",".'
    assert not any(field.default_provided for field in fields.values())


def test_a_type_is_built_once() -> None:
    assert config_type(Export, partial=True) is PARTIAL
