"""Which parts of a filter a database is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from export_pipeline.filters import AnyFilter, Roles, where
from export_pipeline_tests.filters.pushing import bound, compiled
from export_pipeline_tests.filters.samples import BERLIN

SCHEMA = pl.Schema({"a": pl.Int64(), "t": pl.String(), "f": pl.Float64(), "m": pl.Decimal(10, 2)})
A, B = where("a", "gt", 1), where("a", "lt", 5)
HIDDEN = where("t", "matches", "^x")
COLUMN_A: Mapping[str, Any] = {"a": sa.column("a")}


def pushed(filter_: AnyFilter, dialect: str = "duckdb", columns: Mapping[str, Any] = COLUMN_A) -> str | None:
    clause = filter_.bind(SCHEMA, Roles(), BERLIN).clause(columns, SCHEMA, BERLIN, dialect)
    if clause is None:
        return None
    text = clause.compile()
    return re.sub(r":(\w+)", lambda name: str(text.params[name[1]]), str(text))


def test_parts_that_cannot_be_asked_are_left_out() -> None:
    assert pushed(A) == "a > 1"
    assert pushed(A & HIDDEN) == "a > 1"
    assert pushed(A | HIDDEN) is None
    assert pushed(~HIDDEN) is None
    assert pushed(~(A & HIDDEN)) is None
    assert pushed(~(A | HIDDEN)) == "NOT coalesce(a > 1, false)"
    assert pushed((A & HIDDEN) | (B & HIDDEN)) == "a > 1 OR a < 5"
    assert pushed(~~A & ~HIDDEN) == "NOT coalesce(NOT coalesce(a > 1, false), false)"


def test_columns_that_may_not_be_asked_are_left_out() -> None:
    assert pushed(A, columns={}) is None
    assert pushed(A & where("f", "gt", 1)) == "a > 1"


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", ""])
def test_nothing_is_asked_of_a_database_whose_rules_are_not_known(dialect: str) -> None:
    assert pushed(A, dialect) is None


def test_long_lists_are_not_asked() -> None:
    assert pushed(where("a", "in", list(range(500)))) is not None
    assert pushed(where("a", "in", list(range(501)))) is None
    assert pushed(~where("a", "in", list(range(501)))) is None


def test_sqlite_is_not_asked_for_what_it_stores_in_too_many_ways() -> None:
    columns: Mapping[str, Any] = {name: sa.column(name) for name in SCHEMA}
    assert pushed(where("m", "gt", Decimal("1.5")), "sqlite", columns) is None
    assert pushed(where("t", "gt", "a"), "sqlite", columns) is None
    assert pushed(where("f", "gt", 2.0**53), "sqlite", columns) is None
    assert pushed(where("f", "gt", 1.5), "sqlite", columns) is not None


def test_values_are_bound_and_never_part_of_the_text() -> None:
    text, values = compiled(bound({"where": {"field": "t", "value": "x' OR 1=1 --"}}, SCHEMA), SCHEMA, "duckdb")
    assert "1=1" not in text
    assert values == ["x' OR 1=1 --"]
