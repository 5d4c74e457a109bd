"""Rows go into templates; everything else of them is there afterwards, and refers to the rows."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from export_pipeline.errors import VerificationError
from export_pipeline.formats.excel import Excel
from export_pipeline.formats.excel.reader import filled as reader
from export_pipeline.verification import verify
from export_pipeline_tests.formats.excel.template.books import MACROS, cells, costs, filled, parts, plain, rich

pytestmark = pytest.mark.filterwarnings("ignore:.*extension is not supported:UserWarning")
TOUCHED = {
    "xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml", "xl/workbook.xml", "xl/charts/chart1.xml",
    "xl/charts/chart2.xml", "xl/charts/chart3.xml", "xl/drawings/drawing1.xml", "xl/drawings/vmlDrawing1.vml",
    "xl/comments1.xml", "xl/tables/table1.xml",
}  # fmt: skip
"""Parts of the rich template that refer to the rows or to what is below them."""


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


def test_a_place_by_start_by_position_with_the_header_written(tmp_path: Path) -> None:
    template = plain(tmp_path / "t.xlsx", [["Report"], [None], [None, "old"], [None, 1]])
    option = {"file": str(template), "start": "B4", "header": "write"}
    artifact = filled(pl.DataFrame({"a": [1, 2], "b": ["x", None]}), tmp_path, option)
    assert cells(artifact.path) == [["Report", "", ""], ["", "", ""], ["", "a", "b"], ["", 1.0, "x"], ["", 2.0, ""]]
    again = filled(
        pl.DataFrame({"a": [5]}), tmp_path, {"file": str(artifact.path), "start": "B4", "columns": "position"}
    )
    assert cells(again.path)[3:] == [["", 5.0, ""]]  # a filled workbook is a template, too


@pytest.mark.parametrize("headers", [["ID", "Name"], ["ID ", "name"], ["id", "NAME"]])
def test_headers_in_other_case_are_those_of_the_columns(headers: list[str], tmp_path: Path) -> None:
    template = plain(tmp_path / "t.xlsx", [["Report"], headers, [1, "old"]])
    artifact = filled(pl.DataFrame({"name": ["x"], "id": [7]}), tmp_path, str(template))
    assert cells(artifact.path)[1:] == [headers, [7.0, "x"]]


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
