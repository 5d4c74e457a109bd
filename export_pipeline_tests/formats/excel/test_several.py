"""Workbooks of several sheets: each with rows and options of its own, each proven."""

from __future__ import annotations

import json
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline import snapshots
from export_pipeline.config import ExportConfig
from export_pipeline.errors import Cancelled, ConfigError, ExportError, FormatError, VerificationError
from export_pipeline.formats.excel import Excel
from export_pipeline.home import Home
from export_pipeline.parsing import parse
from export_pipeline.pipeline import Context, Result, plan, run
from export_pipeline.verification import verify
from export_pipeline_tests.formats.excel.written import capped, part

RUNS = pl.DataFrame({"id": range(1, 8), "host": list("abacaba"), "ms": [10.5, 20.0, None, 40.0, 50.0, 60.0, 70.0]})
HOSTS = pl.DataFrame({"name": ["a", "b", "c"], "rack": [1, 1, 2]})
ROWS: dict[str, Any] = {"source": "hosts"}
LIST: list[dict[str, Any]] = [{"list": {"range": "A2", "values": ["x, y"]}}]


def pivot(**more: Any) -> dict[str, Any]:
    return {"name": "Racks", "rows": ["rack"], "values": [{"column": "name", "function": "count"}], **more}


def book(*sheets: dict[str, Any], **options: Any) -> Excel:
    return Excel.model_validate({"sheets": list(sheets), **options})


