"""Columns made of values."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.columns import Pivot
from export_pipeline.errors import ConfigError
from export_pipeline.query import Query

RUNS = pl.DataFrame(
    {
        "agent": ["b", "a", None, "a", "b", "a"],
        "status": ["ok", "failed", "ok", None, "ok", "ok"],
        "ms": [1, 2, 3, None, 5, 6],
        "cost": [1.5, 2.5, None, 4.0, float("nan"), 0.5],
    }
)


def pivoted(given: pl.DataFrame = RUNS, /, *, then: dict[str, Any] | None = None, **pivot: Any) -> pl.DataFrame:
    query = Query.model_validate({"pivot": {"rows": "agent", "columns": "status"} | pivot} | (then or {}))
    assert Query.model_validate(query.dump()) == query
    query.check(given.schema)
    return query.apply(given.lazy().select(query.needs(given.schema))).collect(engine="streaming")


def test_counts_are_zero_where_there_is_nothing() -> None:
    result = pivoted()
    assert result.columns == ["agent", "failed", "ok", "(null)"]
    assert result.rows() == [("a", 1, 1, 1), ("b", 0, 2, 0), (None, 0, 1, 0)]
    assert result.schema["ok"] == pl.Int64


def test_other_cells_are_empty_where_there_is_nothing() -> None:
    assert pivoted(values="ms").rows() == [("a", 2, 6, None), ("b", None, 6, None), (None, None, 3, None)]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("count", [(1, 1, 1), (0, 1, 0), (0, 0, 0)]),
        ("distinct", [(1, 1, 1), (0, 1, 0), (0, 0, 0)]),
        ("avg", [(2.5, 0.5, 4.0), (None, 1.5, None), (None, None, None)]),
        ("min", [(2.5, 0.5, 4.0), (None, 1.5, None), (None, None, None)]),
        ("max", [(2.5, 0.5, 4.0), (None, 1.5, None), (None, None, None)]),
        ("median", [(2.5, 0.5, 4.0), (None, 1.5, None), (None, None, None)]),
        ("p95", [(2.5, 0.5, 4.0), (None, 1.5, None), (None, None, None)]),
        ("std", [(None, None, None), (None, None, None), (None, None, None)]),
    ],
)
def test_functions_do_not_count_nulls_and_nans(function: str, expected: list[Any]) -> None:
    assert [row[1:] for row in pivoted(values="cost", function=function).rows()] == expected


def test_totals_are_of_all_rows_by_the_same_function() -> None:
    result = pivoted(values="ms", function="avg", totals=True)
    assert result.columns == ["agent", "failed", "ok", "(null)", "Total"]
    assert result.rows() == [
        ("a", 2.0, 6.0, None, 4.0),
        ("b", None, 3.0, None, 3.0),
        (None, None, 3.0, None, 3.0),
        ("Total", 2.0, 3.75, None, 3.4),
    ]


@pytest.mark.parametrize("function", ["sum", "count", "distinct", "min", "max", "avg", "std", "median", "p95"])
def test_a_total_is_what_one_group_of_all_rows_has(function: str) -> None:
    rows = pl.concat([RUNS, RUNS.with_columns(pl.lit("never").alias("status"), pl.lit(None, pl.Float64).alias("cost"))])
    one = pivoted(rows.with_columns(agent=pl.lit("all")), values=["ms", "cost"], function=function, totals="column")
    total = pivoted(rows, values=["ms", "cost"], function=function, totals=True)
    assert total.rows()[-1][1:] == one.row(0)[1:]


@pytest.mark.parametrize("function", ["sum", "count", "min", "max"])
def test_a_total_of_groups_does_not_read_the_rows_beside_them(function: str) -> None:
    """Two steps that read the same rows keep what the slower one has not taken: memory would grow with the rows."""
    query = Query(pivot=Pivot(rows=["agent"], columns=["status"], values=["ms"], function=function, totals=True))
    plan = query.apply(RUNS.lazy()).explain(engine="streaming")
    assert "AGGREGATE" in plan.split("CACHE")[1]  # what is used twice are the groups


def test_totals_of_rows_or_columns_alone() -> None:
    assert pivoted(totals="column").columns[-1] == "Total"
    assert len(pivoted(totals="column")) == 3
    assert pivoted(totals="row").columns[-1] == "(null)"
    assert pivoted(totals="row").rows()[-1] == ("Total", 1, 4, 1)


def test_the_total_stays_last_and_is_not_limited_away() -> None:
    result = pivoted(totals="row", then={"sort": ["-ok"], "limit": 1})
    assert result.rows() == [("b", 0, 2, 0), ("Total", 1, 4, 1)]


def test_no_rows_have_no_total() -> None:
    result = pivoted(RUNS.clear(), totals=True)
    assert result.columns == ["agent", "Total"]
    assert result.rows() == []


def test_the_key_beside_the_label_becomes_text() -> None:
    days = pl.DataFrame(
        {
            "agent": [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)],
            "n": [1, 2],
            "status": ["ok", "ok"],
        }
    )
    result = pivoted(days, rows=["agent", "n"], totals="row")
    assert result.rows() == [
        ("2024-01-01 00:00:00+00:00", 1, 1),
        ("2024-01-02 03:04:05.600+00:00", 2, 1),
        ("Total", None, 2),
    ]


def test_several_values_and_several_columns() -> None:
    result = pivoted(columns=["status", "agent"], rows="ms", values=["cost", "ms"], function="count")
    assert result.columns[1:] == [
        *("cost_failed_a", "cost_ok_a", "cost_ok_b", "cost_ok_(null)", "cost_(null)_a"),
        *("ms_failed_a", "ms_ok_a", "ms_ok_b", "ms_ok_(null)", "ms_(null)_a"),
    ]
    assert result.row(by_predicate=pl.col("ms") == 1)[1:] == (0, 0, 1, 0, 0, 0, 0, 1, 0, 0)


def test_columns_in_the_order_of_their_first_appearance() -> None:
    assert pivoted(sorted=False).columns == ["agent", "ok", "failed", "(null)"]


def test_columns_in_the_order_of_their_values_not_of_their_text() -> None:
    rows = pl.DataFrame({"agent": ["a"] * 3, "status": [10, 9, -1]})
    assert pivoted(rows).columns == ["agent", "-1", "9", "10"]


def test_names_never_collide() -> None:
    rows = pl.DataFrame({"agent": list("abcdef"), "status": ["agent", "Total", "(null)", None, "", "agent (2)"]})
    result = pivoted(rows, totals="column")
    assert result.columns == [
        *("agent", "(empty)", "(null)", "Total", "agent (3)", "agent (2)", "(null) (2)", "Total (2)"),
    ]
    assert result["agent (3)"].to_list() == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("rows", ["agent", []])
def test_values_may_be_called_as_they_like(rows: Any) -> None:
    names = ["number", "_number", "count", "_count", "agent", "status", "Total"]
    given = pl.DataFrame({"agent": names, "status": names})
    result = pivoted(given, rows=rows, totals=True if rows else "column")
    assert sorted(result.columns[bool(rows) :]) == sorted(
        name.replace("agent", "agent (2)") if rows else name for name in [*names, "Total (2)"]
    )
    assert result.row(-1)[bool(rows) :] == (1,) * 7 + (7,)


def test_null_and_nan_are_one_column() -> None:
    rows = pl.DataFrame({"agent": ["a", "a", "a"], "status": [float("nan"), None, 1.0]})
    assert pivoted(rows).rows(named=True) == [{"agent": "a", "1.0": 1, "(null)": 2}]


def test_too_many_columns_are_refused_with_their_number() -> None:
    rows = pl.DataFrame({"agent": ["a"] * 1500, "status": range(1500), "ms": range(1500)})
    with pytest.raises(
        ConfigError, match=r"'status' has 1,500 different values, which would become 1,500 columns, more"
    ):
        pivoted(rows)
    with pytest.raises(ConfigError, match=r"1,500 different values x 2 values, .* 3,000 .* max_columns \(2,000\)"):
        pivoted(rows, values=["ms", "status"], max_columns=2000)
    assert pivoted(rows, max_columns=1500).shape == (1, 1501)


def test_a_pivot_of_groups() -> None:
    result = pivoted(
        values="total",
        then={
            "aggregate": {"group_by": ["agent", "status"], "measures": {"total": {"sum": "ms"}}},
            "columns": {"rename": {"(null)": "unknown"}, "exclude": ["failed"]},
            "sort": ["-ok"],
        },
    )
    assert result.columns == ["agent", "ok", "unknown"]
    assert result.rows() == [("a", 6, 0), ("b", 6, None), (None, 3, None)]


def test_a_column_that_no_row_makes_today_need_not_be_there_to_be_renamed_moved_or_left_out() -> None:
    columns = {"rename": {"timeout": "late", "ok": "fine"}, "order": ["timeout", "ok"], "exclude": ["lost"]}
    assert pivoted(then={"columns": columns}).columns == ["fine", "agent", "failed", "(null)"]
    with pytest.raises(ConfigError, match=r"columns.include: column 'timeout' is unknown"):
        pivoted(then={"columns": ["agent", "timeout"]})


def test_sums_are_exact_in_cells_too() -> None:
    rows = pl.DataFrame(
        {"agent": ["a", "a"], "status": ["x", "x"], "d": [Decimal("0.10"), Decimal("0.20")], "i": [2**62] * 2}
    )
    assert pivoted(rows, values="d").rows() == [("a", Decimal("0.30"))]
    with pytest.raises(Exception, match="the sum 'x' is 9223372036854775808 in a group, which does not fit Int64"):
        pivoted(rows, values="i")


def test_text_can_fill_cells() -> None:
    result = pivoted(values="status", columns="ms", rows="agent", function="max")
    assert result.columns == ["agent", "1", "2", "3", "5", "6", "(null)"]
    assert result.rows()[0] == ("a", None, "failed", None, None, "ok", None)


def test_without_rows_there_is_one_row_of_everything() -> None:
    result = pivoted(rows=[], values=["ms", "cost"], function="avg", totals="column")
    assert result.rows(named=True) == [
        {
            "ms_failed": 2.0,
            "ms_ok": 3.75,
            "ms_(null)": None,
            "ms_Total": 3.4,
            "cost_failed": 2.5,
            "cost_ok": 1.0,
            "cost_(null)": 4.0,
            "cost_Total": 2.125,
        }
    ]
    assert Query.model_validate({"pivot": {"columns": "status"}}) == Query(pivot=Pivot(columns=["status"], rows=[]))
    then = {"columns": {"exclude": ["(null)"]}, "sort": ["-ok"], "limit": 1}
    assert pivoted(rows=[], then=then).rows(named=True) == [{"failed": 1, "ok": 4}]


def test_without_rows_nothing_has_no_row_but_a_column() -> None:
    kinds = {"ms by status": pl.Int64(), "cost by status": pl.Float64()}
    assert pivoted(RUNS.clear(), rows=[], values=["ms", "cost"]).schema == kinds
    assert pivoted(RUNS.clear(), rows=[]).shape == (0, 1)
    assert pivoted(RUNS.clear(), rows=[], totals="column").columns == ["Total"]
    assert pivoted(RUNS.clear(), rows=[], totals="column").is_empty()


def test_what_stands_for_the_columns_that_are_not_known_yet() -> None:
    query = Query(pivot=Pivot(rows=["ms"], columns=["status"], values=["cost", "agent"], function="max", totals=True))
    assert query.check(RUNS.schema) == pl.Schema(
        {"ms": pl.String(), "cost by status": pl.Float64(), "agent by status": pl.String()}
    )


@pytest.mark.parametrize(
    ("pivot", "message"),
    [
        ({"rows": "agnt"}, r"pivot.rows: unknown column 'agnt' \(did you mean 'agent'\?\)"),
        ({"columns": "stats"}, r"pivot.columns: unknown column 'stats'"),
        ({"values": "mss"}, r"pivot.values: unknown column 'mss'"),
        ({"values": "agent", "rows": "ms"}, r"pivot.values: column 'agent' is text, which does not fit"),
    ],
)
def test_wrong_pivot(pivot: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pivoted(**pivot)


@pytest.mark.parametrize(
    ("pivot", "message"),
    [
        ({"columns": []}, "at least 1 item"),
        ({"rows": [], "totals": True}, "a pivot without rows has one row"),
        ({"rows": [], "totals": "row"}, "say totals: column"),
        ({"columns": "agent"}, "'agent' is named twice in rows and columns"),
        ({"values": ["ms", "ms"]}, "values names 'ms' twice"),
        ({"function": "sum"}, "sum of what"),
        ({"values": "ms", "function": "summ"}, "did you mean 'sum'"),
        ({"values": "ms", "function": "p101"}, "unknown function 'p101'"),
        ({"values": "ms", "function": "last"}, "aggregate with it first"),
        ({"max_columns": 0}, "greater than or equal to 1"),
    ],
)
def test_impossible_pivot(pivot: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Pivot.model_validate({"rows": "agent", "columns": "status"} | pivot)


def test_a_value_that_means_every_column_is_one_column() -> None:
    frame = pl.DataFrame({"agent": ["a", "a", "b"], "status": ["*", "^a.*$", "(*)"]})
    assert pivoted(frame).rows(named=True) == [
        {"agent": "a", "(*)": 0, "(*) (2)": 1, "(^a.*$)": 1},
        {"agent": "b", "(*)": 1, "(*) (2)": 0, "(^a.*$)": 0},
    ]


def test_measures_that_mean_every_column_are_refused() -> None:
    query = Query.model_validate(
        {
            "aggregate": {"group_by": ["agent", "status"], "measures": {"*": "count"}},
            "pivot": {"rows": "agent", "columns": "status", "values": "*"},
        }
    )
    with pytest.raises(ConfigError, match=r"the aggregation has a column '\*'"):
        query.check(RUNS.schema)
