"""Each two option values of Parquet together, over the nasty values: verified, and read by DuckDB too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from pydantic import TypeAdapter

from export_pipeline.formats import Parquet
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.pairwise import pairwise
from export_pipeline_tests.formats.test_contract import proven

OPTIONS: dict[str, list[Any]] = {
    "compression": [{"zstd": 5}, {"gzip": 1}, {"brotli": 2}, "snappy", "lz4", "none"],
    "row_group_size": [None, 7],
    "statistics": [True, False],
}
ROWS = pairwise(OPTIONS)
SEEN = ["text", "int64", "uint64", "float64", "float32", "bool", "decimal", "us", "binary", "list"]
"""Columns whose types Python has for DuckDB's answers."""


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_every_pair_of_options(row: dict[str, Any], tmp_path: Path) -> None:
    form = TypeAdapter(Parquet).validate_python(row)
    path = proven(form, nasty.table(), tmp_path).path
    names = ", ".join(f'"{name}"' for name in SEEN)
    with duckdb.connect() as database:
        found = database.execute(f"select {names} from read_parquet('{path}')").fetchall()
    assert [list(map(repr, fields)) for fields in found] == [
        list(map(repr, fields)) for fields in form.render(nasty.table().select(SEEN).lazy()).collect().rows()
    ]


def test_small_groups_are_small(tmp_path: Path) -> None:
    path = proven(TypeAdapter(Parquet).validate_python({"row_group_size": 7}), pl.DataFrame({"n": range(20)}), tmp_path)
    rows = duckdb.execute(f"select distinct row_group_num_rows from parquet_metadata('{path.path}')").fetchall()
    assert sorted(rows) == [(6,), (7,)]
