"""Texts that XML cannot hold as they are: escaped where they are names of the data, refused where they are options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.formats.excel import Excel
from export_pipeline_tests.formats.excel.schema import complaints
from export_pipeline_tests.formats.excel.written import part, written

CONTROL = "a\x01b"
RULES: list[dict[str, Any]] = [
    {"conditional_formatting": [{"cell": {"columns": ["n"], "operator": "eq", "value": CONTROL}}]},
    {"conditional_formatting": [{"contains": {"columns": ["n"], "text": CONTROL}}]},
    {"data_validation": [{"list": {"columns": ["n"], "values": [CONTROL]}}]},
    {"data_validation": [{"whole": {"columns": ["n"], "operator": "eq", "value": 1, "input_title": CONTROL}}]},
    {"data_validation": [{"whole": {"columns": ["n"], "operator": "eq", "value": 1, "error_message": CONTROL}}]},
    {"charts": [{"x": "n", "values": ["n"], "title": CONTROL}]},
    {"charts": [{"x": "n", "values": ["n"], "y_title": CONTROL}]},
    {"print": {"header": "\ufffe"}},
    {"data_style": {"font": CONTROL}},
    {"column_formats": {"n": '0"\ufffe"'}},
    {"workbook": {"title": "\ud800"}},
    {"workbook": {"custom": {"a": "\uffff"}}},
]


@pytest.mark.parametrize("given", RULES)
def test_options_that_no_xml_holds_are_refused_before_any_work(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"control character|no number format"):
        Excel.model_validate(given)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_limits_that_are_no_numbers_are_refused(value: float) -> None:
    given: list[dict[str, Any]] = [
        {"conditional_formatting": [{"cell": {"columns": ["n"], "operator": "gt", "value": value}}]},
        {"conditional_formatting": [{"data_bar": {"columns": ["n"], "minimum": value}}]},
        {"conditional_formatting": [{"icon_set": {"columns": ["n"], "limits": [1, value]}}]},
        {"data_validation": [{"decimal": {"columns": ["n"], "operator": "gt", "value": value}}]},
        {"workbook": {"custom": {"a": value}}},
    ]
    for options in given:
        with pytest.raises(ValidationError, match="finite"):
            Excel.model_validate(options)


def test_texts_in_rules_are_no_longer_than_formulas_allow() -> None:
    with pytest.raises(ValidationError, match="255"):
        Excel.model_validate(
            {"conditional_formatting": [{"cell": {"columns": ["n"], "operator": "eq", "value": "y" * 256}}]}
        )


@pytest.mark.parametrize("name", ["_x0041_", "_x000A_b", "a\x01", "a\ufffe", "a\nb"])
def test_names_of_columns_are_escaped_wherever_they_stand(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({name: [1, 2], "k": ["a", "b"]})
    form = Excel.model_validate(
        {
            "totals": {"k": {"label": "all\x01_x0041_"}, name: "sum"},
            "charts": [{"x": "k", "values": [name]}],
            "pivot_tables": [{"name": "P", "rows": ["k"], "values": [name]}],
        }
    )
    made = written(frame, tmp_path, form)
    assert complaints(made.path) == []
    assert 'totalsRowLabel="all_x0001__x005F_x0041_"' in part(made.path, "xl/tables/table1.xml")


def test_rules_and_lists_mean_the_text_that_looks_like_an_escape(tmp_path: Path) -> None:
    form = Excel.model_validate(
        {
            "conditional_formatting": [{"cell": {"columns": ["k"], "operator": "eq", "value": "_x0041_"}}],
            "data_validation": [{"list": {"columns": ["k"], "values": ["_x0041_"], "input_message": "_x0042_"}}],
        }
    )
    sheet = part(written(pl.DataFrame({"k": ["_x0041_"]}), tmp_path, form).path, "xl/worksheets/sheet1.xml")
    assert sheet.count("_x005F_x0041_") == 3
    assert 'prompt="_x005F_x0042_"' in sheet
