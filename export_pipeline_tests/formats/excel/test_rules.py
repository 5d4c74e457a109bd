"""Conditional formatting and data validation, as openpyxl reads them back."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.errors import ConfigError
from export_pipeline.formats.excel import Excel
from export_pipeline_tests.formats.excel.written import capped, written

FRAME = pl.DataFrame({"n": range(5), "text": list("abcde"), "day": [dt.date(2024, 1, n) for n in range(1, 6)]})


def rule(tmp_path: Path, given: dict[str, Any]) -> Any:
    """Return the one rule that a workbook with this one has, read back."""
    form = Excel.model_validate({"conditional_formatting": [given]})
    (found,) = openpyxl.load_workbook(written(FRAME, tmp_path, form).path).active.conditional_formatting
    assert str(found.sqref) == "A2:A6"
    return found.rules[0]


def test_cells_that_compare(tmp_path: Path) -> None:
    found = rule(tmp_path, {"cell": {"columns": ["n"], "operator": "between", "value": 1, "upper": 2.5, "stop": True}})
    assert (found.type, found.operator, found.formula, found.stopIfTrue) == ("cellIs", "between", ["1", "2.5"], True)
    assert (found.dxf.fill.bgColor.rgb, found.dxf.font.color.rgb) == ("00FFC7CE", "009C0006")
    found = rule(tmp_path, {"cell": {"columns": ["n"], "operator": "eq", "value": 'a "b"', "style": {"bold": True}}})
    assert (found.formula, found.dxf.font.b, found.dxf.fill) == (['"a ""b"""'], True, None)


def test_formulas_texts_and_duplicates(tmp_path: Path) -> None:
    assert rule(tmp_path, {"formula": {"columns": ["n"], "formula": "={n}>{row}"}}).formula == ["$A2>2"]
    found = rule(tmp_path, {"contains": {"columns": ["n"], "text": "x"}})
    assert (found.type, found.text, found.formula) == ("containsText", "x", ['NOT(ISERROR(SEARCH("x",A2)))'])
    assert rule(tmp_path, {"contains": {"columns": ["n"], "text": "x", "negate": True}}).type == "notContainsText"
    assert rule(tmp_path, {"duplicates": {"columns": ["n"]}}).type == "duplicateValues"
    assert rule(tmp_path, {"duplicates": {"columns": ["n"], "unique": True}}).type == "uniqueValues"


def test_a_text_is_looked_for_as_it_is(tmp_path: Path) -> None:
    found = rule(tmp_path, {"contains": {"columns": ["n"], "text": "50* ~?"}})
    assert (found.text, found.formula) == ("50* ~?", ['NOT(ISERROR(SEARCH("50~* ~~~?",A2)))'])


def test_a_range_may_begin_at_any_of_its_corners(tmp_path: Path) -> None:
    form = Excel.model_validate(
        {
            "conditional_formatting": [
                {"formula": {"range": "B9:A3", "formula": "=$A3>1"}},
                {"duplicates": {"range": "C2"}},
            ],
            "print": {"area": "B1:A9"},
        }
    )
    sheet = openpyxl.load_workbook(written(FRAME, tmp_path, form).path).active
    assert [str(found.sqref) for found in sheet.conditional_formatting] == ["A3:B9", "C2"]
    assert sheet.print_area == "'Data'!$A$1:$B$9"


def test_top_and_bottom(tmp_path: Path) -> None:
    found = rule(tmp_path, {"top": {"columns": ["n"], "count": 20, "percent": True, "bottom": True}})
    assert (found.type, found.rank, found.percent, found.bottom) == ("top10", 20, True, True)


def test_scales_bars_and_icons(tmp_path: Path) -> None:
    scale = rule(tmp_path, {"color_scale": {"columns": ["n"]}}).colorScale
    assert [color.rgb for color in scale.color] == ["00F8696B", "00FFEB84", "0063BE7B"]
    assert len(rule(tmp_path, {"color_scale": {"columns": ["n"], "middle": None}}).colorScale.color) == 2
    bar = rule(tmp_path, {"data_bar": {"columns": ["n"], "minimum": 0, "values": False}}).dataBar
    assert ([limit.type for limit in bar.cfvo], bar.showValue) == (["num", "max"], False)
    icons = rule(tmp_path, {"icon_set": {"columns": ["n"], "icons": "arrows_4", "reverse": True}}).iconSet
    assert (icons.iconSet, [limit.val for limit in icons.cfvo], icons.reverse) == ("4Arrows", [0, 25, 50, 75], True)
    icons = rule(tmp_path, {"icon_set": {"columns": ["n"], "limits": [1, 2.5]}}).iconSet
    assert [(limit.type, limit.val) for limit in icons.cfvo] == [("percent", 0), ("num", 1), ("num", 2.5)]


