"""Templates that are refused: no place for the rows, no workbook, options that contradict it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter

from export_pipeline.errors import ConfigError, FormatError
from export_pipeline.formats import About
from export_pipeline.formats.excel import Excel
from export_pipeline.formats.excel.template import filling
from export_pipeline_tests.formats.excel.template.books import costs, filled, parts, plain, rich

pytestmark = pytest.mark.filterwarnings("ignore:.*extension is not supported:UserWarning")


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


def test_a_header_that_is_a_formula_is_refused_where_it_has_the_name_of_a_column(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(str(tmp_path / "t.xlsx"))
    sheet = book.add_worksheet("Data")
    sheet.write_formula("A1", '="i"&"d"', None, "id")
    sheet.write_formula("B1", '="b"&"eside"', None, "beside")
    book.close()
    frame, option = pl.DataFrame({"id": [7]}), {"file": str(tmp_path / "t.xlsx")}
    with pytest.raises(ConfigError, match="the header in A1 is a formula"):
        Excel(template=option).ready(frame.schema, About())
    filled(frame, tmp_path, option | {"columns": "position"})


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
