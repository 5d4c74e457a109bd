"""References of a template follow the rows: formulas, ranges, charts, pivot tables."""

from __future__ import annotations

import datetime as dt
import re
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from export_pipeline.formats.excel.template.references import Shift
from export_pipeline_tests.formats.excel.template.books import costs, filled, parts, plain, rich

pytestmark = pytest.mark.filterwarnings("ignore:.*extension is not supported:UserWarning")


def test_openpyxl_sees_ranges_that_are_widened_and_cells_that_have_moved(tmp_path: Path) -> None:
    artifact = filled(costs(10), tmp_path, str(rich(tmp_path / "report.xlsx")))
    book = openpyxl.load_workbook(artifact.path)
    data, summary = book["Data"], book["Summary"]
    assert data.tables["tblData"].ref == "B4:E15"
    assert book.defined_names["Costs"].attr_text == "Data!$D$5:$D$14"
    assert data.print_area == "'Data'!$B$1:$E$17"
    assert [str(cells) for cells in data.merged_cells.ranges] == ["B19:D19"]
    assert str(data.data_validations.dataValidation[0].sqref) == "C5:C14"
    assert {str(rule.sqref) for rule in data.conditional_formatting} == {"D5:D14"}
    assert [data[cell].value for cell in ("C1", "D15", "C17", "E14")] == [
        "=SUM(D5:D14)", "=SUBTOTAL(109,[cost])", "=D15+SUM(D5:D14)", "=tblData[[#This Row],[cost]]*2",
    ]  # fmt: skip
    assert [summary[f"A{row}"].value for row in range(1, 5)] == [
        "=SUM(Data!D5:D14)", "=Data!C17", '=COUNTIF(Data!$C$5:$C$14,"ok")&" of D5:D7"', "=D5",
    ]  # fmt: skip
    assert data["B17"].comment is not None
    assert {data.row_dimensions[row].height for row in range(5, 15)} == {22.5}
    assert {data.cell(row, 4).number_format for row in range(5, 15)} == {"#,##0.00 €"}
    assert [anchor._from.row for anchor in (chart.anchor for chart in data._charts)] == [20, 13]  # below, beside
    values = openpyxl.load_workbook(artifact.path, data_only=True)
    assert values["Data"]["C1"].value is None  # the result of the sample rows would be wrong


def test_rules_of_whole_rows_and_columns_follow(tmp_path: Path) -> None:
    made = parts(plain(tmp_path / "t.xlsx", [["id"], [1], [None], ["below"]]))
    rules = "".join(
        f'<conditionalFormatting sqref="{cells}"><cfRule type="expression" priority="{n}"><formula>$A{row}&gt;1'
        "</formula></cfRule></conditionalFormatting>"
        for n, (cells, row) in enumerate([("2:2", 2), ("1:1048576", 1), ("A:A", 1), ("4:4", 4)], 1)
    )
    sheet = "xl/worksheets/sheet1.xml"
    made[sheet] = made[sheet].replace(b"</sheetData>", b"</sheetData>" + rules.encode())
    with zipfile.ZipFile(tmp_path / "rules.xlsx", "w") as package:
        for name, data in made.items():
            package.writestr(name, data)
    artifact = filled(pl.DataFrame({"id": [1, 2, 3]}), tmp_path, str(tmp_path / "rules.xlsx"))
    found = re.findall(r'sqref="([^"]*)".*?<formula>(.*?)</formula>', parts(artifact.path)[sheet].decode())
    assert found == [("2:4", "$A2&gt;1"), ("1:1048576", "$A1&gt;1"), ("A:A", "$A1&gt;1"), ("6:6", "$A6&gt;1")]


def test_a_pivot_table_is_computed_anew_over_all_rows(tmp_path: Path) -> None:
    from openpyxl.pivot.cache import CacheDefinition, CacheField, CacheSource, SharedItems, WorksheetSource
    from openpyxl.pivot.table import Location, PivotField, TableDefinition

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Data"
    sheet.append(["id", "status", "cost"])
    sheet.append([1, "ok", 2.5])
    source = CacheSource(type="worksheet", worksheetSource=WorksheetSource(ref="A1:C2", sheet="Data"))
    cache = CacheDefinition(
        cacheSource=source, cacheFields=[CacheField(name=n, sharedItems=SharedItems()) for n in "abc"]
    )
    place = Location(ref="A3:C20", firstHeaderRow=1, firstDataRow=2, firstDataCol=1)
    pivot = TableDefinition(name="p", cacheId=1, dataCaption="Values", location=place,
                            pivotFields=[PivotField() for _ in "abc"])  # fmt: skip
    pivot.cache = cache
    book.create_sheet("Pivot").add_pivot(pivot)
    book.save(tmp_path / "pivot.xlsx")
    artifact = filled(costs(7), tmp_path, {"file": str(tmp_path / "pivot.xlsx"), "sheet": "Data"})
    made = next(
        data for name, data in parts(artifact.path).items() if "pivotCacheDefinition" in name and b"ref=" in data
    )
    assert b'refreshOnLoad="1"' in made
    assert b'ref="A1:C8"' in made


