"""Charts over the sheet's columns, as openpyxl reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import openpyxl
import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.errors import ConfigError
from export_pipeline.formats.about import About
from export_pipeline.formats.excel import MAX_ROWS, Excel
from export_pipeline.formats.excel.charts import Chart, add_charts
from export_pipeline.formats.excel.look import Look
from export_pipeline_tests.formats.excel.written import by_calamine, capped, written

FRAME = pl.DataFrame(
    {"day": ["mon", "tue", "wed", "thu", "fri"], "n": [1, 2, 3, 4, 5], "cost": [2.5, 1.0, 4.0, 3.0, 0.5]}
)
KINDS = get_args(Chart.model_fields["kind"].annotation)


@pytest.mark.parametrize("kind", KINDS)
def test_the_ranges_are_those_of_the_rows(kind: str, tmp_path: Path) -> None:
    chart = {"kind": kind, "x": "n", "values": ["cost"], "title": "Cost"}
    artifact = written(FRAME, tmp_path, Excel(charts=[chart]))
    (read,) = openpyxl.load_workbook(artifact.path).active._charts
    (series,) = read.series
    values, x = (series.yVal, series.xVal) if kind == "scatter" else (series.val, series.cat)
    assert values.numRef.f == "'Data'!$C$2:$C$6"
    assert x.numRef.f == "'Data'!$B$2:$B$6"
    assert read.title.tx.rich.p[0].r[0].t == "Cost"
    if kind != "pie":
        assert not read.x_axis.delete
        assert not read.y_axis.delete
    assert by_calamine(artifact.path) == [list(row) for row in FRAME.rows()]


def test_each_sheet_has_the_chart_of_its_rows(tmp_path: Path) -> None:
    form = capped(4, charts=[{"kind": "line", "x": "day", "values": ["n", "cost"]}, {"x": "day", "values": ["n"]}])
    book = openpyxl.load_workbook(written(FRAME, tmp_path, form).path)
    found = [[series.val.numRef.f for chart in sheet._charts for series in chart.series] for sheet in book.worksheets]
    assert found == [
        ["'Data'!$B$2:$B$4", "'Data'!$C$2:$C$4", "'Data'!$B$2:$B$4"],
        ["'Data (2)'!$B$2:$B$3", "'Data (2)'!$C$2:$C$3", "'Data (2)'!$B$2:$B$3"],
    ]
    corners = [(c.anchor._from.col, c.anchor._from.row) for c in book.worksheets[0]._charts]
    assert corners == [(4, 1), (4, 16)]


def test_lines_are_straight_and_points_have_a_color(tmp_path: Path) -> None:
    kinds = ("line", "scatter")
    form = Excel(charts=[{"kind": kind, "x": "n", "values": ["n", "cost"], "colors": ["C00000"]} for kind in kinds])
    line, scatter = openpyxl.load_workbook(written(FRAME, tmp_path, form).path).active._charts
    assert [series.smooth for series in line.series] == [False, False]
    first, second = (series.marker.graphicalProperties.solidFill for series in scatter.series)
    assert first.srgbClr == "C00000"
    assert second.schemeClr.val == "accent2"


def test_a_chart_reaches_to_the_last_row_of_a_full_sheet() -> None:
    form = Excel(charts=[{"x": "day", "values": ["n"]}])
    names, sheet = FRAME.columns, openpyxl.Workbook().active
    look = Look(form, names, names, [], [], About(), form.workbook, table=None)
    add_charts(sheet, look, 1, MAX_ROWS - 1)
    assert sheet._charts[0].series[0].val.numRef.f == "'Sheet'!$B$2:$B$1048576"


def test_without_header_the_first_row_is_drawn(tmp_path: Path) -> None:
    form = Excel(header=False, charts=[{"x": "day", "values": ["n"], "anchor": "H3", "legend": "none"}])
    (chart,) = openpyxl.load_workbook(written(FRAME, tmp_path, form).path).active._charts
    assert chart.series[0].val.numRef.f == "'Data'!$B$1:$B$5"
    assert (chart.anchor._from.col, chart.anchor._from.row, chart.legend) == (7, 2, None)


def test_series_are_called_as_the_headers_that_they_stand_under(tmp_path: Path) -> None:
    charts = [{"x": "day", "values": ["n", "cost"]}]
    form = Excel(charts=charts, columns={"cost": {"header": "Cost in $"}})
    (chart,) = openpyxl.load_workbook(written(FRAME, tmp_path, form).path).active._charts
    assert [series.tx.v for series in chart.series] == ["n", "Cost in $"]


def test_the_same_charts_are_the_same_bytes(tmp_path: Path) -> None:
    form = Excel(charts=[{"x": "day", "values": ["n", "cost"], "colors": ["1F4E78"], "x_title": "Day"}])
    first = written(FRAME, tmp_path, form).sha256
    assert written(FRAME, tmp_path, form).sha256 == first


@pytest.mark.parametrize(
    ("chart", "message"),
    [
        ({"x": "dya", "values": ["n"]}, "unknown column 'dya'"),
        ({"x": "day", "values": ["day"]}, "not numbers"),
        ({"kind": "scatter", "x": "day", "values": ["n"]}, "not numbers or times"),
    ],
)
def test_columns_that_cannot_be_drawn_are_refused(chart: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Excel(charts=[chart]).check(FRAME.schema)


@pytest.mark.parametrize(
    ("chart", "message"),
    [
        ({"kind": "pie", "x": "day", "values": ["n", "cost"]}, "one column"),
        ({"kind": "pie", "x": "day", "values": ["n"], "y_title": "y"}, "no y_title"),
        ({"x": "day", "values": ["n"], "colors": ["FF0000", "00FF00"]}, "2 colors for 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(chart: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Excel(charts=[chart])
