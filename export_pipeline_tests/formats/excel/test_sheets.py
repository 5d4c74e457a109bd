"""Sheets: their look, their limits, and the same bytes for the same rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.errors import ConfigError, FormatError
from export_pipeline.formats.about import About
from export_pipeline.formats.excel import MAX_ROWS, Excel
from export_pipeline.formats.excel.names import headers, letters, numbered
from export_pipeline_tests.formats.excel.written import by_openpyxl, capped, part, sheet, written

FRAME = pl.DataFrame({"id": range(25), "name": [f"n{i}" for i in range(25)]})


def page(path: Path, number: int = 0) -> Any:
    return openpyxl.load_workbook(path).worksheets[number]


def test_the_good_defaults(tmp_path: Path) -> None:
    sheet = page(written(FRAME, tmp_path).path)
    table = sheet.tables["Table1"]
    assert (sheet.title, sheet.freeze_panes, table.ref, table.autoFilter.ref) == ("Data", "A2", "A1:B26", "A1:B26")
    assert table.tableStyleInfo.name == "TableStyleMedium2"
    assert table.tableStyleInfo.showRowStripes
    header = sheet["A1"]
    assert (header.font.b, header.font.color.rgb, header.fill.fgColor.rgb) == (True, "00FFFFFF", "001F4E78")
    assert [c.name for c in table.tableColumns] == ["id", "name"] == [c.value for c in sheet[1]]
    assert sheet.column_dimensions["B"].width >= 8


def test_without_table_there_is_a_plain_filter_and_a_rule_for_stripes(tmp_path: Path) -> None:
    path = written(FRAME, tmp_path, Excel(table="none")).path
    sheet = page(path)
    assert not sheet.tables
    assert sheet.auto_filter.ref == "A1:B26"
    (rule,) = sheet.conditional_formatting
    assert str(rule.sqref) == "A2:B26"
    assert "_xlnm._FilterDatabase" in part(path, "xl/workbook.xml")


def test_every_look_can_be_turned_off(tmp_path: Path) -> None:
    form = Excel(table="none", autofilter=False, alternating_rows=False, freeze_panes=False, header=False)
    path = written(FRAME, tmp_path, form).path
    sheet = page(path)
    assert not sheet.tables
    assert sheet.auto_filter.ref is None
    assert sheet.freeze_panes is None
    assert [c.value for c in sheet[1]] == [0, "n0"]
    assert len(list(sheet.iter_rows())) == 25


def test_the_table_alone_without_filter_and_stripes(tmp_path: Path) -> None:
    table = page(written(FRAME, tmp_path, Excel(autofilter=False, alternating_rows=False)).path).tables["Table1"]
    assert table.autoFilter is None
    assert not table.tableStyleInfo.showRowStripes


def test_header_style_formats_and_widths_as_asked(tmp_path: Path) -> None:
    form = Excel.model_validate(
        {
            "headerStyle": {
                "bold": False, "italic": True, "color": "#ff0000", "fill": None, "size": 14, "align": "center",
            },
            "numberFormats": {"integer": "#,##0"},
            "columnFormats": {"share": "0.0%"},
            "columnWidths": {"id": 33},
            "freezePanes": "B2",
            "sheetName": "Numbers",
        }
    )  # fmt: skip
    sheet = page(written(pl.DataFrame({"id": [1], "share": [0.5]}), tmp_path, form).path)
    header = sheet["A1"]
    assert (header.font.i, header.font.b, header.font.sz, header.font.color.rgb) == (True, False, 14, "00FF0000")
    assert header.alignment.horizontal == "center"
    assert (sheet["A2"].number_format, sheet["B2"].number_format) == ("#,##0", "0.0%")
    assert (sheet.title, sheet.freeze_panes, sheet.column_dimensions["A"].width) == ("Numbers", "B2", 33)


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 18, 19, 25])
@pytest.mark.parametrize("table", ["none", "TableStyleLight1"])
def test_rows_go_on_in_further_sheets(rows: int, table: str, tmp_path: Path) -> None:
    form = capped(10, table=table)
    path = written(FRAME.head(rows), tmp_path, form).path
    book = openpyxl.load_workbook(path)
    sheets = max(1, -(-rows // 9))
    assert book.sheetnames == ["Data", "Data (2)", "Data (3)"][:sheets]
    assert [list(r) for r in FRAME.head(rows).iter_rows()] == [[int(a), b] for a, b in by_openpyxl(path) if b]
    for n, one in enumerate(book.worksheets):
        here = min(9, rows - 9 * n)
        assert [cell.value for cell in one[1]] == ["id", "name"]
        assert one.freeze_panes == "A2"
        if table != "none":
            (found,) = one.tables.values()
            assert (found.displayName, found.ref) == (f"Table{n + 1}", f"A1:B{max(here, 1) + 1}")
        else:
            assert one.auto_filter.ref == f"A1:B{max(here, 1) + 1}"
    assert sum('tabSelected="1"' in sheet(path, n + 1) for n in range(sheets)) <= 1


def test_a_sheet_takes_as_many_rows_as_excel_has(tmp_path: Path) -> None:
    assert MAX_ROWS == 1_048_576
    rows = pl.LazyFrame({"a": [1]}).select(pl.int_range(0, MAX_ROWS + 5, dtype=pl.Int32).alias("a"))
    artifact = written(rows, tmp_path, Excel(compact=True))
    assert artifact.rows == MAX_ROWS + 5
    assert 'ref="A1:A1048576"' in part(artifact.path, "xl/tables/table1.xml")
    assert 'ref="A1:A7"' in part(artifact.path, "xl/tables/table2.xml")


def test_the_same_rows_make_the_same_bytes_whatever_the_batches(tmp_path: Path) -> None:
    n = 30_000
    whole = pl.DataFrame({"n": range(n)}).select(
        "n",
        pl.when(pl.col("n") % 5 > 0).then(pl.format(" t{}", pl.col("n") % 999)).alias("t"),
        (pl.col("n") / 3).alias("f"),
    )
    whole.write_parquet(tmp_path / "a.parquet", row_group_size=1_000)
    whole.write_parquet(tmp_path / "b.parquet", row_group_size=17_777)
    sources = [whole.lazy(), pl.scan_parquet(tmp_path / "a.parquet"), pl.scan_parquet(tmp_path / "b.parquet")]
    sources.append(pl.concat([whole.slice(i, 777) for i in range(0, n, 777)], rechunk=False).lazy())
    form = capped(12_345)
    digests = {form.write(rows, tmp_path / f"{i}.xlsx").sha256 for i, rows in enumerate(sources)}
    assert len(digests) == 1


def test_no_clock_is_in_the_file(tmp_path: Path) -> None:
    path = written(FRAME, tmp_path).path
    assert "dcterms:created" not in part(path, "docProps/core.xml")
    about = About(name="report", logical_time="2026-01-02T03:04:05+01:00", filter="status is failed")
    Excel().write(FRAME.lazy(), path, about=about)
    core = openpyxl.load_workbook(path).properties
    assert core.title == "report"
    assert "status is failed" in core.description
    assert core.created.isoformat() == core.modified.isoformat() == "2026-01-02T02:04:05"


def test_columns_that_are_equal_but_for_case_get_headers_of_their_own(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": [1], "ID": [2], "": [3], "a\nb": [4], "Id (2)": [5]})
    artifact = written(frame, tmp_path)
    assert [c.value for c in page(artifact.path)[1]] == ["id", "ID (3)", "Column3", "a b", "Id (2)"]
    assert {loss.column for loss in artifact.losses if "header" in loss.why} == {"ID", "", "a\nb"}
    loose = written(frame, tmp_path, Excel(table="none"))
    assert {loss.column for loss in loose.losses if "header" in loss.why} == {"a\nb"}


def test_headers_are_unique_and_fit() -> None:
    made = headers(["x" * 300, "x" * 300 + "y", "X" * 255, "é", "É"], table=True)
    assert len({text.casefold() for text in made}) == 5
    assert max(map(len, made)) <= 255


def test_a_wide_table(tmp_path: Path) -> None:
    wide = pl.DataFrame({f"c{n}": [n, None, n] for n in range(800)})
    assert 'r="ADT2"' in sheet(written(wide, tmp_path).path)


@pytest.mark.slow
def test_the_widest_table(tmp_path: Path) -> None:
    wide = pl.DataFrame({f"c{n}": [n, None, n] for n in range(16_384)})
    assert 'r="XFD2"' in sheet(written(wide, tmp_path).path)


def test_too_wide_a_table_is_refused_before_anything_is_read() -> None:
    with pytest.raises(FormatError, match=r"16,385 columns; a sheet has 16,384"):
        Excel().check(pl.Schema({f"c{n}": pl.Int8() for n in range(16_385)}))


def test_compact_leaves_out_addresses_and_reads_the_same(tmp_path: Path) -> None:
    frame = FRAME.with_columns(x=pl.when(pl.col("id") % 2 == 0).then("id"))
    full, compact = written(frame, tmp_path).path.read_bytes(), written(frame, tmp_path, Excel(compact=True)).path
    assert not re.search(r'<c [^>]*r="A[2-9]', sheet(compact))
    rows = by_openpyxl(compact)
    (tmp_path / "full.xlsx").write_bytes(full)
    assert rows == by_openpyxl(tmp_path / "full.xlsx")


@pytest.mark.parametrize(
    "name",
    ["", "   ", "x" * 32, "a[b", "a]b", "a:b", "a*b", "a?b", "a/b", "a\\b", "'a", "a'", "History", "a\nb", "😀" * 16],
)
def test_names_that_excel_refuses(name: str) -> None:
    with pytest.raises(ValidationError):
        Excel(sheet_name=name)


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("table", "TableStyleMedium29", "Medium1 to 28"),
        ("header_style", {"fill": "red"}, "1F4E78"),
        ("number_formats", {"date": ""}, "yyyy-mm-dd"),
        ("freeze_panes", "2B", "B2"),
        ("freeze_panes", "XFE1", "B2"),
        ("column_widths", 0, "greater than 0"),
        ("non_finite", "nan", "empty"),
    ],
)
def test_options_that_cannot_work_are_refused(option: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Excel.model_validate({option: value})


@pytest.mark.parametrize("option", [{"table": "TableStyleDark1"}, {"autofilter": True}, {"header_style": {}}])
def test_what_needs_a_header_is_refused_without(option: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="needs the header"):
        Excel.model_validate({"header": False, **option})


def test_without_header_there_is_neither_table_nor_filter(tmp_path: Path) -> None:
    sheet = page(written(FRAME, tmp_path, Excel(header=False)).path)
    assert not sheet.tables
    assert sheet.auto_filter.ref is None
    assert sheet.max_row == 25


@pytest.mark.parametrize("option", ["column_formats", "column_widths"])
def test_unknown_columns_are_refused_by_name(option: str) -> None:
    form = Excel.model_validate({option: {"nam": 5 if option == "column_widths" else "0"}})
    with pytest.raises(ConfigError, match=r"'nam'; did you mean 'name'"):
        form.check(FRAME.schema)


def test_names_of_sheets_that_go_on_fit() -> None:
    assert numbered("x" * 31, 12) == "x" * 26 + " (12)"
    assert numbered("😀" * 15, 2) == "😀" * 13 + " (2)"


@pytest.mark.parametrize(("n", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA"), (16_383, "XFD")])
def test_letters_of_columns(n: int, name: str) -> None:
    assert letters(n) == name


def test_the_model_survives_its_dump() -> None:
    form = Excel(sheet_name="X", column_widths={"a": 5.0}, column_formats={"a": "0.0"}, table="none")
    assert Excel.model_validate(form.dump()) == form
    assert Excel.model_validate({"table": None}).table == Excel.model_validate({"table": False}).table == "none"
