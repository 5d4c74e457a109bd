"""Every pair of values of the options of JSON, over every nasty value: equal when read back, or a named loss."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.json.documents import document, json_form, written
from export_pipeline_tests.formats.pairwise import pairwise

FLAT: Any = "flat"
NESTED = {
    "nested": {
        "by": [{"key": "group", "name": "groups"}, {"key": "row", "name": "rows", "keep": True}],
        "records": "list",
        "missing": "none",
    }
}
NORMALIZED = {
    "normalized": {
        "entities": {"groups": {"key": "group", "fields": []}, "rows": {"key": "row"}},
        "relationships": {"group_rows": {"from": "groups", "to": "rows"}},
    }
}
FIRST = {"normalized": NORMALIZED["normalized"] | {"duplicates": "first"}}
OPTIONS: dict[str, list[Any]] = {
    "structure": [FLAT, NESTED, NORMALIZED, FIRST],
    "layout": ["records", "array", "lines"],
    "pretty_print": [False, True],
    "include_metadata": [False, True],
    "compression": ["none", {"gzip": 5}, {"brotli": 3}, {"zstd": 2}],
    "date_format": ["iso", "unix", {"unix": "ms"}, {"custom": "DD/MM/YYYY HH:mm:ss.SSS"}],
    "null_handling": ["include", "exclude", "empty"],
    "array_handling": ["expand", "stringify"],
    "non_finite": ["null", "string", "error"],
    "integers": ["number", "text"],
    "decimals": ["text", "number"],
}
"""Option -> its values, each at least once."""


def valid(options: dict[str, Any]) -> bool:
    try:
        json_form(options)
    except ValidationError:
        return False
    return True


COVERED = pairwise(OPTIONS, valid)


def test_every_value_and_every_pair_that_goes_together_is_there() -> None:
    for (one, first), (other, second) in itertools.combinations(
        ((name, value) for name, values in OPTIONS.items() for value in values), 2
    ):
        if one != other and valid({one: first, other: second}):
            assert any(case.get(one) == first and case.get(other) == second for case in COVERED), (
                one,
                first,
                other,
                second,
            )


def records_of(found: Any, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records by row number."""
    if options["structure"] == NESTED:
        rows = {int(row): one for group in found["groups"].values() for row, one in group["rows"].items()}
        return [rows[n]["list"][0] for n in sorted(rows)]
    if options["structure"] in (NORMALIZED, FIRST):
        return [found["rows"][str(n)] for n in range(len(found["rows"]))]
    return found["records"] if options["layout"] == "records" else found  # type: ignore[no-any-return]


@pytest.mark.parametrize("number", range(len(COVERED)))
def test_values_are_equal_or_a_named_loss(number: int, tmp_path: Path) -> None:
    options = COVERED[number]
    without: set[str] = set()
    if options["decimals"] == "number":
        without |= {"decimal", "decimal0", "int128"}
    if options["non_finite"] == "error":
        without |= {"non_finite", "struct_leaves", "list_list"}
    frame = nasty.table(without=tuple(without)).with_row_index("row").with_columns(group=pl.col("row") % 3)
    losses = {loss.column for loss in written(frame, tmp_path, **options).losses}
    records = records_of(document(frame, tmp_path, exact=True, **options), options)
    assert len(records) == frame.height
    for name in frame.drop("row", "group").columns:
        for record, value in zip(records, values(frame[name]), strict=True):
            if not equal(record, name, value, options):
                assert name in losses, f"{name}: {value!r} became {record.get(name, 'nothing')!r} without a word"


def equal(record: dict[str, Any], name: str, value: Any, options: dict[str, Any]) -> bool:
    """Return whether a field has the value in JSON's own types."""
    if name not in record:
        return value is None and options["null_handling"] == "exclude"
    found = record[name]
    if isinstance(value, float) and isinstance(found, (int, Decimal)):
        number = float(found)
        if name == "float32":  # written with as many digits as it takes to be read as one
            number = struct.unpack("f", struct.pack("f", number))[0]
        return number == value and math.copysign(1, number) == math.copysign(1, value)
    if options["non_finite"] == "string" and isinstance(value, float) and not math.isfinite(value):
        return str(float(found)) == str(value)
    if isinstance(value, Decimal):
        return Decimal(found) == value
    if isinstance(value, (dt.date, dt.time)):
        try:
            if isinstance(value, dt.datetime) and value.tzinfo is not None:
                return dt.datetime.fromisoformat(found).astimezone(dt.UTC) == value.astimezone(dt.UTC)
            return bool(type(value).fromisoformat(found) == value)
        except (TypeError, ValueError):
            return False
    return bool(found == value)


def values(column: pl.Series) -> list[Any]:
    """Return the values; nanoseconds as texts, for which Python has no type."""
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_unit == "ns":
        return column.dt.to_string("iso:strict").to_list()
    return column.to_list()
