"""Fonts, fills, lines, formats and places of cells, as other programs see them."""

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
from export_pipeline_tests.formats.excel.written import capped, sheet, written

FRAME = pl.DataFrame({"id": [1, 2, 3], "name": ["a", None, "c"], "day": [dt.date(2024, 1, 1), None, None]})


def book(path: Path) -> Any:
    return openpyxl.load_workbook(path)


def test_data_style_and_a_column_of_its_own(tmp_path: Path) -> None:
    form = Excel.model_validate(
        {
            "data_style": {
                "font": "Arial", "size": 9, "italic": True, "underline": True, "strike": True, "fill": "FFFFCC",
                "vertical": "top", "indent": 1, "align": "left", "wrap": True,
            },
            "columns": {"day": {"style": {"bold": True, "color": "FF0000"}, "number_format": "d.m.yy", "width": 20}},
        }
    )  # fmt: skip
    page = book(written(FRAME, tmp_path, form).path).active
    cell, empty, day = page["A2"], page["B3"], page["C2"]
    assert (cell.font.name, cell.font.sz, cell.font.i, cell.font.u, cell.font.strike) == (
        "Arial",
        9,
        True,
        "single",
        True,
    )
    assert (cell.alignment.vertical, cell.alignment.indent, cell.alignment.wrap_text) == ("top", 1, True)
    assert cell.fill.fgColor.rgb == empty.fill.fgColor.rgb == "00FFFFCC"
    assert empty.value is None
    assert (day.font.b, day.font.color.rgb, day.number_format, day.fill.fill_type) == (True, "00FF0000", "d.m.yy", None)
    assert page.column_dimensions["C"].width == 20


@pytest.mark.parametrize(
    ("given", "dumped"), [(True, True), ("thin", "thin"), ("thick", {"line": "thick"}), ({"color": "FF0000"},) * 2]
)
def test_borders_are_written_down_so_that_they_are_seen(given: Any, dumped: Any) -> None:
    form = Excel(borders=given)
    assert form.dump()["borders"] == dumped
    assert Excel(borders=dumped) == form


@pytest.mark.parametrize("compact", [False, True])
def test_borders_are_around_all_cells_also_those_without_a_value(compact: bool, tmp_path: Path) -> None:
    form = Excel.model_validate({"borders": {"line": "medium", "color": "112233"}, "compact": compact})
    page = book(written(FRAME, tmp_path, form).path).active
    for row in page["A1:C4"]:
        for cell in row:
            assert (cell.border.left.style, cell.border.bottom.color.rgb) == ("medium", "00112233"), cell


def test_header_texts_hidden_columns_and_rows_in_a_color(tmp_path: Path) -> None:
    form = Excel.model_validate(
        {"columns": {"id": {"header": "No."}, "name": {"hidden": True}}, "alternating_rows": "#EEEEFF"}
    )
    artifact = written(FRAME, tmp_path, form)
    page = book(artifact.path).active
    assert page["A1"].value == "No." == page.tables["Table1"].tableColumns[0].name
    assert page.column_dimensions["B"].hidden
    assert not page.tables["Table1"].tableStyleInfo.showRowStripes
    (rules,) = page.conditional_formatting
    assert rules.rules[0].dxf.fill.bgColor.rgb == "00EEEEFF"
    assert not [loss for loss in artifact.losses if "header" in loss.why]  # it is as asked for


def test_rows_above_the_data_hold_a_title(tmp_path: Path) -> None:
    form = capped(6, first_row=4, title="Costs & <more>", title_style={"size": 20}, zoom=80, gridlines=False)
    artifact = written(FRAME, tmp_path, form)
    pages = book(artifact.path).worksheets
    assert [page["A1"].value for page in pages] == ["Costs & <more>"] * 2
    assert [[page.cell(row, 1).value for row in (4, 5, 6)] for page in pages] == [["id", 1, 2], ["id", 3, None]]
    assert (pages[0].freeze_panes, pages[0].tables["Table1"].ref, pages[1].tables["Table2"].ref) == (
        "A5",
        "A4:C6",
        "A4:C5",
    )
    assert (pages[0].sheet_view.zoomScale, pages[0].sheet_view.showGridLines) == (80, False)
    assert pages[0].row_dimensions[1].height == 28


def test_rows_without_header_begin_where_asked(tmp_path: Path) -> None:
    path = written(FRAME, tmp_path, Excel(header=False, first_row=3, tab_color="00FF00")).path
    page = book(path).active
    assert [page.cell(row, 1).value for row in range(1, 7)] == [None, None, 1, 2, 3, None]
    assert page.sheet_properties.tabColor.rgb == "0000FF00"


def test_nothing_of_it_costs_nothing(tmp_path: Path) -> None:
    assert '<c r="A2"><v>1</v></c>' in sheet(written(FRAME, tmp_path).path)
    assert '"B3"' not in sheet(tmp_path / "file.xlsx")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"title": "x"}, "needs room"),
        ({"borders": "wavy"}, "thin"),
        ({"data_style": {"colour": "red"}}, "did you mean 'color'"),
        ({"data_style": {"color": "red"}}, "six hex digits"),
        ({"columns": {"a": {"wide": 3}}}, "unknown option 'wide'"),
        ({"compression": "zip"}, "unknown option 'compression' .*is a zip file itself"),
    ],
)
def test_what_is_no_look_is_refused_by_name(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Excel.model_validate(options)


@pytest.mark.parametrize("options", [{"columns": {"nmae": {"width": 3}}}, {"totals": {"nmae": "count"}}])
def test_an_unknown_column_is_named_with_the_nearest(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"'nmae'.*'name'"):
        Excel.model_validate(options).check(FRAME.schema)
