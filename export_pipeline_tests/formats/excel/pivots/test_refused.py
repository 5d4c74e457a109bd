"""Pivot tables that are refused, by options or by rows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.errors import ConfigError, FormatError
from export_pipeline.formats.excel import Excel
from export_pipeline.formats.excel.pivots import gathering, items
from export_pipeline_tests.formats.excel.pivots.samples import FRAME, N, form
from export_pipeline_tests.formats.excel.written import capped

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
        ({"sheet": "data (2)"}, "holds other things"),
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
        ({"pivots": [{**GOOD, "rows": ["agent", "ok"]}], "charts": [{"of": "P"}]}, "totals or captions stand"),
        ({"pivots": [{**GOOD, "rows": ["agent", "ok"], "layout": "outline", "subtotals": False}],
          "charts": [{"of": "P"}]}, "layout: tabular and subtotals: false"),
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
