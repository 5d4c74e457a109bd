"""Pivot tables: their numbers are those of SQL, openpyxl reads their parts, LibreOffice computes the same cells."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import shutil
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.errors import ConfigError, FormatError, VerificationError
from export_pipeline.formats.excel import Excel
from export_pipeline.formats.excel.pivots import gathering, items
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.excel.written import by_calamine, capped, written

N = 20_000
FRAME = pl.DataFrame({"id": range(N)}).select(
    "id",
    agent=pl.format("agent-{}", pl.col("id") % 7),
    status=pl.when(pl.col("id") % 5 > 0).then(pl.format("s{}", pl.col("id") * 31 % 3)),
    day=pl.date(2024, 1, 1) + pl.duration(days=pl.col("id") % 2),
    ok=pl.when(pl.col("id") % 9 > 0).then(pl.col("id") % 2 == 0),
    cost=pl.when(pl.col("id") % 11 > 0).then((pl.col("id") * 37 % 1009) / 7),
    price=(pl.col("id") % 100).cast(pl.Decimal(10, 2)) / 4,
)
SQL = {
    "sum": "sum({})", "count": "count({})", "average": "avg({})", "min": "min({})", "max": "max({})",
    "count_numbers": "count({})", "std": "stddev_samp({})", "std_population": "stddev_pop({})", "var": "var_samp({})",
    "var_population": "var_pop({})",
}  # fmt: skip


def form(*tables: dict[str, Any], **options: Any) -> Excel:
    return Excel.model_validate({"pivot_tables": list(tables), **options})


def page(path: Path, name: str) -> list[list[Any]]:
    """Return the cells of a sheet, dates without their midnight."""
    book = openpyxl.load_workbook(path, read_only=True)  # the other sheets stay closed
    with contextlib.closing(book):
        rows = book[name].iter_rows(values_only=True)
        return [[v.date() if isinstance(v, dt.datetime) else v for v in row] for row in rows]


def sql(query: str, frame: pl.DataFrame = FRAME) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.register("frame", frame.to_arrow())
        return connection.execute(query).fetchall()


def label(value: Any) -> Any:
    return "(blank)" if value is None else value


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


def test_the_verifier_misses_a_sheet_that_is_gone(tmp_path: Path) -> None:
    artifact = written(FRAME.head(5), tmp_path, form({"name": "P", "rows": ["agent"], "values": ["id"]}))
    claimed = form({"name": "Q", "rows": ["agent"], "values": ["id"]})
    with pytest.raises(VerificationError, match="'q' is missing"):
        verify(artifact, claimed)


GOOD = {"name": "P", "rows": ["agent"], "values": ["cost"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": ["agnet"]}, "unknown column 'agnet'.*agent"),
        ({"rows": ["double"]}, "is a formula"),
        ({"values": ["status"]}, "has no sum"),
        ({"values": [{"column": "day", "function": "average"}]}, "has no average"),
        ({"values": ["cost", "cost"]}, "are called 'Sum of cost'"),
        ({"values": ["cost", {"column": "id", "label": "sum of Cost"}]}, "are called 'sum of Cost'"),
        ({"values": [{"column": "cost", "label": "Agent"}]}, "are called 'Agent'"),
        ({"filters": [{"column": "id", "value": "x"}]}, "value 'x' is none of 'id'"),
        ({"filters": [{"column": "day", "value": "May"}]}, "value 'May'"),
        ({"sheet": "dATA"}, "holds other things"),
    ],
)
def test_what_cannot_be_computed_is_refused(change: dict[str, Any], message: str) -> None:
    made = form({**GOOD, **change}, formulas=[{"column": "double", "formula": "={cost}*2"}])
    with pytest.raises(ConfigError, match=message):
        made.check(FRAME.schema)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pivots": [GOOD, {**GOOD, "name": "p", "sheet": "Q"}]}, "two pivot_tables are called 'p'"),
        ({"pivots": [GOOD, {**GOOD, "name": "Q", "sheet": "P", "at": "C1"}, {**GOOD, "name": "R", "sheet": "p",
          "at": "C1"}]}, "stand at C1"),
        ({"pivots": [GOOD], "header": False, "table": "none", "autofilter": False}, "has no header"),
        ({"pivots": [GOOD], "non_finite": "error_value"}, "may hold error values"),
        ({"pivots": [GOOD], "charts": [{"of": "Q"}]}, "no pivot table 'Q'"),
        ({"pivots": [{**GOOD, "rows": ["agent", "ok"]}], "charts": [{"of": "P"}]}, "several columns of rows"),
        ({"pivots": [{**GOOD, "columns": ["ok"]}], "charts": [{"of": "P", "kind": "pie"}]}, "a pie draws one"),
    ],
)  # fmt: skip
def test_pivot_tables_that_do_not_fit_their_sheet_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Excel.model_validate(options).check(FRAME.schema)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": ["agent"]}, "'agent' is used twice"),
        ({"name": "x" * 256}, "no name of a pivot table"),
        ({"name": "x" * 32}, "give the pivot table another name, or a sheet"),
        ({"values": [{"column": "cost", "function": "median"}]}, "function"),
        ({"style": "TableStyleMedium2"}, "no style of pivot tables"),
        ({"rows": []}, "rows"),
    ],
)
def test_options_that_no_pivot_table_has_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        form({**GOOD, **change})


def test_headers_that_are_no_names_are_refused() -> None:
    frame = pl.DataFrame({"a": [1], "A": [2]})
    made = form({"name": "P", "rows": ["a"], "values": ["A"]}, table="none")
    with pytest.raises(ConfigError, match="equal but for"):
        made.check(frame.schema)


@pytest.mark.parametrize(
    ("frame", "tables", "message"),
    [
        (FRAME.head(20), [{**GOOD, "filters": [{"column": "status", "value": "lost"}]}], "which no row has.*\n.*s0"),
        (FRAME.head(20), [GOOD, {**GOOD, "name": "Q", "sheet": "P", "at": "B4"}], r"'Q' \(B4:C12\) stands over 'P'"),
        (FRAME.head(20), [{**GOOD, "at": "XFD1"}], "does not fit"),
        (FRAME, [{**GOOD, "rows": ["id"]}], "more than 10,000 different"),
        (FRAME.head(2_000), [{**GOOD, "columns": ["id"]}], "2,001 columns"),
        (pl.DataFrame({"agent": ["x" * 256], "cost": [1]}), [GOOD], "more than 255 characters"),
        (pl.DataFrame({"agent": [dt.datetime(2024, 1, 1, 0, 0, 0, 1)], "cost": [1]}), [GOOD], "fractions of a second"),
    ],
)
def test_rows_that_no_pivot_table_holds_are_refused(
    frame: pl.DataFrame, tables: list[dict[str, Any]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(FormatError, match=message):
        form(*tables).write(frame.lazy(), tmp_path / "file.xlsx")
    assert not list(tmp_path.iterdir())


def test_too_many_combinations_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MAX_GROUPS", 20)
    monkeypatch.setattr(items, "MAX_ITEMS", N)
    with pytest.raises(FormatError, match="more than 20 combinations"):
        form({**GOOD, "columns": ["status"]}).write(FRAME.lazy(), tmp_path / "file.xlsx")


def test_rows_of_a_second_sheet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="go on in a second"):
        capped(10, pivots=[GOOD]).write(FRAME.head(20).lazy(), tmp_path / "file.xlsx")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed")
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
    subprocess.run(
        [
            "soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to",
            "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1", "--outdir", str(tmp_path),
            str(path),
        ],
        check=True, capture_output=True, timeout=180,
    )  # fmt: skip
    words = {"(empty)": "(blank)", "- all -": "(All)", "Total Result": "Grand Total", "Data": "Values", "": None}
    for name in ("Grid", "Deep", "Outer"):
        with (tmp_path / f"file-{name}.csv").open(encoding="utf-8", newline="") as file:
            read = [[plain(words.get(text, text)) for text in row] for row in csv.reader(file)]
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