def test_rules_follow_the_rows_of_each_sheet_and_come_before_stripes(tmp_path: Path) -> None:
    given = [{"duplicates": {"columns": ["n", "text"]}}, {"duplicates": {"range": "B2:C3"}}]
    form = capped(4, conditional_formatting=given, table="none")
    pages = openpyxl.load_workbook(written(FRAME, tmp_path, form).path).worksheets
    assert [[str(found.sqref) for found in page.conditional_formatting] for page in pages] == [
        ["A2:A4 B2:B4", "B2:C3", "A2:C4"],
        ["A2:A3 B2:B3", "B2:C3", "A2:C3"],
    ]
    assert [found.rules[0].priority for found in pages[0].conditional_formatting] == [1, 2, 3]


def validations(tmp_path: Path, *given: dict[str, Any]) -> list[Any]:
    form = Excel.model_validate({"data_validation": list(given)})
    return list(
        openpyxl.load_workbook(written(FRAME, tmp_path, form).path).worksheets[0].data_validations.dataValidation
    )


def test_numbers_dates_lengths_and_formulas(tmp_path: Path) -> None:
    whole, number, day, length, custom = validations(
        tmp_path,
        {"whole": {"columns": ["n"], "value": 0, "upper": 9, "error_title": "No", "error_message": "0 to 9"}},
        {"decimal": {"columns": ["n"], "operator": "gt", "value": 0.5, "on_error": "warning"}},
        {"date": {"columns": ["day"], "operator": "ge", "value": "2024-01-01", "allow_blank": False}},
        {"text_length": {"columns": ["text"], "operator": "le", "value": 3, "input_title": "T",
                         "input_message": "short"}},
        {"custom": {"columns": ["n"], "formula": "={n}<{row}"}},
    )  # fmt: skip
    assert all(found.showErrorMessage for found in (whole, number, day, length, custom))
    assert (whole.type, whole.operator, whole.formula1, whole.formula2) == ("whole", "between", "0", "9")
    assert (whole.errorTitle, whole.error, str(whole.sqref), whole.allow_blank) == ("No", "0 to 9", "A2:A6", True)
    assert (number.operator, number.formula1, number.errorStyle) == ("greaterThan", "0.5", "warning")
    assert (day.formula1, day.allow_blank) == ("45292", False)
    assert (length.type, length.prompt, length.promptTitle) == ("textLength", "short", "T")
    assert custom.formula1 == "$A2<2"


def test_lists_stand_in_the_rule_or_on_a_hidden_sheet(tmp_path: Path) -> None:
    many = [f"value {n}" for n in range(100)]
    short, long, comma, source = validations(
        tmp_path,
        {"list": {"columns": ["text"], "values": ["a", "b"]}},
        {"list": {"columns": ["text"], "values": many}},
        {"list": {"columns": ["text"], "values": ["=1+1", "x, y"]}},
        {"list": {"columns": ["text"], "source": "L1:L9"}},
    )
    assert (short.formula1, source.formula1) == ('"a,b"', "$L$1:$L$9")
    assert (long.formula1, comma.formula1) == ("Lists!$A$1:$A$100", "Lists!$B$1:$B$2")
    lists = openpyxl.load_workbook(tmp_path / "file.xlsx")["Lists"]
    assert lists.sheet_state == "hidden"
    assert [cell.value for cell in lists["A"]] == many
    assert (lists["B1"].value, lists["B1"].data_type) == ("=1+1", "s")


@pytest.mark.parametrize(
    ("option", "given", "said"),
    [
        ("conditional_formatting", {"duplicates": {}}, "either columns"),
        ("conditional_formatting", {"cell": {"columns": ["n"], "operator": "between", "value": 1}}, "upper"),
        ("conditional_formatting", {"sparkle": {"columns": ["n"]}}, "unknown conditional format 'sparkle'"),
        ("conditional_formatting", {"icon_set": {"columns": ["n"], "limits": [1]}}, "2 limits"),
        ("conditional_formatting", {"duplicates": {"range": "B2:XFE9"}}, "no cell"),
        ("conditional_formatting", {"top": {"columns": ["n"], "style": {}}}, "changes nothing"),
        ("data_validation", {"list": {"columns": ["n"]}}, "either values"),
        ("data_validation", {"list": {"columns": ["n"], "source": "L1:M9"}}, "several rows and columns"),
        ("data_validation", {"whole": {"columns": ["n"], "value": 1}}, "upper"),
        ("data_validation", {"date": {"columns": ["n"], "operator": "ge", "value": "1899-01-01"}}, "1900"),
    ],
)
def test_what_is_no_rule_is_refused(option: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Excel.model_validate({option: [given]})


@pytest.mark.parametrize(
    "given",
    [
        {"conditional_formatting": [{"duplicates": {"columns": ["txt"]}}]},
        {"conditional_formatting": [{"formula": {"columns": ["n"], "formula": "={txt}"}}]},
        {"data_validation": [{"custom": {"columns": ["n"], "formula": "={txt}"}}]},
    ],
)
def test_rules_name_columns_that_are_there(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"'txt'.*'text'"):
        Excel.model_validate(given).check(FRAME.schema)
