"""Random groups, measures, orders and pivots, beside DuckDB's SQL over the same rows."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipeline.query import Query

ZONE = "Europe/Berlin"
ROWS = 3000


def make_rows() -> pl.DataFrame:
    """Return rows of all types, skewed, with nulls, NaN, ties and moments around a change of clocks."""
    draw = random.Random(20240331)

    def some(values: Sequence[Any], share: float = 0.1) -> list[Any]:
        return [None if draw.random() < share else draw.choice(values) for _ in range(ROWS)]

    moments = [datetime(2024, 3, 25, tzinfo=UTC) + timedelta(minutes=draw.randrange(60 * 24 * 14)) for _ in range(400)]
    return pl.DataFrame(
        {
            "row": range(ROWS),
            "agent": some(["a", "b", "c", "ä", "B", ""], 0.05),
            "code": some([0, 1, 2, 127]),
            "small": some([-1000, 0, 5, 2**31 - 1]),
            "big": some([2**53 + 1, -(2**40), 3, 17]),
            "ratio": some([1.5, -0.25, 1e-3, float("nan"), 12345.678, 0.0]),
            "price": some([Decimal("0.10"), Decimal("-3.33"), Decimal("99999999.99")]),
            "done": some([True, False]),
            "day": some([date(2024, 2, 29) + timedelta(days=n) for n in range(40)]),
            "seen": some(moments),
            "naive": [None if m is None else m.replace(tzinfo=None) for m in some(moments)],
        },
        schema_overrides={"code": pl.UInt8, "small": pl.Int32, "price": pl.Decimal(12, 2)},
    )


DATA = make_rows()
NUMBERS = ("code", "small", "big", "ratio", "price")
KEYS = ("agent", "code", "done", "day", "ratio", "price")
ANY = tuple(name for name in DATA.columns if name != "row")


@pytest.fixture(scope="module")
def sql() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'; set threads = 1")
    connection.register("given", DATA.to_arrow())
    # NaN counts as null; moments without a zone are UTC.
    connection.execute(
        "create table rows as select * replace"
        " (if(isnan(ratio), null, ratio) as ratio, naive at time zone 'UTC' as naive) from given"
    )
    yield connection
    connection.close()


@dataclass(frozen=True)
class Case:
    """One measure, twice: in the words of an export, and in SQL."""

    measure: Any
    sql: str


def fold(kind: str, column: str, p: float = 0) -> str:
    """Return the SQL of a measure of a column."""
    number = f"{column}::double" if column == "price" else column
    return {
        "count": f"count({column})",
        "distinct": f"count(distinct {column})",
        "sum": f"coalesce(sum({column}), 0)",
        "avg": f"avg({number})",
        "min": f"min({column})",
        "max": f"max({column})",
        "median": f"quantile_cont({number}::double, 0.5)",
        "percentile": f"quantile_cont({number}::double, {p / 100!r})",
        "std": f"stddev_samp({number}::double)",
    }[kind]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind = draw(
        st.sampled_from(
            ["rows", "count", "distinct", "sum", "avg", "min", "max", "median", "percentile", "std", "first", "last"]
        )
    )
    if kind == "rows":
        return Case("count", "count(*)")
    if kind in ("first", "last"):
        column, order = draw(st.sampled_from(ANY)), draw(st.sampled_from([*ANY, None]))
        down = " desc" if kind == "last" else ""
        keys = f"row{down}" if order is None else f"{order}{down}, row{down}"
        counts = f"{column} is not null" + ("" if order is None else f" and {order} is not null")
        body = column if order is None else {"field": column, "order_by": order}
        return Case({kind: body}, f"first({column} order by {keys}) filter (where {counts})")
    fits = ANY if kind in ("count", "distinct", "min", "max") else NUMBERS
    column = draw(st.sampled_from(fits))
    if kind == "percentile":
        p = draw(st.sampled_from([0, 1, 10, 33.3, 50, 95, 99.9, 100]))
        return Case({"percentile": {"field": column, "p": p}}, fold(kind, column, p))
    return Case({kind: column}, fold(kind, column))


STEPS = {
    "minute": "date_trunc('minute', {0})",
    "15 minutes": "time_bucket(interval '15 minutes', {0})",
    "hour": "date_trunc('hour', {0})",
    **{
        unit: f"date_trunc('{unit}', {{0}} at time zone '{ZONE}') at time zone '{ZONE}'"
        for unit in ("day", "week", "month", "quarter", "year")
    },
}
"""The step that a moment belongs to; shorter ones do not depend on a zone whose offset is whole hours."""


def same(ours: object, theirs: object) -> bool:
    if isinstance(ours, float) and isinstance(theirs, (int, float)):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(ours, datetime) and isinstance(theirs, datetime) and ours.tzinfo is None:
        return ours == theirs.astimezone(UTC).replace(tzinfo=None)
    return bool(ours == theirs)


def compare(ours: Sequence[tuple[Any, ...]], theirs: Sequence[tuple[Any, ...]]) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert len(mine) == len(other)
        assert all(same(a, b) for a, b in zip(mine, other, strict=True)), (mine, other)


def answer(query: dict[str, Any]) -> pl.DataFrame:
    made = Query.model_validate({"timezone": ZONE} | query)
    made.check(DATA.schema)
    return made.apply(DATA.lazy().select(made.needs(DATA.schema))).collect(engine="streaming")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_groups(data: st.DataObject, sql: duckdb.DuckDBPyConnection) -> None:
    keys = data.draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=2), label="keys")
    step = data.draw(st.sampled_from([None, None, *STEPS]), label="step")
    moment = data.draw(st.sampled_from(["seen", "naive"]))
    made = data.draw(st.lists(cases(), min_size=1, max_size=4), label="measures")
    least = data.draw(st.sampled_from([None, None, 2, 20]), label="having")
    bound = data.draw(st.sampled_from([None, -1, 3]), label="filter")
    down = data.draw(st.booleans())
    limit = data.draw(st.sampled_from([None, None, 1, 7]))
    measures = {"n": "count"} | {f"m{place}": case.measure for place, case in enumerate(made)}
    aggregate: dict[str, Any] = {"group_by": keys, "measures": measures}
    query: dict[str, Any] = {"aggregate": aggregate, "sort": [{"field": "n", "descending": down}], "limit": limit}
    if step is not None:
        aggregate["time_bucket"] = {"field": moment, "every": step, "name": "step"}
    if least is not None:
        aggregate["having"] = {"where": {"field": "n", "operator": "ge", "value": least}}
    if bound is not None:
        query["filter"] = {"where": {"field": "small", "operator": "gt", "value": bound}}
    grouped = [*([] if step is None else [f"({STEPS[step].format(moment)})"]), *keys]
    chosen = ", ".join([*grouped, "count(*) as n", *(case.sql for case in made)])
    text = f"select {chosen} from rows"
    text += "" if bound is None else f" where small > {bound}"
    text += f" group by {', '.join(grouped)}" if grouped else ""
    text += "" if least is None else f" having count(*) >= {least}"
    order = [f"n {'desc' if down else 'asc'}", *(f"{key} asc" for key in grouped)]
    text += f" order by {', '.join(f'{key} nulls last' for key in order)}"
    text += "" if limit is None else f" limit {limit}"
    compare(answer(query).rows(), sql.sql(text).fetchall())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_pivots(data: st.DataObject, sql: duckdb.DuckDBPyConnection) -> None:
    row, column = data.draw(st.permutations(KEYS))[:2]
    function = data.draw(st.sampled_from(["count", "distinct", "sum", "avg", "min", "max", "median", "std", "p95"]))
    value = data.draw(st.sampled_from(NUMBERS))
    rows = data.draw(st.sampled_from([[row], [row], []]))
    ours = answer(
        {"pivot": {"rows": rows, "columns": column, "values": value, "function": function, "totals": "column"}}
    )
    found = [each for (each,) in sql.sql(f"select distinct {column} from rows order by 1 nulls last").fetchall()]
    kind, p = ("percentile", 95) if function == "p95" else (function, 0)
    folded = fold(kind, value, p)
    # A cell without values is empty; the sum of nothing is 0 only where groups are measured.
    folded = f"sum({value})" if function == "sum" else folded
    cells = [f"{folded} filter (where {column} is not distinct from $v{place})" for place in range(len(found))]
    text = f"select {', '.join([*rows, *cells, folded])} from rows"
    text += f" group by {row} order by {row} nulls last" if rows else ""
    theirs = sql.execute(text, {f"v{place}": each for place, each in enumerate(found)}).fetchall()
    assert len(ours.columns) == len(found) + 1 + len(rows)
    compare(ours.rows(), theirs)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_orders_of_single_rows(data: st.DataObject, sql: duckdb.DuckDBPyConnection) -> None:
    keys = data.draw(st.lists(st.sampled_from(ANY), unique=True, min_size=1, max_size=3))
    down = data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys)))
    limit = data.draw(st.sampled_from([None, 1, 100]))
    ours = answer(
        {
            "sort": [{"field": key, "descending": way} for key, way in zip(keys, down, strict=True)],
            "limit": limit,
            "columns": ["row"],
        }
    )
    order = [f"{key} {'desc' if way else 'asc'} nulls last" for key, way in zip(keys, down, strict=True)]
    text = f"select row from rows order by {', '.join([*order, 'row'])}" + ("" if limit is None else f" limit {limit}")
    compare(ours.rows(), sql.sql(text).fetchall())
