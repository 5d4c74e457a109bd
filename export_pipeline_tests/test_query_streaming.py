"""Queries stream: no step sees the whole table, and memory stays flat."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from export_pipeline.query import Query
from export_pipeline_tests.query_rows import FAILED, rows


def steps(query: dict[str, Any], path: Path) -> list[str]:
    """Return the steps of the physical plan of the streaming engine."""
    made = Query.model_validate(query)
    plan = made.apply(pl.scan_parquet(path)).show_graph(
        engine="streaming", plan_stage="physical", raw_output=True, show=False
    )
    assert plan is not None
    return re.findall(r'label="([a-z-]+)', plan)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("query") / "rows.parquet"
    rows(1000).write_parquet(path, row_group_size=100)
    return path


STREAMING = {"multi-scan", "select", "with-columns", "filter", "slice"}
"""Steps that hand on each batch as it comes."""
FOLDING = STREAMING | {"group-by", "reduce", "sort", "with-row-index"}
"""And those that keep groups; the sort is that of the groups."""


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"filter": FAILED, "columns": {"exclude": ["ms"], "rename": {"agent": "who"}, "order": ["at"]}},
        {"filter": {"not": {"where": {"field": "agent", "operator": "matches", "value": "1|2"}}}, "limit": 5},
        {"columns": ["id"]},
    ],
)
def test_single_rows_stream(query: dict[str, Any], parquet: Path) -> None:
    found = steps(query, parquet)
    assert found
    assert set(found) <= STREAMING


@pytest.mark.parametrize("every", ["15 minutes", "day", "week", "month"])
def test_groups_stream(every: str, parquet: Path) -> None:
    measures = {
        "runs": "count",
        "values": {"count": "ms"},
        "total": {"sum": "ms"},
        "ids": {"sum": "id"},
        "mean": {"avg": "ms"},
        "least": {"min": "at"},
        "most": {"max": "agent"},
        "spread": {"std": "ms"},
        "kinds": {"distinct": "status"},
        "first": {"first": "status"},
        "latest": {"last": {"field": "status", "order_by": "at"}},
    }
    bucket = {"field": "at", "every": every}
    query = {
        "aggregate": {"group_by": "agent", "time_bucket": bucket, "measures": measures},
        "timezone": "Europe/Berlin",
    }
    found = steps(query | {"filter": FAILED}, parquet)
    assert "group-by" in found
    assert set(found) <= FOLDING


def test_pivots_stream(parquet: Path) -> None:
    found = steps({"pivot": {"rows": "agent", "columns": "status", "values": ["ms", "id"]}}, parquet)
    assert "group-by" in found
    # The join looks up the few columns; it keeps nothing of the rows.
    assert set(found) <= FOLDING | {"equi-join", "in-memory-source"}


MEMORY = """
import sys
import polars as pl
from export_pipeline.query import Query
rows = pl.scan_parquet([sys.argv[1]] * int(sys.argv[2]))
query = Query.model_validate({"timezone": "Europe/Berlin", "aggregate": {
    "group_by": "agent", "time_bucket": {"field": "at", "every": "year"},
    "measures": {"n": "count", "s": {"sum": "id"}, "l": {"last": {"field": "status", "order_by": "ms"}}}}})
result = query.apply(rows).collect(engine="streaming")
print(result["n"].sum(), int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024)
"""


def test_few_groups_of_many_rows_need_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    rows(200_000).drop("tags").write_parquet(path, row_group_size=30_000)

    def peak(times: int) -> int:
        out = subprocess.run(
            [sys.executable, "-c", MEMORY, str(path), str(times)], capture_output=True, text=True, check=True
        ).stdout.split()
        assert int(out[0]) == times * 200_000
        return int(out[1])

    small, large = peak(2), peak(20)
    # 3.6 million rows more are over 150 MB of values.
    assert large < small + 80
