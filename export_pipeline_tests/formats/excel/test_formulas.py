"""Formulas come from the config alone; totals have the results that Excel would compute."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from export_pipeline.errors import ConfigError, VerificationError
from export_pipeline.formats.excel import Excel
from export_pipeline.verification import verify
from export_pipeline_tests.formats.excel.written import capped, part, sheet, written

FRAME = pl.DataFrame({"price": [1.5, 2.0, None], "count": [2, 3, 4], "text": ["=1+1", None, "<&>"]})


def formulas(*given: dict[str, Any], **options: Any) -> Excel:
    return Excel.model_validate({"formulas": list(given), **options})


def cells(path: Path, *, values: bool = False) -> list[list[Any]]:
    page = openpyxl.load_workbook(path, data_only=values).worksheets[0]
    return [[cell.value for cell in row] for row in page.iter_rows()]


def test_a_new_column_has_a_formula_in_each_row(tmp_path: Path) -> None:
    form = formulas({"column": "gross & net", "formula": '={price}*{count}&"<"&{row}', "number_format": "0.00"})
    path = written(FRAME, tmp_path, form).path
    rows = cells(path)
    assert rows[0] == ["price", "count", "text", "gross & net"]
    assert [row[3] for row in rows[1:]] == [f'=A{n}*B{n}&"<"&{n}' for n in (2, 3, 4)]
    assert [row[2] for row in rows[1:]] == ["=1+1", None, "<&>"]
    assert sheet(path).count("<f>") == 3  # none of the data's
    page = openpyxl.load_workbook(path).active
    assert (page["D2"].number_format, page.tables["Table1"].ref) == ("0.00", "A1:D4")
    assert 'fullCalcOnLoad="1"' in part(path, "xl/workbook.xml")


def test_a_column_of_the_data_keeps_its_values_as_results(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "n": [1, 2**60, None],
            "text": ["a<b", None, " c "],
            "yes": [True, None, False],
            "day": [dt.date(2024, 1, 1), dt.date(1850, 1, 1), None],
            "exact": [Decimal("1.25"), None, Decimal("12345678901234567.25")],
            "float": [0.1, float("inf"), None],
        }
    )
    form = formulas(*({"column": name, "formula": "={n}+{row}"} for name in frame.columns if name != "n"))
    path = written(frame, tmp_path, form).path
    assert [row[1] for row in cells(path)[1:]] == ["=A2+2", "=A3+3", "=A4+4"]
    read = cells(path, values=True)[1:]
    assert read[0] == [1, "a<b", True, dt.datetime(2024, 1, 1), 1.25, 0.1]
    assert read[1] == [str(2**60), None, None, "1850-01-01", None, None]
    assert read[2] == [None, " c ", False, None, "12345678901234567.25", None]


def test_a_formula_that_is_not_the_asked_one_is_found(tmp_path: Path) -> None:
    form = formulas({"column": "more", "formula": "={count}+1"})
    artifact = form.write(FRAME.lazy(), tmp_path / "file.xlsx")
    other = formulas({"column": "more", "formula": "={count}+2"})
    with pytest.raises(VerificationError, match="formula"):
        verify(artifact, other)


def test_single_cells_stand_above_the_data_and_beside_its_header_on_each_sheet(tmp_path: Path) -> None:
    form = capped(
        5,
        first_row=3,
        formulas=[
            {"cell": "B1", "formula": "=SUM({price})", "number_format": "0.0", "style": {"bold": True}},
            {"cell": "E3", "formula": "=COUNTA({text})"},
        ],
    )
    pages = openpyxl.load_workbook(written(FRAME, tmp_path, form).path).worksheets
    assert [page["B1"].value for page in pages] == ["=SUM(Table1[price])", "=SUM(Table2[price])"]
    assert [page["E3"].value for page in pages] == ["=COUNTA(Table1[text])", "=COUNTA(Table2[text])"]
    assert (pages[0]["B1"].number_format, pages[0]["B1"].font.b) == ("0.0", True)


def test_totals_end_each_sheet_with_their_results(tmp_path: Path) -> None:
    form = capped(
        4,
        totals={"price": "sum", "count": "average", "text": "count"},
        formulas=[{"column": "more", "formula": "={count}+1"}],
    )
    path = written(FRAME, tmp_path, form).path
    pages = openpyxl.load_workbook(path, data_only=True).worksheets
    assert [[cell.value for cell in page[page.max_row]] for page in pages] == [[3.5, 2.5, 1, None], [0, 4, 1, None]]
    table = pages[0].tables["Table1"]
    assert (table.ref, table.totalsRowCount, table.autoFilter.ref) == ("A1:D4", 1, "A1:D3")
    assert [c.totalsRowFunction for c in table.tableColumns] == ["sum", "average", "count", None]
    last = openpyxl.load_workbook(path).worksheets[0][4]
    assert [cell.value for cell in last[:2]] == ["=SUBTOTAL(109,Table1[price])", "=SUBTOTAL(101,Table1[count])"]


def test_labels_formulas_and_moments_as_totals_without_a_table(tmp_path: Path) -> None:
    frame = pl.DataFrame({"name": ["a", "b"], "day": [dt.date(2024, 1, 1), dt.date(2024, 5, 1)], "n": [1, 2]})
    totals = {"name": {"label": "All"}, "day": "max", "n": {"formula": "=SUM({n})*2"}}
    path = written(frame, tmp_path, Excel.model_validate({"table": "none", "totals": totals})).path
    assert cells(path)[3] == ["All", "=SUBTOTAL(104,B2:B3)", "=SUM(C2:C3)*2"]
    assert cells(path, values=True)[3][:2] == ["All", dt.datetime(2024, 5, 1)]


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("compact", [False, True])
def test_totals_of_few_rows(rows: int, compact: bool, tmp_path: Path) -> None:
    form = Excel.model_validate({"totals": {"price": "sum", "count": "average"}, "compact": compact, "borders": True})
    path = written(FRAME.head(rows), tmp_path, form).path
    assert [cell.value for cell in openpyxl.load_workbook(path, data_only=True).active[3]][:2] == (
        [1.5, 2] if rows else [0, None]
    )


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.none() | st.integers(-(2**62), 2**62), st.none() | st.floats()), max_size=30),
    function=st.sampled_from(["sum", "average", "min", "max"]),
)
def test_totals_are_those_of_the_numbers_that_cells_hold(
    rows: list[tuple[int | None, float | None]], function: str, tmp_path: Path
) -> None:
    frame = pl.DataFrame(rows, schema={"n": pl.Int64, "x": pl.Float64}, orient="row")
    form = Excel.model_validate({"totals": {"n": function, "x": function}})
    page = openpyxl.load_workbook(written(frame, tmp_path, form).path, data_only=True).active
    compute: Any = {"sum": sum, "average": lambda of: sum(of) / len(of), "min": min, "max": max}[function]
    for column in (1, 2):
        numbers = [v for r in range(2, page.max_row) if isinstance(v := page.cell(r, column).value, (int, float))]
        result = page.cell(page.max_row, column).value
        if not numbers:
            assert result in (0, None)
        elif result is not None:
            assert result == pytest.approx(compute(numbers), rel=1e-12, abs=1e-300 + 1e-9 * max(map(abs, numbers)))


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ({"formula": "=1", "cell": "A1"}, "among the rows"),
        ({"formula": "=1", "cell": "F2"}, "among the rows"),
        ({"formula": "={prize}", "column": "x"}, "'prize'.*'price'"),
        ({"formula": "=SUM({prize})", "cell": "F1"}, "'prize'.*'price'"),
    ],
)
def test_places_and_columns_that_are_none_are_refused(formula: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        formulas(formula).check(FRAME.schema)
    assert "formulas" in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"formulas": [{"formula": "1+1", "column": "x"}]}, "begins with ="),
        ({"formulas": [{"formula": "=1"}]}, "either column"),
        ({"formulas": [{"formula": "=1", "column": "x"}], "compact": True}, "leave out compact"),
        ({"formulas": [{"formula": "=1", "column": "x"}] * 2}, "two formulas"),
        ({"totals": {"price": "median"}}, "average"),
        ({"totals": {"price": "Total"}}, "for a label write {label: 'Total'}"),
        ({"totals": {"price": "=MAX({price})"}}, "for a formula write {formula: '=MAX({price})'}"),
        ({"totals": {"price": {}}}, "one of function"),
    ],
)
def test_what_is_no_formula_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        Excel.model_validate(options)


def test_totals_that_a_type_does_not_have_are_refused_and_arrays_stay(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'text' is of type text"):
        Excel.model_validate({"totals": {"text": "sum"}}).check(FRAME.schema)
    form = formulas({"column": "x", "formula": "=SUM({1,2})+{count}"})
    assert cells(written(FRAME, tmp_path, form).path)[1][3] == "=SUM({1,2})+B2"


def test_totals_leave_out_what_is_text_in_the_sheet(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "day": [dt.date(1850, 1, 1), dt.date(2024, 1, 2)],
            "price": pl.Series(["1234567890123456.5", "2.5"]).cast(pl.Decimal(20, 1)),
            "single": pl.Series([0.1, 0.2], dtype=pl.Float32),
        }
    )
    path = written(frame, tmp_path, Excel(totals={"day": "min", "price": "sum", "single": "max"})).path
    totals = openpyxl.load_workbook(path, data_only=True).active[4]
    assert [cell.value for cell in totals] == [dt.datetime(2024, 1, 2), 2.5, 0.2]
