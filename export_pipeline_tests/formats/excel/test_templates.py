"""Rows go into templates; everything else of them is there afterwards, and refers to the rows."""

from __future__ import annotations

import datetime as dt
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from python_calamine import CalamineWorkbook

from export_pipeline.errors import ConfigError, FormatError, VerificationError
from export_pipeline.formats import About
from export_pipeline.formats.excel import Excel
from export_pipeline.formats.excel.reader import filled as reader
from export_pipeline.formats.excel.template import filling
from export_pipeline.formats.excel.template.references import Shift
from export_pipeline.verification import verify
from export_pipeline_tests.formats.excel.templates import MACROS, filled, parts, plain, rich

pytestmark = pytest.mark.filterwarnings("ignore:.*extension is not supported:UserWarning")
TOUCHED = {
    "xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml", "xl/workbook.xml", "xl/charts/chart1.xml",
    "xl/charts/chart2.xml", "xl/charts/chart3.xml", "xl/drawings/drawing1.xml", "xl/drawings/vmlDrawing1.vml",
    "xl/comments1.xml", "xl/tables/table1.xml",
}  # fmt: skip
"""Parts of the rich template that refer to the rows or to what is below them."""


def costs(rows: int) -> pl.DataFrame:
    """Return rows whose columns stand in another order than in the template."""
    n = pl.int_range(rows, eager=True)
    return pl.DataFrame({"cost": n * 0.5, "id": n, "status": pl.Series(["ok"] * rows, dtype=pl.String)})


def cells(path: Path, sheet: str = "Data") -> list[list[Any]]:
    return CalamineWorkbook.from_path(str(path)).get_sheet_by_name(sheet).to_python(skip_empty_area=False)


@pytest.mark.parametrize("rows", [0, 1, 3, 100_000])
def test_a_workbook_with_macros_keeps_everything_and_refers_to_the_rows(rows: int, tmp_path: Path) -> None:
    template = rich(tmp_path / "report.xlsm", macros=True)
    artifact = filled(costs(rows), tmp_path, str(template))
    assert artifact.path.suffix == ".xlsm"
    assert artifact.media_type == "application/vnd.ms-excel.sheet.macroEnabled.12"
    old, new = parts(template), parts(artifact.path)
    assert new["xl/vbaProject.bin"] == MACROS.read_bytes()
    assert set(new) == set(old)
    changed = {name for name in new if new[name] != old[name]}
    assert changed == (TOUCHED if rows != 3 else changed & TOUCHED)
    for name in set(new) - TOUCHED:
        assert packed(artifact.path, name) == packed(template, name)
    last = 4 + max(rows, 1)
    text = {name: data.decode("utf-8", "replace") for name, data in new.items()}
    assert f'ref="B4:E{last + 1}"' in text["xl/tables/table1.xml"]
    assert f"<c:f>Data!$D$5:$D${last}</c:f>" in text["xl/charts/chart3.xml"] or rows < 2
    assert "<c:numCache>" not in text["xl/charts/chart3.xml"]
    assert f"Data!D5:D{last}" in text["xl/worksheets/sheet2.xml"]  # formula and sparkline
    assert 'fullCalcOnLoad="1"' in text["xl/workbook.xml"]
    data = cells(artifact.path)
    assert [row[1:4] for row in data[4 : 4 + rows]] == [
        list(row) for row in costs(rows).select("id", "status", "cost").rows()
    ]
    assert [data[last + n][1] for n in (0, 2)] == ["Total", "The note below"]


