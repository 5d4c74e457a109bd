"""Values of the options of Excel: each alone, and each two of them together in few rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import polars as pl

from export_pipeline.formats.about import About
from export_pipeline.formats.excel import Excel
from export_pipeline.formats.excel.charts import Chart
from export_pipeline.formats.excel.conditions import IconSet
from export_pipeline.formats.excel.printing import PrintSetup
from export_pipeline.formats.excel.protection import Action
from export_pipeline_tests.formats.excel.pictures import png
from export_pipeline_tests.formats.pairwise import pairwise

LEFT_OUT = "left out"
"""In place of a value: the option is not given."""
PASSWORD = "EXPORT_SHEET"

_FULL = {
    "font": "Arial", "size": 9.5, "bold": True, "italic": True, "underline": True, "strike": True, "color": "112233",
    "fill": "FFFFCC", "align": "left", "vertical": "top", "indent": 2, "wrap": True,
    "border": {"line": "hair", "color": "445566"},
}  # fmt: skip
_EMPTY = {
    "font": "Calibri", "size": 11, "bold": False, "italic": False, "underline": False, "strike": False, "color": None,
    "fill": None, "align": None, "vertical": None, "indent": 0, "wrap": False, "border": None,
}  # fmt: skip
_CELLS: dict[str, dict[str, Any]] = {
    "eq": {"value": 1}, "ne": {"value": "x"}, "gt": {"value": 1.5}, "ge": {"value": -1}, "lt": {"value": 0},
    "le": {"value": 'a"b'}, "between": {"value": 1, "upper": 2}, "not_between": {"value": "a", "upper": "b"},
}  # fmt: skip


def _limits(**more: Any) -> list[dict[str, Any]]:
    return [
        {"operator": operator, "value": 1, **({"upper": 9} if operator.endswith("between") else {}), **more}
        for operator in ("between", "not_between", "eq", "ne", "gt", "ge", "lt", "le")
    ]


OPTIONS: dict[str, list[Any]] = {
    "sheet_name": ["Data", "It's <2024> & more"],
    "header": [True, False],
    "header_style": [LEFT_OUT, _FULL, {**_EMPTY, "align": "center", "vertical": "center", "border": "thin"}],
    "data_style": [LEFT_OUT, {**_FULL, "align": "justify", "border": "thick"}, {**_EMPTY, "border": "medium"}],
    "borders": [False, True, {"line": "dashed", "color": "112233"}],
    "table": [LEFT_OUT, "none", "TableStyleDark3"],
    "alternating_rows": [True, False, "EEEEFF"],
    "autofilter": [LEFT_OUT, True, False],
    "freeze_panes": [True, False, "B2"],
    "column_widths": ["auto", 12, {"text": 30, "int64": 8.5}],
    "number_formats": [LEFT_OUT, {
        "integer": "#,##0", "float": "0.000", "decimal": "0.00", "date": "d.m.yy", "datetime": "d.m.yy h:mm",
        "time": "h:mm", "duration": "[m]"}, {"decimal": None}],
    "column_formats": [{}, {"int64": "#,##0;[Red]-#,##0", "us": "dd/mm/yyyy hh:mm:ss.000", "bool": "General"}],
    "columns": [{}, {"text": {"header": "A & B", "width": 9, "style": _FULL, "hidden": True},
                     "float64": {"header": None, "width": None, "number_format": "0.0E+00", "style": None,
                                 "hidden": False}}],
    "first_row": [1, 4],
    "title": [None, "Costs & <more>"],
    "title_style": [LEFT_OUT, {"size": 20, "align": "right", "vertical": "bottom", "border": "double"}],
    "formulas": [[], [
        {"column": "more", "formula": "={int8}*2+{row}", "number_format": "0.0", "style": {"border": "dotted"}},
        {"column": "said", "formula": '={enum}&"<"&{int8}'}, {"column": "round", "formula": "=ROUND({float32},2)"},
        {"column": "int64", "formula": "={int8}*1000"}],
        [{"cell": "C2", "formula": "=SUM({int8})", "number_format": "0", "style": {"bold": True}}]],
    "totals": [{}, {
        "int8": "sum", "float32": "average", "float64": "min", "us": "max", "text": {"function": "count"},
        "bool": {"label": "All & more"}, "decimal0": {"formula": "=SUM({int8})/2"}}],
    "conditional_formatting": [[], [
        *({"cell": {"columns": ["int8", "text"], "operator": name, **value}} for name, value in _CELLS.items()),
        {"formula": {"range": "B5:C9", "formula": "={int8}>{float64}", "stop": True,
                     "style": {"bold": True, "italic": True, "color": "FF0000", "fill": "00FF00"}}},
        {"contains": {"columns": ["text"], "text": 'a"b', "negate": False, "stop": False, "style": {"italic": True}}},
        {"contains": {"columns": ["text"], "text": "x", "negate": True, "style": {"fill": "FF0000"}}},
        {"duplicates": {"columns": ["text"], "unique": True, "style": {"bold": True}}},
        {"duplicates": {"columns": ["text"], "unique": False, "style": {"color": "0000FF", "bold": False}}},
        {"top": {"columns": ["float64"], "count": 5, "percent": True, "bottom": True}},
        {"top": {"columns": ["float64"], "percent": False, "bottom": False}}],
        [
        {"color_scale": {"columns": ["int8"], "low": "FF0000", "middle": None, "high": "00FF00"}},
        {"color_scale": {"columns": ["int8"], "middle": "FFFFFF"}},
        {"data_bar": {"columns": ["float64"], "color": "00FF00", "minimum": 0, "maximum": 10, "values": False}},
        {"data_bar": {"columns": ["float32"], "minimum": None, "maximum": None, "values": True}},
        *({"icon_set": {"columns": ["int8"], "icons": icons, "reverse": n % 2 == 0, "values": n % 3 == 0}}
          for n, icons in enumerate(get_args(IconSet.model_fields["icons"].annotation))),
        {"icon_set": {"columns": ["int64"], "icons": "rating_4", "limits": [1, 2, 3.5]}}]],
    "data_validation": [[], [
        {"list": {"columns": ["text"], "values": ["a", "b"], "allow_blank": False, "input_title": "T",
                  "input_message": "M", "error_title": "E", "error_message": "X & Y", "on_error": "warning"}},
        {"list": {"columns": ["category"], "values": [f"value, {n}" for n in range(300)]}},
        {"list": {"range": "Z1:Z5", "source": "L1:L9", "on_error": "information", "allow_blank": True}},
        {"custom": {"columns": ["float64"], "formula": "={float64}<{int8}", "on_error": "stop"}}],
        [*({"whole": {"columns": ["int8"], **one}} for one in _limits()),
         *({"text_length": {"columns": ["text"], **one}} for one in _limits()[:3]),
         *({"decimal": {"columns": ["float64"], **one}} for one in _limits()[3:]),
         {"decimal": {"columns": ["float64"], "operator": "between", "value": 0.5, "upper": 1.5}},
         {"date": {"columns": ["date"], "operator": "ge", "value": "2024-01-01"}},
         {"date": {"columns": ["date"], "operator": "between", "value": "2024-01-01", "upper": "2025-01-01"}}]],
    "print": [None, {
        "orientation": "landscape", "paper": "a3", "fit_width": 1, "fit_height": 2, "repeat_header": False,
        "area": "A1:C9", "header": {"left": "&A", "center": "<&>", "right": "&D"}, "footer": "Page &P of &N",
        "margins": {"left": 0.25, "right": 0.3, "top": 1, "bottom": 1.5, "header": 0.1, "footer": 0.2},
        "gridlines": True, "center": True}, {
        "orientation": "portrait", "scale": 80, "repeat_header": True, "gridlines": False, "center": False}],
    "protection": [None, {"allow": list(get_args(Action))}, {"password": {"env": PASSWORD}, "allow": []}],
    "images": [[], [{"file": "a.png", "cell": "B1", "width": 30}, {"file": "a.png", "height": 10}]],
    "charts": [[], [
        {"kind": "column", "x": "text", "values": ["int8", "float32"], "title": "T & <x>", "x_title": "X",
         "y_title": "Y", "legend": "left", "width": 10, "height": 5, "anchor": "AZ2", "colors": ["C00000"]},
        {"kind": "pie", "x": "text", "values": ["int8"], "legend": "none"}],
        [{"kind": kind, "x": "int8", "values": ["float32"], "legend": ("top", "bottom", "right")[n % 3]}
         for n, kind in enumerate(get_args(Chart.model_fields["kind"].annotation))]],
    "tab_color": [None, "00FF00"],
    "zoom": [100, 55],
    "gridlines": [True, False],
    "workbook": [LEFT_OUT, {
        "author": "Ada & Co", "created": "2024-05-01T10:00:00+02:00", "title": "T", "subject": "S", "keywords": "k, l",
        "category": "C", "comments": "<c>", "company": "A & B", "manager": "M",
        "custom": {"n": 42, "big": 2**40, "yes": True, "no": False, "share": 0.5, "text": "x <&>", "empty": "",
                   "at": {"moment": "2024-01-01T01:00:00+01:00"}}}],
    "non_finite": ["empty", "text", "error_value", "error"],
    "compact": [False, True],
}  # fmt: skip
"""Option -> its values."""


def allowed(row: dict[str, Any]) -> bool:
    """Return whether the options go together: the others are refused by name, which other tests prove."""
    asked = {name: value for name, value in row.items() if value != LEFT_OUT}
    if asked.get("header") is False and (
        "header_style" in asked or asked.get("autofilter") or asked.get("table", "none") != "none"
    ):
        return False
    if asked.get("title") and asked.get("first_row") == 1:
        return False
    formulas = asked.get("formulas") or []
    if any("cell" in one for one in formulas) and (
        asked.get("first_row") == 1
        or (asked.get("totals") and (asked.get("table") == "none" or asked.get("header") is False))
    ):
        return False
    return not (asked.get("compact") and any("column" in one for one in formulas))


ROWS = pairwise(OPTIONS, allowed)
_NEEDS: dict[str, dict[str, Any]] = {"title": {"first_row": 3}, "title_style": {"title": "T", "first_row": 3}}
ALONE = [
    {name: value, **({k: v for k, v in _NEEDS.get(name, {}).items() if value is not None})}
    for name, values in OPTIONS.items()
    for value in values
    if value not in (LEFT_OUT, Excel.model_fields[name].get_default(call_default_factory=True))
    and not (name == "formulas" and any("cell" in one for one in value))
] + [
    {"formulas": OPTIONS["formulas"][2], "first_row": 4},
    *({"print": {"paper": paper}} for paper in get_args(PrintSetup.model_fields["paper"].annotation)),
]
"""Each value of each option by itself, with what it cannot be without."""

SMALL = pl.DataFrame(
    {
        "int8": pl.Series([1, None, 3], dtype=pl.Int8), "text": ["a", None, 'a"b'], "float64": [0.5, None, -1e9],
        "float32": pl.Series([0.1, None, 2], dtype=pl.Float32), "int64": [10**15, None, 7], "bool": [True, None, False],
        "decimal0": pl.Series([Decimal(1), None, Decimal(5)], dtype=pl.Decimal(20, 0)),
        "us": [dt.datetime(2024, 2, 29, 12), None, dt.datetime(1890, 1, 1)],
        "date": [dt.date(2024, 2, 29), None, dt.date(1850, 1, 1)],
        "category": pl.Series(["x", None, "y"], dtype=pl.Categorical), "enum": ["x", None, "<"],
    }
)  # fmt: skip
"""The columns that the options above name."""


def form_of(row: dict[str, Any]) -> Excel:
    """Return the format of these options."""
    return Excel.model_validate({name: value for name, value in row.items() if value != LEFT_OUT})


def about(folder: Path) -> About:
    """Return what is known of the export; the picture of the options is in its folder."""
    (folder / "a.png").write_bytes(png(40, 20))
    return About(name="rich", logical_time="2026-03-01T06:00:00+00:00", filter='a is "b"', version="v1", folder=folder)
