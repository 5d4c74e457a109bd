"""The parts of pivot tables: openpyxl reads them, and they agree with the cells."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path
from xml.etree import ElementTree as Tree

import openpyxl
import polars as pl
import pytest

from export_pipeline.errors import VerificationError
from export_pipeline.formats.excel import Excel
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.excel.office import asked, converted
from export_pipeline_tests.formats.excel.pivots.samples import FRAME, form, page, sql
from export_pipeline_tests.formats.excel.schema import complaints
from export_pipeline_tests.formats.excel.written import written


def test_openpyxl_reads_the_parts_and_they_agree_with_the_cells(tmp_path: Path) -> None:
    first = {
        "name": "One",
        "rows": ["status"],
        "columns": ["ok"],
        "values": [{"column": "cost", "number_format": "0.00"}],
    }
    second = {"name": "Two", "rows": ["day"], "values": ["price"], "style": "PivotStyleMedium9"}
    path = written(FRAME.head(900), tmp_path, form(first, second)).path
    book = openpyxl.load_workbook(path)
    (one,), (two,) = book["One"]._pivots, book["Two"]._pivots
    cache = one.cache
    assert (cache.refreshOnLoad, cache.saveData, cache.cacheSource.worksheetSource.name) == (True, False, "Table1")
    assert [field.name for field in cache.cacheFields] == FRAME.columns
    shared = {field.name: field.sharedItems for field in cache.cacheFields}
    assert [getattr(item, "v", None) for item in shared["status"]._fields] == ["s0", "s1", "s2", None]
    assert [getattr(item, "v", None) for item in shared["ok"]._fields] == [False, True, None]
    assert [item.v for item in shared["day"]._fields] == [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2)]
    assert (shared["cost"].containsBlank, shared["cost"].containsNumber, shared["cost"].containsInteger) == (
        True,
        True,
        None,
    )
    ((low, high),) = sql("select min(cost), max(cost) from frame", FRAME.head(900))
    assert (shared["cost"].minValue, shared["cost"].maxValue) == (low, high)
    assert (one.location.ref, one.location.firstDataRow, one.location.firstDataCol) == ("A1:E7", 2, 1)
    assert [[index.v for index in line.x] for line in one.rowItems] == [[0], [1], [2], [3], [0]]
    assert [line.t for line in one.colItems] == ["data", "data", "data", "grand"]
    assert [item.x for item in one.pivotFields[2].items] == [0, 1, 2, 3, None]
    (data,) = one.dataFields
    assert (data.name, data.fld, data.subtotal) == ("Sum of cost", 5, "sum")
    assert book["One"]["B3"].number_format == "0.00"
    assert (two.location.ref, two.pivotTableStyleInfo.name) == ("A1:B4", "PivotStyleMedium9")
    assert book["Two"]["A2"].number_format == "yyyy-mm-dd"


def test_without_a_table_the_cache_reads_the_cells(tmp_path: Path) -> None:
    table = {"name": "P", "rows": ["agent"], "values": ["id"]}
    path = written(FRAME.head(9), tmp_path, form(table, table="none", sheet_name="A & B", first_row=3)).path
    source = openpyxl.load_workbook(path)["P"]._pivots[0].cache.cacheSource.worksheetSource
    assert (source.ref, source.sheet, source.name) == ("A3:G12", "A & B", None)


def test_the_same_rows_make_the_same_bytes_whatever_the_batches(tmp_path: Path) -> None:
    table = {"name": "P", "rows": ["agent", "ok"], "columns": ["status"], "values": ["cost"]}
    first = written(FRAME, tmp_path, form(table)).sha256
    parts = pl.concat([part.lazy() for part in FRAME.iter_slices(1_711)])
    assert written(parts, tmp_path, form(table)).sha256 == written(FRAME, tmp_path, form(table)).sha256 == first


def test_charts_draw_the_cells_of_a_pivot_table(tmp_path: Path) -> None:
    table = {"name": "Cost", "rows": ["agent"], "columns": ["ok"], "values": ["cost", "price"], "at": "B3"}
    charts = [{"of": "cost", "values": ["sum of PRICE"]}, {"x": "id", "values": ["cost"]}]
    book = openpyxl.load_workbook(written(FRAME.head(900), tmp_path, form(table, charts=charts)).path)
    (chart,) = book["Cost"]._charts
    assert [series.val.numRef.f for series in chart.series] == [f"'Cost'!${at}$6:${at}$12" for at in "DFH"]
    assert {series.cat.numRef.f for series in chart.series} == {"'Cost'!$B$6:$B$12"}
    assert [series.tx.v for series in chart.series] == [f"{ok} - Sum of price" for ok in ("FALSE", "TRUE", "(blank)")]
    assert book["Cost"]["D5"].value == "Sum of price"
    assert chart.anchor._from.col > 9
    assert len(book["Data"]._charts) == 1


LEVELS: list[list[str | None]] = [
    ["s0", "agent-3"], [None, "agent-6"], ["s1", "agent-0"], [None, "agent-1"], [None, "agent-4"],
    ["s2", "agent-1"], [None, "agent-2"], ["(blank)", "agent-0"], [None, "agent-5"],
]  # fmt: skip


def deep(folder: Path) -> Path:
    """Return a workbook with a pivot table of two columns of rows, and two charts of it."""
    table = {
        "name": "Deep", "rows": ["status", "agent"], "columns": ["day"], "values": ["id"], "layout": "tabular",
        "subtotals": False, "row_totals": False,
    }  # fmt: skip
    charts = [{"of": "Deep"}, {"of": "Deep", "kind": "line"}]
    return written(FRAME.head(9), folder, form(table, charts=charts)).path


def test_charts_draw_several_columns_of_rows_as_levels(tmp_path: Path) -> None:
    path = deep(tmp_path)
    assert complaints(path) == []
    chart, line = openpyxl.load_workbook(path)["Deep"]._charts
    assert [series.val.numRef.f for series in chart.series] == ["'Deep'!$C$3:$C$11", "'Deep'!$D$3:$D$11"]
    assert {series.cat.multiLvlStrRef.f for one in (chart, line) for series in one.series} == {"'Deep'!$A$3:$B$11"}
    assert chart.x_axis.noMultiLvlLbl is False
    rows = page(path, "Deep")[2:11]
    assert [row[:2] for row in rows] == LEVELS
    query = """
        select sum(id) filter (day = '2024-01-01'), sum(id) filter (day = '2024-01-02') from frame
        group by status, agent order by status nulls last, agent
    """
    assert [tuple(row[2:]) for row in rows] == sql(query, FRAME.head(9))


@asked
def test_libreoffice_draws_the_levels(tmp_path: Path) -> None:
    with zipfile.ZipFile(converted(deep(tmp_path), "ods") / "file.ods") as package:
        drawing = Tree.fromstring(package.read("Object 1/content.xml"))
    text = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
    levels = [["".join(item.itertext()) for item in each.iter(f"{text}p")] for each in drawing.iter(f"{text}list")]
    assert levels == [[(label or "").replace("(blank)", "(empty)") for label in each] for each in LEVELS]


def test_the_verifier_misses_a_sheet_that_is_gone(tmp_path: Path) -> None:
    artifact = written(FRAME.head(5), tmp_path, form({"name": "P", "rows": ["agent"], "values": ["id"]}))
    claimed = form({"name": "Q", "rows": ["agent"], "values": ["id"]})
    with pytest.raises(VerificationError, match="'q' is missing"):
        verify(artifact, claimed)


def test_names_of_columns_become_fields(tmp_path: Path) -> None:
    frame = pl.DataFrame({name: [n, n + 1] for n, name in enumerate(nasty.NAMES)})
    table = {"name": "P", "rows": [nasty.NAMES[0]], "columns": ['q"x'], "values": ["line\nend", "=1"]}
    made = form(table)
    path = written(frame, tmp_path, made).path
    book = openpyxl.load_workbook(path)
    fields = [field.name for field in book["P"]._pivots[0].cache.cacheFields]
    assert fields == [cell.value for cell in book["Data"][1]]
    assert book["P"]["A3"].value == "Column1"
    assert Excel.model_validate(made.dump()) == made