def packed(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as package:
        entry = package.getinfo(name)
    raw = path.read_bytes()
    begin = entry.header_offset + 30 + sum(raw[entry.header_offset + n] + 256 * raw[entry.header_offset + n + 1]
                                          for n in (26, 28))  # fmt: skip
    return raw[begin : begin + entry.compress_size]


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


def test_a_place_by_start_by_position_with_the_header_written(tmp_path: Path) -> None:
    template = plain(tmp_path / "t.xlsx", [["Report"], [None], [None, "old"], [None, 1]])
    option = {"file": str(template), "start": "B4", "header": "write"}
    artifact = filled(pl.DataFrame({"a": [1, 2], "b": ["x", None]}), tmp_path, option)
    assert cells(artifact.path) == [["Report", "", ""], ["", "", ""], ["", "a", "b"], ["", 1.0, "x"], ["", 2.0, ""]]
    again = filled(
        pl.DataFrame({"a": [5]}), tmp_path, {"file": str(artifact.path), "start": "B4", "columns": "position"}
    )
    assert cells(again.path)[3:] == [["", 5.0, ""]]  # a filled workbook is a template, too


def test_a_defined_name_says_the_place(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "My 'own' sheet"
    for row in (["x", "id", "n"], [0, 1, 2], [0, 3, 4], ["below"]):
        book.active.append(row)
    book.defined_names["place"] = openpyxl.workbook.defined_name.DefinedName(
        "place", attr_text="'My ''own'' sheet'!$B$1:$C$3"
    )
    book.active["A2"] = book.active["A3"] = None
    book.save(tmp_path / "t.xlsx")
    artifact = filled(
        pl.DataFrame({"n": [7], "id": [8]}), tmp_path, {"file": str(tmp_path / "t.xlsx"), "sheet": "place"}
    )
    assert cells(artifact.path, "My 'own' sheet") == [["x", "id", "n"], ["", 8.0, 7.0], ["below", "", ""]]


@pytest.mark.parametrize("size", [1, 300, 1 << 14])
def test_verification_reads_pieces_of_any_size(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "READ", size)
    nulls = costs(300).select(pl.when(pl.col("id") % 7 > 3).then(pl.all()))
    filled(nulls, tmp_path, str(rich(tmp_path / "report.xlsx")))


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    template = str(rich(tmp_path / "report.xlsx"))
    first = filled(costs(20_000), tmp_path, template).sha256
    assert filled(costs(20_000), tmp_path, template).sha256 == first


def test_more_rows_than_the_sheet_holds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "MAX_ROWS", 20)
    template = str(rich(tmp_path / "report.xlsx"))  # 16 rows from row 5 on, 5 of them moved down
    filled(costs(11), tmp_path, template)
    with pytest.raises(FormatError, match="has room for 11 rows"):
        filled(costs(12), tmp_path, template)


@pytest.mark.parametrize(
    ("rows", "option", "message"),
    [
        ([["id"], [1]], {}, "no header for the column 'cost'"),
        ([["x"], [1]], {}, "has no header row with"),
        ([["id", "cost", "id"]], {}, "two headers for the column 'id'"),
        ([["id", "cost"], [1, 2, None, "beside"]], {}, "D2 of the sheet 'Data' stands beside"),
        ([["id", "cost", "x"], [1, 2, "=C1+1"]], {}, "refers to another row"),
        ([["id", "cost", "x"], [1, 2, "=A2/SUM($A$2:$A$2)"]], {}, "ends where nobody knows"),
        ([["id", "cost"]], {"sheet": "Dat"}, "did you mean 'Data'"),
        ([["id", "cost"]], {"header": "write"}, "needs to know where"),
    ],
)
def test_what_has_no_place_is_refused_before_any_row(
    rows: list[list[Any]], option: dict[str, str], message: str, tmp_path: Path
) -> None:
    form = Excel(template={"file": str(plain(tmp_path / "t.xlsx", rows)), **option})
    with pytest.raises(ConfigError, match=re.escape(message)):
        form.ready(pl.Schema({"id": pl.Int64(), "cost": pl.Float64()}), About())


def test_what_is_no_template_is_refused(tmp_path: Path) -> None:
    good = plain(tmp_path / "good.xlsx", [["id"]])
    made = parts(good)
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in made.items():
            package.writestr(name, data)
        package.writestr("xl/bomb.bin", bytes(300_000_001))
    with zipfile.ZipFile(tmp_path / "entities.xlsx", "w") as package:
        for name, data in made.items():
            package.writestr(name, data.replace(b"<worksheet", b'<!DOCTYPE a [<!ENTITY b "c">]><worksheet'))
    (tmp_path / "secret.xlsx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    (tmp_path / "text.xlsx").write_text("id")
    (tmp_path / "half.xlsx").write_bytes(good.read_bytes()[:-100])
    (tmp_path / "macro.xlsm").write_bytes(good.read_bytes())
    for name, message in {
        "none.xlsx": "cannot be read: No such file", "bomb.xlsx": "has 300,", "secret.xlsx": "is encrypted",
        "text.xlsx": "is no workbook", "half.xlsx": "is no workbook", "macro.xlsm": "Name it macro.xlsx",
        "entities.xlsx": "declares a document type",
    }.items():  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            Excel(template={"file": name}).ready(pl.Schema({"id": pl.Int64()}), About(folder=tmp_path))
    with pytest.raises(ConfigError, match="outside of the folders"):
        Excel(template={"file": "../good.xlsx"}).ready(
            pl.Schema({"id": pl.Int64()}), About(folder=tmp_path / "a", roots=(tmp_path / "a",))
        )
    with pytest.raises(
        ConfigError, match=f"looked for at {tmp_path}/a/good.xlsx; relative names begin in {tmp_path}/a"
    ):
        Excel(template="good.xlsx").ready(pl.Schema({"id": pl.Int64()}), About(folder=tmp_path / "a"))
    Excel(template="good.xlsx").ready(pl.Schema({"id": pl.Int64()}), About(folder=tmp_path))


@pytest.mark.parametrize("option", [{"zoom": 50}, {"sheet_name": "x"}, {"table": "none"}, {"totals": {"id": "sum"}}])
def test_options_of_a_new_workbook_contradict_a_template(option: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(option))} is of a new workbook"):
        Excel(template={"file": "t.xlsx"}, **option)


@pytest.mark.parametrize("wrong", ["value", "place", "address", "moved", "header"])
def test_verification_sees_damage(wrong: str, tmp_path: Path) -> None:
    artifact = filled(costs(50), tmp_path, str(rich(tmp_path / "report.xlsx")))
    made = parts(artifact.path)
    damage = {
        "value": ("xl/worksheets/sheet1.xml", b"<v>24.5</v>", b"<v>24.6</v>"),
        "place": ("xl/workbook.xml", b"$E$54</definedName>", b"$E$53</definedName>"),
        "address": ("xl/worksheets/sheet1.xml", b'<c r="B5">', b'<c r="B6">'),
        "moved": ("xl/worksheets/sheet1.xml", b'<row r="55"', b'<row r="54"'),
        "header": ("xl/tables/table1.xml", b'name="cost"', b'name="price"'),
    }[wrong]
    name, old, new = damage
    assert old in made[name]
    with zipfile.ZipFile(artifact.path, "w", zipfile.ZIP_DEFLATED) as package:
        for part, data in made.items():
            package.writestr(part, data.replace(old, new, 1) if part == name else data)
    with pytest.raises(VerificationError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        verify(artifact, Excel(template={"file": str(tmp_path / "report.xlsx")}))


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
