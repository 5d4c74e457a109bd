"""The numbers of pivot tables: they are those of SQL, and LibreOffice computes the same cells."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.excel.office import asked, sheets
from export_pipeline_tests.formats.excel.pivots.samples import FRAME, form, label, page, sql
from export_pipeline_tests.formats.excel.written import by_calamine, written

SQL = {
    "sum": "sum({})", "count": "count({})", "average": "avg({})", "min": "min({})", "max": "max({})",
    "count_numbers": "count({})", "std": "stddev_samp({})", "std_population": "stddev_pop({})", "var": "var_samp({})",
    "var_population": "var_pop({})",
}  # fmt: skip


def test_a_grid_and_its_totals_are_those_of_sql(tmp_path: Path) -> None:
    table = {"name": "Cost", "rows": ["agent"], "columns": ["status"], "values": ["cost"]}
    path = written(FRAME, tmp_path, form(table)).path
    top, names, *rows = page(path, "Cost")
    assert top[:2] == ["Sum of cost", "status"]
    assert names == ["agent", "s0", "s1", "s2", "(blank)", "Grand Total"]
    found = {(row[0], name): value for row in rows for name, value in zip(names[1:], row[1:], strict=True)}
    query = (
        "select agent, status, grouping(agent), grouping(status), sum(cost) from frame group by cube (agent, status)"
    )
    wanted = {
        ("Grand Total" if a else agent, "Grand Total" if s else label(status)): cost
        for agent, status, a, s, cost in sql(query)
    }
    assert found == pytest.approx(wanted)
    assert by_calamine(path)[: FRAME.height][0][0] == 0


@pytest.mark.parametrize("column", ["cost", "id", "price"])
def test_every_function_is_that_of_sql(column: str, tmp_path: Path) -> None:
    values = [{"column": column, "function": function, "label": f"{function}!"} for function in SQL]
    path = written(FRAME, tmp_path, form({"name": "P", "rows": ["status"], "values": values})).path
    head, *rows = page(path, "P")
    assert head == ["status", *(f"{function}!" for function in SQL)]
    selected = ", ".join(made.format(column) for made in SQL.values())
    for row, wanted in zip(
        rows,
        sql(f"select status, {selected} from frame group by rollup (status) order by grouping(status), 1"),
        strict=True,
    ):
        assert row[1:] == pytest.approx([float(value) for value in wanted[1:]], rel=1e-12)


def test_product_of_few_numbers(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["a", "a", "b", "c"], "x": [1.5, -4.0, 2.0, None]})
    table = {"name": "P", "rows": ["k"], "values": [{"column": "x", "function": "product"}]}
    _, *rows = page(written(frame, tmp_path, form(table)).path, "P")
    assert rows == [["a", -6], ["b", 2], ["c", None], ["Grand Total", -12]]


@pytest.mark.parametrize("layout", ["compact", "outline", "tabular"])
def test_subtotals_in_each_layout(layout: str, tmp_path: Path) -> None:
    table = {"name": "P", "rows": ["day", "ok"], "values": ["id"], "layout": layout}
    _, *rows = page(written(FRAME, tmp_path, form(table)).path, "P")
    query = "select day, ok, grouping(day), grouping(ok), sum(id) from frame group by rollup (day, ok)"
    sums = {(day, label(ok)) if not b else (day,) if not a else (): value for day, ok, a, b, value in sql(query)}
    days, oks = [dt.date(2024, 1, 1), dt.date(2024, 1, 2)], [False, True, "(blank)"]
    wanted: list[list[Any]] = []
    for day in days:
        there = [[ok, sums[day, ok]] for ok in oks if (day, ok) in sums]
        if layout == "tabular":
            wanted += [[None if n else day, *row] for n, row in enumerate(there)]
            wanted.append([f"{day} Total", None, sums[day,]])
        elif layout == "outline":
            wanted += [[day, None, sums[day,]], *([None, *row] for row in there)]
        else:
            wanted += [[day, sums[day,]], *there]
    end: list[Any] = ["Grand Total", sums[()]] if layout == "compact" else ["Grand Total", None, sums[()]]
    assert rows == [*wanted, end]


def test_several_columns_of_several_values_and_none_of_the_totals(tmp_path: Path) -> None:
    table = {
        "name": "P", "rows": ["agent"], "columns": ["ok", "day"],
        "values": ["id", {"column": "id", "function": "count"}],
        "row_totals": False, "column_totals": False, "subtotals": False, "layout": "tabular", "at": "B2",
    }  # fmt: skip
    rows, first, second = (
        page(written(FRAME, tmp_path, form(table)).path, "P"),
        dt.date(2024, 1, 1),
        dt.date(2024, 1, 2),
    )
    assert rows[0] == [None] * len(rows[0])
    assert [row[1:] for row in rows[1:5]] == [
        [None, "ok", "day", "Values", *[None] * 7][:len(rows[1]) - 1],
        [None, False, None, True, None, "(blank)", None, None, None],
        [None, second, None, first, None, first, None, second, None],
        ["agent", *["Sum of id", "Count of id"] * 4],
    ]  # fmt: skip
    query = "select agent, ok, day, sum(id), count(id) from frame group by all order by agent, ok nulls last, day"
    wanted: dict[str, list[Any]] = {}
    for agent, _, _, *both in sql(query):
        wanted.setdefault(agent, [agent]).extend(both)
    assert [row[1:] for row in rows[5:]] == list(wanted.values())


def test_a_chosen_filter_holds_for_the_numbers(tmp_path: Path) -> None:
    table = {
        "name": "P", "rows": ["agent"], "values": ["cost"],
        "filters": ["ok", {"column": "status", "value": "S1"}, {"column": "day", "value": "2024-01-02"}],
    }  # fmt: skip
    path = written(FRAME.head(900), tmp_path, form(table)).path
    rows = page(path, "P")
    assert rows[:4] == [["ok", "(All)"], ["status", "s1"], ["day", dt.date(2024, 1, 2)], [None, None]]
    query = "select agent, sum(cost) from frame where status = 's1' and day = '2024-01-02' group by 1 order by 1"
    assert dict(rows[5:-1]) == pytest.approx(dict(sql(query, FRAME.head(900))))
    (pivot,) = openpyxl.load_workbook(path)["P"]._pivots
    assert [(one.fld, one.item) for one in pivot.pageFields] == [(4, None), (2, 1), (3, 1)]
    assert (pivot.location.ref, pivot.location.rowPageCount) == ("A5:B13", 3)


@pytest.mark.parametrize(
    "name",
    [
        "text",
        "int64",
        "uint64",
        "float64",
        "float32",
        "non_finite",
        "bool",
        "decimal",
        "date",
        "zoned",
        "category",
        "enum",
        "nothing",
        "list",
        "binary",
    ],
)
def test_nasty_values_have_rows_of_their_own(name: str, tmp_path: Path) -> None:
    column = nasty.column(name).rename("k")
    if column.dtype == pl.String:
        column = column.str.slice(0, 200)
    if name == "list":
        column = column.head(1)
    frame = pl.DataFrame([column, pl.Series("n", [1] * len(column))])
    table = {"name": "P", "rows": ["k"], "values": [{"column": "n", "function": "count"}]}
    path = written(frame, tmp_path, form(table)).path
    _, *rows = page(path, "P")
    data = openpyxl.load_workbook(path)["Data"]
    wanted: dict[tuple[type, Any], int] = {}
    for (cell,) in data.iter_rows(min_row=2, max_col=1, values_only=True):
        value = cell.date() if isinstance(cell, dt.datetime) else label(cell)
        value = value.lower() if isinstance(value, str) else float(value) if isinstance(value, int) else value
        wanted[type(value), value] = wanted.get((type(value), value), 0) + 1
    found = {}
    for shown, count in rows[:-1]:
        value = shown.lower() if isinstance(shown, str) else float(shown) if isinstance(shown, int) else shown
        found[type(value), value] = count
    assert found == wanted
    assert rows[-1] == ["Grand Total", frame.height]
    shared = openpyxl.load_workbook(path)["P"]._pivots[0].cache.cacheFields[0].sharedItems
    assert shared.count == len(rows) - 1


def test_texts_that_differ_in_case_only_are_one(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["Ab", "aB", "x_x0041_", "=1+1"], "n": [1, 2, 4, 8]})
    path = written(frame, tmp_path, form({"name": "P", "rows": ["k"], "values": ["n"]})).path
    sheet = openpyxl.load_workbook(path)["P"]
    shown = [[c.value for c in row] for row in sheet.iter_rows()]
    assert shown[1:] == [["=1+1", 8], ["Ab", 3], ["x_x005F_x0041_", 4], ["Grand Total", 15]]
    assert sheet["A2"].data_type == "s"


def test_no_rows_are_one_empty_row_to_excel(tmp_path: Path) -> None:
    table = {"name": "P", "rows": ["agent"], "values": ["id"], "filters": [{"column": "status", "value": "s1"}]}
    rows = page(written(FRAME.clear(), tmp_path, form(table)).path, "P")
    assert rows == [["status", "(All)"], [None, None], ["agent", "Sum of id"], ["(blank)", None], ["Grand Total", None]]


@asked
def test_libreoffice_computes_the_same_cells(tmp_path: Path) -> None:
    values: list[Any] = ["cost", {"column": "status", "function": "count"}]
    tables: list[dict[str, Any]] = [
        {"name": "Grid", "rows": ["agent"], "columns": ["status"], "values": ["cost"]},
        {"name": "Deep", "rows": ["day", "agent"], "columns": ["ok", "status"], "values": values, "layout": "tabular"},
        {"name": "Outer", "rows": ["agent", "day"], "values": ["id"], "layout": "outline",
         "filters": [{"column": "status", "value": "s1"}]},
        {"name": "Plain", "rows": ["day"], "values": [{"column": "cost", "function": "average"}], "sheet": "Grid"},
    ]  # fmt: skip
    made = form(*tables, charts=[{"of": "Grid"}], totals={"cost": "sum"})
    path = written(FRAME.head(900), tmp_path, made).path
    words = {"(empty)": "(blank)", "- all -": "(All)", "Total Result": "Grand Total", "Data": "Values", "": None}
    names = ("Grid", "Deep", "Outer")
    for name, shown in zip(names, sheets(path, *names), strict=True):
        read = [[plain(words.get(text, text)) for text in row] for row in shown]
        wanted = [[plain(value) for value in row] for row in page(path, name)]
        assert len(read) == len(wanted)
        for got, own in zip(read, wanted, strict=True):
            for a, b in zip(got, own, strict=True):
                assert a == (pytest.approx(b, rel=1e-9) if isinstance(b, float) else b)


def plain(value: Any) -> Any:
    """Return numbers as floats, and what LibreOffice says in its own words in those of Excel."""
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value if value is None else float(value)
    text = str(value).upper() if isinstance(value, bool) else str(value)
    try:
        return float(text)
    except ValueError:
        return text.replace(" Result", " Total").replace("(empty)", "(blank)")


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [("id", 7, 7), ("cost", 14.5, 14.5), ("price", 1.25, 1.25), ("ok", True, True), ("agent", "AGENT-3", "agent-3")],
)
def test_values_of_each_type_can_be_chosen(column: str, value: Any, shown: Any, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"id": [7, 8], "cost": [14.5, 2.0], "ok": [True, False], "agent": ["agent-3", "b"], "n": [5, 6]}
    ).with_columns(price=pl.Series(["1.25", "3.00"]).cast(pl.Decimal(10, 2)))
    table = {"name": "P", "rows": ["n"], "values": ["n"], "filters": [{"column": column, "value": value}]}
    rows = page(written(frame, tmp_path, form(table)).path, "P")
    assert rows == [[column, shown], [None, None], ["n", "Sum of n"], [5, 5], ["Grand Total", 5]]
