"""Templates for tests, as people make them: by XlsxWriter, with whatever openpyxl would lose."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import xlsxwriter
from python_calamine import CalamineWorkbook

from export_pipeline.formats.excel import Excel
from export_pipeline.verification import Artifact, verify
from export_pipeline_tests.formats.excel.pictures import png

MACROS = Path(__file__).parent / "macros" / "vbaProject.bin"


def rich(path: Path, *, macros: bool = False) -> Path:
    """Make a report: a table of three sample rows with a total on `Data`, everything else on `Summary`."""
    book = xlsxwriter.Workbook(str(path))
    if macros:
        book.add_vba_project(str(MACROS))
    data, summary = book.add_worksheet("Data"), book.add_worksheet("Summary")
    money, head = book.add_format({"num_format": "#,##0.00 €", "bg_color": "#FFF2CC"}), book.add_format({"bold": True})
    data.write("A1", "Report", head)
    data.write_formula("C1", "=SUM(D5:D7)", None, 999)
    for row in range(3):
        data.write_row(4 + row, 1, [row, "ok", 1.5 * row])
        data.write(4 + row, 3, 1.5 * row, money)
        data.write_formula(4 + row, 4, "=tblData[[#This Row],[cost]]*2", money, 7)
    data.add_table("B4:E8", {
        "name": "tblData", "total_row": True,
        "columns": [{"header": "id", "total_string": "Total"}, {"header": "status"},
                    {"header": "cost", "total_function": "sum", "format": money},
                    {"header": "double", "formula": "=tblData[[#This Row],[cost]]*2", "format": money}],
    })  # fmt: skip
    data.write("B10", "The note below")
    data.write_formula("C10", "=D8+SUM(D5:D7)", None, 999)
    data.merge_range("B12:D12", "merged below")
    data.conditional_format("D5:D7", {"type": "data_bar", "bar_solid": True})
    data.conditional_format("D5:D7", {"type": "formula", "criteria": "=$D5>$D$5", "format": head})
    data.data_validation("C5:C7", {"validate": "list", "source": ["ok", "failed"]})
    data.write_comment("B10", "a comment below")
    data.set_row(4, 22.5)
    data.print_area("B1:E10")
    data.freeze_panes(4, 0)
    below = book.add_chart({"type": "pie"})
    below.add_series({"values": "=Data!$D$5:$D$7", "categories": "=Data!$C$5:$C$7"})
    data.insert_chart("B14", below)
    beside = book.add_chart({"type": "line"})
    beside.add_series({"values": "=Data!$D$5:$D$7"})
    data.insert_chart("H14", beside)
    summary.write_formula("A1", "=SUM(Data!D5:D7)", None, 999)
    summary.write_formula("A2", "=Data!C10", None, 999)
    summary.write_formula("A3", '=COUNTIF(Data!$C$5:$C$7,"ok")&" of D5:D7"', None, "x")
    summary.write_formula("A4", "=D5", None, 1)
    summary.write_comment("A1", "note")
    summary.insert_image("G20", "r.png", {"image_data": io.BytesIO(png(20, 20))})
    chart = book.add_chart({"type": "column"})
    chart.add_series({"name": "=Data!$D$4", "categories": "=Data!$C$5:$C$7", "values": "=Data!$D$5:$D$7",
                      "trendline": {"type": "linear"}})  # fmt: skip
    summary.insert_chart("B6", chart)
    summary.add_sparkline("A5", {"range": "Data!D5:D7"})
    summary.insert_textbox("H1", "hello box")
    summary.insert_button("K1", {"caption": "Go", "macro": "say_hello"})
    book.define_name("Costs", "=Data!$D$5:$D$7")
    book.define_name("Rate", "=0.2")
    book.set_custom_property("build", "1")
    book.add_worksheet("Hidden").hide()
    book.close()
    return path


def plain(path: Path, rows: list[list[Any]], **others: list[list[Any]]) -> Path:
    """Make a workbook of a sheet `Data`, and others, with these cells; a text with = is a formula."""
    book = xlsxwriter.Workbook(str(path))
    for name, cells in {"Data": rows, **others}.items():
        sheet = book.add_worksheet(name)
        for number, row in enumerate(cells):
            sheet.write_row(number, 0, row)
    book.close()
    return path


def filled(frame: pl.DataFrame, folder: Path, template: Any, **options: Any) -> Artifact:
    """Fill a template and verify the workbook."""
    form = Excel(template={"file": template} if isinstance(template, str) else template, **options)
    artifact = form.write(frame.lazy(), folder / f"filled{form.suffix}")
    verify(artifact, form)
    return artifact


def parts(path: Path) -> dict[str, bytes]:
    """Return all parts of a package."""
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        return {name: package.read(name) for name in package.namelist()}


def costs(rows: int) -> pl.DataFrame:
    """Return rows whose columns stand in another order than in the template."""
    n = pl.int_range(rows, eager=True)
    return pl.DataFrame({"cost": n * 0.5, "id": n, "status": pl.Series(["ok"] * rows, dtype=pl.String)})


def cells(path: Path, sheet: str = "Data") -> list[list[Any]]:
    return CalamineWorkbook.from_path(str(path)).get_sheet_by_name(sheet).to_python(skip_empty_area=False)