def test_plain_cells_with_a_total_and_a_column_of_formulas(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
["Title"], [], ["id", "when", "double", "share"], [1, "x", "=A4*2", "=SUM(A$4:A4)"], [2, "y", "=A5*2", 0],
            ["=SUM(A4:A5)", "total"], [], ["=A6", "note"]]  # fmt: skip
    template = plain(tmp_path / "plain.xltx", rows, Other=[["=Data!A6", "=SUM(Data!A4:A5)", "=Data!A1"]])
    frame = pl.DataFrame({"id": [10, 20, None, 40], "when": [dt.date(2024, 1, n) for n in (1, 2, 3, 4)]})
    artifact = filled(frame, tmp_path, as_template(template))
    assert artifact.path.suffix == ".xlsx"
    assert b"spreadsheetml.sheet.main" in parts(artifact.path)["[Content_Types].xml"]
    book = openpyxl.load_workbook(artifact.path)
    assert [[cell.value for cell in row] for row in book["Data"]["A4:D11"]] == [
        [10, dt.datetime(2024, 1, 1), "=A4*2", "=SUM(A$4:A4)"],
        [20, dt.datetime(2024, 1, 2), "=A5*2", "=SUM(A$4:A5)"],
        [None, dt.datetime(2024, 1, 3), "=A6*2", "=SUM(A$4:A6)"],
        [40, dt.datetime(2024, 1, 4), "=A7*2", "=SUM(A$4:A7)"],
        ["=SUM(A4:A7)", "total", None, None],
        [None] * 4,
        ["=A8", "note", None, None],
        [None] * 4,
    ][: 8]  # fmt: skip
    assert [cell.value for cell in book["Other"][1]] == ["=Data!A8", "=SUM(Data!A4:A7)", "=Data!A1"]
    assert book["Data"]["B5"].number_format == "yyyy-mm-dd"  # the sample's cell would show a number


def as_template(path: Path) -> str:
    """Turn a workbook into a template of Excel."""
    made = parts(path)
    with zipfile.ZipFile(path, "w") as package:
        for name, data in made.items():
            package.writestr(name, data.replace(b"spreadsheetml.sheet.main", b"spreadsheetml.template.main"))
    return str(path)


def test_formulas_that_cells_share_become_their_own_where_rows_move(tmp_path: Path) -> None:
    template = plain(
        tmp_path / "t.xlsx", [["a", "b", "c", "d"], [1, 2, "=A2", "=B2"], ["=A2", "=B2", "=C2"]],
        Other=[["=Data!A2", "=Data!B2"], ["=A1", "=B1"]],
    )  # fmt: skip
    made = parts(template)
    shared = {
        "xl/worksheets/sheet1.xml": {
            b"A3": b'<f t="shared" ref="A3:C3" si="0">SUM(A$2:A2)</f>', b"B3": b'<f t="shared" si="0"/>',
            b"C3": b'<f t="shared" si="0"/>', b"C2": b'<f t="shared" ref="C2:D2" si="1">A2*10</f>',
            b"D2": b'<f t="shared" si="1"/>',
        },
        "xl/worksheets/sheet2.xml": {
            b"A1": b'<f t="shared" ref="A1:B1" si="0">SUM(Data!A2:A2)</f>', b"B1": b'<f t="shared" si="0"/>',
            b"A2": b'<f t="shared" ref="A2:B2" si="1">A1+1</f>', b"B2": b'<f t="shared" si="1"/>',
        },
    }  # fmt: skip
    with zipfile.ZipFile(template, "w") as package:
        for name, data in made.items():
            for cell, formula in shared.get(name, {}).items():
                data = re.sub(rb"(<c r=\"%b\"[^>]*>)<f>.*?</f>" % cell, rb"\g<1>" + formula, data)
            package.writestr(name, data)
    artifact = filled(
        pl.DataFrame({"b": [1, 2, 3], "a": [4, 5, 6]}), tmp_path, {"file": str(template), "sheet": "Data"}
    )
    book = openpyxl.load_workbook(artifact.path)
    assert [[cell.value for cell in row] for row in book["Data"]["A2:D5"]] == [
        [4, 1, "=A2*10", "=B2*10"], [5, 2, "=A3*10", "=B3*10"], [6, 3, "=A4*10", "=B4*10"],
        ["=SUM(A$2:A4)", "=SUM(B$2:B4)", "=SUM(C$2:C4)", None],
    ]  # fmt: skip
    assert [[cell.value for cell in row] for row in book["Other"]["A1:B2"]] == [
        ["=SUM(Data!A2:A4)", "=SUM(Data!B2:B4)"], ["=A1+1", "=B1+1"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("formula", "rows", "expected"),
    [
        ("SUM(A5:A6)+A7+A4", 10, "SUM(A5:A14)+A15+A4"),
        ("SUM($A$1:B$6)", 1, "SUM($A$1:B$5)"),
        ("A6", 1, "#REF!"),
        ('"A5:A6"&Other!A9', 10, '"A5:A6"&Other!A9'),
        ("'data'!A7:A9", 4, "'data'!A9:A11"),
        ("SUM(A:A,5:6)", 4, "SUM(A:A,5:8)"),
        ("[1]Data!A7", 4, "[1]Data!A7"),
    ],
)
def test_formulas_follow_the_rows(formula: str, rows: int, expected: str) -> None:
    assert Shift("Data", ["Data", "Other"], 5, 6, rows).formula(formula, local=True) == expected