def cells(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the cells of each sheet, by openpyxl."""
    found = openpyxl.load_workbook(path)
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in found.worksheets}


def test_each_sheet_has_its_rows_and_its_look(tmp_path: Path) -> None:
    form = book(
        {"name": "Hosts", "rows": ROWS, "table": "none", "columns": {"rack": {"header": "Rack no."}}},
        {"name": "Runs", "totals": {"ms": "sum"}, "formulas": [{"column": "double", "formula": "={ms}*2"}]},
        {
            "name": "Racks",
            "rows": ROWS,
            "data_validation": [{"list": {"columns": ["rack"], "values": [f"rack {n}" for n in range(99)]}}],
            "conditional_formatting": [{"color_scale": {"columns": ["rack"]}}],
        },
        zoom=150,
    )
    artifact = form.write(RUNS.lazy(), tmp_path / "x.xlsx", tables={"Hosts": HOSTS.lazy(), "Racks": HOSTS.lazy()})
    assert verify(artifact, form).columns == 3 + 2 + 2
    assert (artifact.rows, [(proof.part, proof.rows) for proof in artifact.tables]) == (7, [("Hosts", 3), ("Racks", 3)])
    found = cells(artifact.path)
    assert list(found) == ["Hosts", "Runs", "Racks", "Lists"]
    assert found["Hosts"] == [("name", "Rack no."), *HOSTS.rows()]
    assert [row[:3] for row in found["Runs"][1:-1]] == RUNS.rows()
    assert found["Racks"] == [("name", "rack"), *HOSTS.rows()]
    opened = openpyxl.load_workbook(artifact.path)
    assert {sheet.title: list(sheet.tables) for sheet in opened.worksheets} == {
        "Hosts": [],
        "Runs": ["Table2"],
        "Racks": ["Table3"],
        "Lists": [],
    }
    assert [sheet.sheet_view.zoomScale for sheet in opened.worksheets[:3]] == [150, 150, 150]
    assert opened["Runs"]["C9"].value == "=SUBTOTAL(109,Table2[ms])"
    (rule,) = opened["Racks"].data_validations.dataValidation
    assert rule.formula1 == "Lists!$A$1:$A$99"
    twice = form.write(RUNS.lazy(), tmp_path / "y.xlsx", tables={"Hosts": HOSTS.lazy(), "Racks": HOSTS.lazy()})
    assert twice.sha256 == artifact.sha256


@pytest.mark.parametrize("long", ["Runs", "A name of thirty-one characters"])
def test_rows_of_each_sheet_go_on_in_sheets_of_their_own(long: str, tmp_path: Path) -> None:
    form = capped(4, sheets=[{"name": long}, {"name": "Hosts", "rows": ROWS}])
    artifact = form.write(RUNS.lazy(), tmp_path / "x.xlsx", tables={"Hosts": pl.concat([HOSTS, HOSTS]).lazy()})
    verify(artifact, form)
    found = cells(artifact.path)
    assert [len(rows) - 1 for rows in found.values()] == [3, 3, 1, 3, 3]
    assert list(found) == [long, f"{long[:27]} (2)", f"{long[:27]} (3)", "Hosts", "Hosts (2)"]
    assert [row for rows in list(found.values())[:3] for row in rows[1:]] == RUNS.rows()


def test_each_sheet_has_pictures_and_charts_of_its_own(tmp_path: Path) -> None:
    chart = {"kind": "column", "x": "name", "values": ["rack"]}
    form = book({"name": "Runs"}, {"name": "Hosts", "rows": ROWS, "charts": [chart]}, {"name": "B", "rows": ROWS})
    tables = {"Hosts": HOSTS.lazy(), "B": HOSTS.lazy()}
    artifact = form.write(RUNS.lazy(), tmp_path / "x.xlsx", tables=tables)
    verify(artifact, form)
    assert "'Hosts'!$B$2:$B$4" in part(artifact.path, "xl/charts/chart1.xml")


def test_a_sheet_without_rows_is_there(tmp_path: Path) -> None:
    form = book({"name": "Runs"}, {"name": "Hosts", "rows": ROWS})
    artifact = form.write(RUNS.head(0).lazy(), tmp_path / "x.xlsx", tables={"Hosts": HOSTS.head(0).lazy()})
    verify(artifact, form)
    assert [rows[0] for rows in cells(artifact.path).values()] == [("id", "host", "ms"), ("name", "rack")]


def test_what_differs_in_any_sheet_is_found(tmp_path: Path) -> None:
    form = book({"name": "Runs"}, {"name": "Hosts", "rows": ROWS})
    artifact = form.write(RUNS.lazy(), tmp_path / "x.xlsx", tables={"Hosts": HOSTS.lazy()})
    other = form.write(
        RUNS.lazy(), tmp_path / "y.xlsx", tables={"Hosts": HOSTS.with_columns(rack=pl.Series([1, 2, 2])).lazy()}
    )
    with pytest.raises(VerificationError, match="values differ in 'Hosts' in column 'rack'"):
        verify(artifact.replace(path=other.path), form)
    fewer = form.write(RUNS.lazy(), tmp_path / "z.xlsx", tables={"Hosts": HOSTS.head(2).lazy()})
    with pytest.raises(VerificationError, match="3 rows were written in 'Hosts', 2 were read"):
        verify(artifact.replace(path=fewer.path), form)
    more = book({"name": "Runs"}, {"name": "Hosts", "rows": ROWS}, {"name": "Else", "rows": ROWS})
    added = more.write(RUNS.lazy(), tmp_path / "w.xlsx", tables={"Hosts": HOSTS.lazy(), "Else": HOSTS.lazy()})
    with pytest.raises(VerificationError, match="the sheets are Runs, Hosts, Else, not Runs, Hosts"):
        verify(artifact.replace(path=added.path), form)


def test_what_fails_in_any_sheet_leaves_nothing(tmp_path: Path) -> None:
    form = book({"name": "Runs"}, {"name": "Hosts", "rows": ROWS}, non_finite="error")
    wrong = HOSTS.with_columns(rack=pl.Series([1.0, float("nan"), 2.0]))
    with pytest.raises(FormatError, match="'rack'"):
        form.write(RUNS.lazy(), tmp_path / "x.xlsx", tables={"Hosts": wrong.lazy()})
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        form.write(RUNS.lazy(), tmp_path / "x.xlsx", tables={"Hosts": HOSTS.lazy()}, stop=stop)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("sheets", "more", "says"),
    [
        ([{"name": "A", "rows": ROWS}], {}, "no sheet is without them"),
        ([{"name": "A"}, {"name": "B"}], {}, "'A' and 'B' have none"),
        ([{"name": "A"}, {"name": "a", "rows": ROWS}], {}, "two sheets would be called 'a'"),
        ([{"name": "A"}, {"name": "A (2)", "rows": ROWS}], {}, "two sheets would be called 'A (2)'"),
        ([{"name": "lists"}, {"name": "A", "rows": ROWS, "data_validation": LIST}], {}, "would be called 'lists'"),
        (
            [{"name": "A", "data_validation": LIST}, {"name": "B", "rows": ROWS, "pivots": [pivot(name="Lists")]}],
            {},
            "would stand on 'Lists', which holds other things",
        ),
        ([{"name": "A"}], {"totals": {"ms": "sum"}}, "totals speaks of one sheet"),
        ([{"name": "A"}], {"sheet_name": "B"}, "sheet_name speaks of one sheet"),
        ([{"name": "A", "rows": {"sauce": "hosts"}}], {}, "did you mean 'source'"),
        ([{"name": "A", "formulas": [{"column": "x", "formula": "=1"}]}], {"compact": True}, "leave out compact"),
    ],
)
def test_sheets_that_do_not_go_together_are_refused(sheets: Any, more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Excel.model_validate({"sheets": sheets, **more})
    assert says in str(refused.value)


# Whole runs.


def where(field: str, operator: str, value: int) -> dict[str, Any]:
    return {"where": {"field": field, "operator": operator, "value": value}}


def exported(folder: Path, sheets: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return an export of a SQLite store with two tables."""
    home = Home(folder / "home").create()
    store = folder / "store.db"
    if not store.exists():
        with sqlite3.connect(store) as connection:
            connection.execute("CREATE TABLE runs (id INTEGER, host TEXT, ms REAL) STRICT")
            connection.execute("CREATE TABLE hosts (name TEXT, rack INTEGER) STRICT")
            connection.executemany("INSERT INTO runs VALUES (?, ?, ?)", RUNS.rows())
            connection.executemany("INSERT INTO hosts VALUES (?, ?)", HOSTS.rows())
        connection.close()
        datasets: dict[str, Any] = {"runs": {}, "hosts": {}}
        given = {"stores": {"desk": {"sqlite": {"path": str(store), "datasets": datasets}}}}
        home.stores.write_text(json.dumps(given))
    return {
        "name": "runs",
        "file_name": "{name}",
        "sources": {"runs": {"store": "desk", "dataset": "runs"}, "hosts": {"store": "desk", "dataset": "hosts"}},
        "filter": where("id", "gt", 2),
        "format": {"excel": {"sheets": sheets}},
        "deliver": {"local": str(folder / "out")},
        **more,
    }


SHEETS: list[dict[str, Any]] = [
    {"name": "Runs"},
    {
        "name": "By host",
        "rows": {
            "aggregate": {"groupBy": ["host"], "measures": {"runs": "count", "total": {"sum": "ms"}}},
            "sort": "-runs",
        },
    },
    {
        "name": "Hosts",
        "rows": {"source": "hosts", "filter": [{"where": {"field": "rack", "operator": "eq", "value": 1}}]},
    },
    {"name": "Slow", "rows": {"filter": where("ms", "gte", 50), "columns": ["id"]}},
]


def ran(folder: Path, given: dict[str, Any]) -> Result:
    return run(parse(ExportConfig, given), Context(Home(folder / "home"), trusted=True))


def test_a_run_with_sheets_of_two_sources_and_their_own_queries(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    result = ran(tmp_path, exported(tmp_path, SHEETS))
    found = cells(tmp_path / "out" / "runs.xlsx")
    kept = RUNS.filter(pl.col("id") > 2)
    assert found["Runs"][1:] == kept.rows()
    assert found["By host"] == [("host", "runs", "total"), ("a", 3, 120.0), ("b", 1, 60.0), ("c", 1, 40.0)]
    assert found["Hosts"][1:] == HOSTS.filter(rack=1).rows()
    assert found["Slow"] == [("id",), (5,), (6,), (7,)]
    assert {name: snapshot.rows for name, snapshot in result.extracted.snapshots.items()} == {"runs": 5, "hosts": 2}
    assert result.written.rows == 5


def test_the_view_of_all_sources_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written between the reading of two sources is in neither."""
    (tmp_path / "out").mkdir()
    given = exported(tmp_path, SHEETS)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    stage = snapshots.stage

    def between(*parts: Any, **named: Any) -> Any:
        taken = stage(*parts, **named)
        with sqlite3.connect(tmp_path / "store.db") as connection:
            connection.execute("INSERT INTO hosts VALUES ('z', 1)")
        connection.close()
        return taken

    monkeypatch.setattr(snapshots, "stage", between)
    ran(tmp_path, given)
    assert cells(tmp_path / "out" / "runs.xlsx")["Hosts"][1:] == HOSTS.filter(rack=1).rows()


@pytest.mark.parametrize(
    ("sheet", "says"),
    [
        ({"name": "B", "rows": {"sort": "hots"}}, "'B': sort: unknown column 'hots'"),
        ({"name": "B", "rows": {"source": "hosts"}, "totals": {"rak": "sum"}}, "sheet 'B': .*'rak'.*mean 'rack'"),
        ({"name": "B", "rows": {"source": "hosts", "filter": where("x", "eq", 1)}}, "'B': .*'x'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_sheet_is_said_before_a_row_is_read(sheet: Any, says: str, tmp_path: Path) -> None:
    given = exported(tmp_path, [{"name": "A"}, {"name": "C", "rows": ROWS}, sheet])
    context = Context(Home(tmp_path / "home"), trusted=True)
    with pytest.raises((ConfigError, ExportError), match=says):
        plan(context, parse(ExportConfig, given), datetime(2026, 11, 1, tzinfo=UTC))


def test_pivot_tables_are_of_the_rows_of_their_sheet(tmp_path: Path) -> None:
    by_host = {"name": "By host", "rows": ["host"], "values": [{"column": "ms", "function": "sum"}]}
    form = book(
        {"name": "Runs", "pivots": [by_host]}, {"name": "Hosts", "rows": ROWS, "table": "none", "pivots": [pivot()]}
    )
    artifact = form.write(RUNS.lazy(), tmp_path / "x.xlsx", tables={"Hosts": HOSTS.lazy()})
    verify(artifact, form)
    opened = openpyxl.load_workbook(artifact.path)
    assert opened.sheetnames == ["Runs", "Hosts", "By host", "Racks"]
    assert [row[1] for row in opened["By host"].iter_rows(values_only=True)][1:] == [130.5, 80.0, 40.0, 250.5]
    assert [row[1] for row in opened["Racks"].iter_rows(values_only=True)][1:] == [2, 1, 3]
    sources = [opened[name]._pivots[0].cache.cacheSource.worksheetSource for name in ("By host", "Racks")]
    assert (sources[0].name, sources[1].sheet, sources[1].ref) == ("Table1", "Hosts", "A1:B4")
    assert {opened[name]._pivots[0].cacheId for name in ("By host", "Racks")} == {1, 2}


@pytest.mark.parametrize(
    ("pivots", "says"),
    [
        ([pivot(sheet="Runs")], "which holds other things"),
        ([pivot(sheet="runs (2)")], "which holds other things"),
        ([pivot(), pivot(sheet="Else")], "two pivot_tables are called 'racks'"),
    ],
)
def test_pivot_tables_in_each_other_s_place_are_refused(pivots: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        book({"name": "Runs"}, {"name": "Hosts", "rows": ROWS, "pivots": pivots})
