"""Every measure, of everything and of nothing."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from export_pipeline.aggregations import AnyMeasure
from export_pipeline.errors import ExportError
from export_pipeline.options import members_of
from export_pipeline.query import Query
from export_pipeline_tests.aggregations.grouped import INF, NAN, grouped


def measured(values: list[Any], measure: Any, dtype: Any = None) -> Any:
    """Return a measure of all the values of a column ``x``."""
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    return grouped(frame, measures={"m": measure})["m"].to_list()[0]


@pytest.mark.parametrize(
    ("values", "measure", "expected"),
    [
        ([1, None, 3], "count", 3),
        ([1, None, 3], {"count": "x"}, 2),
        ([1.0, NAN, None], "count", 3),
        ([1.0, NAN, None], {"count": "x"}, 1),
        ([1, 1, None, 2], {"distinct": "x"}, 2),
        ([NAN, None, 1.5, 1.5], {"distinct": "x"}, 1),
        ([0.0, -0.0], {"distinct": "x"}, 1),
        ([1, 2, None], {"sum": "x"}, 3),
        ([1.5, NAN, None], {"sum": "x"}, 1.5),
        ([True, None, True, False], {"sum": "x"}, 2),
        ([Decimal("0.10"), Decimal("0.20"), None], {"sum": "x"}, Decimal("0.30")),
        ([timedelta(hours=1), None, timedelta(minutes=1)], {"sum": "x"}, timedelta(hours=1, minutes=1)),
        ([1, 2, None], {"avg": "x"}, 1.5),
        ([True, False, None, False, False], {"avg": "x"}, 0.25),
        ([2.0, NAN], {"avg": "x"}, 2.0),
        ([Decimal("1.10"), Decimal("2.20")], {"avg": "x"}, pytest.approx(1.65)),
        ([timedelta(seconds=1), timedelta(seconds=2)], {"avg": "x"}, timedelta(seconds=1.5)),
        ([INF, 1.0], {"avg": "x"}, INF),
        ([3.0, NAN, 1.0], {"min": "x"}, 1.0),
        ([3.0, NAN, 1.0], {"max": "x"}, 3.0),
        (["b", None, "a", "B"], {"min": "x"}, "B"),
        ([True, None, False], {"max": "x"}, True),
        ([date(2024, 1, 2), date(2024, 1, 1)], {"min": "x"}, date(2024, 1, 1)),
        ([time(2), time(1)], {"max": "x"}, time(2)),
        ([1, 2, 3, 4], {"percentile": {"field": "x", "p": 95}}, pytest.approx(3.85)),
        ([1, 2, 3, 4], {"percentile": {"field": "x", "p": 0}}, 1.0),
        ([1, 2, 3, 4], {"percentile": {"field": "x", "p": 100}}, 4.0),
        ([1.0, INF, INF], {"percentile": {"field": "x", "p": 75}}, INF),
        ([1, 2, None, 4], {"median": "x"}, 2.0),
        ([1.0, NAN, 2.0], {"median": "x"}, 1.5),
        ([Decimal("1.10"), Decimal("2.20")], {"median": "x"}, pytest.approx(1.65)),
        ([timedelta(seconds=1), timedelta(seconds=2)], {"median": "x"}, timedelta(seconds=1.5)),
        ([2, 4, None], {"std": "x"}, pytest.approx(2**0.5)),
        ([2, None], {"std": "x"}, None),
        ([NAN, 2.0, 2.0], {"std": "x"}, 0.0),
    ],
)
def test_measure(values: list[Any], measure: Any, expected: Any) -> None:
    assert measured(values, measure) == expected


@pytest.mark.parametrize("values", [[], [None, None]])
@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ({"count": "x"}, 0),
        ({"distinct": "x"}, 0),
        ({"sum": "x"}, 0),
        ({"avg": "x"}, None),
        ({"min": "x"}, None),
        ({"max": "x"}, None),
        ({"percentile": {"field": "x", "p": 50}}, None),
        ({"median": "x"}, None),
        ({"std": "x"}, None),
        ({"first": "x"}, None),
        ({"last": {"field": "x", "order_by": "x"}}, None),
    ],
)
@pytest.mark.parametrize("dtype", [pl.Int32, pl.Float64, pl.Decimal(10, 2), pl.Null])
def test_of_nothing(values: list[Any], measure: Any, expected: Any, dtype: Any) -> None:
    assert measured(values, measure, dtype) == expected


def test_every_measure_is_tested_above() -> None:
    assert set(members_of(AnyMeasure)) == {
        "count", "distinct", "sum", "avg", "min", "max", "percentile", "median", "std", "first", "last",
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32])
def test_sums_of_whole_numbers_do_not_wrap(dtype: Any) -> None:
    top = dtype.max()
    greatest = pl.select(top).item()
    if dtype == pl.Int64:
        assert measured([greatest, greatest, -greatest], {"sum": "x"}, dtype) == greatest
    else:
        assert measured([greatest] * 3, {"sum": "x"}, dtype) == 3 * greatest


def test_a_sum_past_64_bits_fails_by_name_or_is_wide() -> None:
    with pytest.raises(ExportError, match=r"the sum 'm' is 9223372036854775808 in a group") as raised:
        measured([2**62, 2**62], {"sum": "x"})
    assert "wide: true" in str(raised.value)
    assert measured([2**62, 2**62], {"sum": {"field": "x", "wide": True}}) == Decimal(2**63)
    assert measured([2**64 - 1] * 2, {"sum": {"field": "x", "wide": True}}, pl.UInt64) == Decimal(2**65 - 2)
    with pytest.raises(ExportError, match=r"the sum 'm' is 9223372036854775808"):
        measured([2**62, 2**62], {"sum": "x"}, pl.Duration("ns"))


def test_decimals_are_summed_exactly() -> None:
    ten = [Decimal("0.1")] * 10
    assert measured(ten, {"sum": "x"}, pl.Decimal(4, 1)) == Decimal("1.0")
    wide = Decimal("12345678901234567890.12")
    assert measured([wide, wide], {"sum": "x"}, pl.Decimal(38, 2)) == 2 * wide
    frame = pl.DataFrame({"x": pl.Series(ten, dtype=pl.Decimal(4, 1))})
    query = Query.model_validate({"aggregate": {"measures": {"m": {"sum": "x"}}}})
    assert query.check(frame.schema)["m"] == pl.Decimal(38, 1)


def test_short_floats_are_summed_as_long_ones() -> None:
    assert measured([16777216.0, 1.0, 1.0], {"sum": "x"}, pl.Float32) == 16777218.0


def test_first_and_last() -> None:
    rows = {"x": ["a", "b", "c", "d", None], "when": [2, 1, 2, 1, 0]}
    ends = grouped(
        rows,
        measures={
            "first": {"first": {"field": "x", "order_by": "when"}},
            "last": {"last": {"field": "x", "order_by": "when"}},
            "begin": {"first": "x"},
            "end": {"last": "x"},
        },
    )
    # The null of `x` at 0 does not count; ties go to the earlier row for first, to the later for last.
    assert ends.rows() == [("b", "c", "a", "d")]


def test_rows_without_an_order_are_neither_first_nor_last() -> None:
    rows = {"g": [1, 1, 1, 2], "x": ["a", "b", "c", "d"], "when": [None, 2.0, NAN, None]}
    ends = grouped(
        rows,
        group_by="g",
        measures={
            "first": {"first": {"field": "x", "order_by": "when"}},
            "last": {"last": {"field": "x", "order_by": "when"}},
        },
    )
    assert ends.rows() == [(1, "b", "b"), (2, None, None)]


@pytest.mark.parametrize(
    "order",
    [
        pl.Series([Decimal("1.5"), Decimal("-2.5"), Decimal("0.5")]),
        pl.Series(["b", "a", "ab"]),
        pl.Series([1.5, -INF, 0.0]),
        pl.Series([datetime(2024, 1, 2), datetime(1950, 1, 1), datetime(2024, 1, 1)]),
        pl.Series([True, False, False]),
        pl.Series(["x", "y", "z"], dtype=pl.Enum(["y", "z", "x"])),
        pl.Series([7, 0, 3], dtype=pl.UInt64),
    ],
)
def test_first_in_any_order(order: pl.Series) -> None:
    rows = pl.DataFrame({"x": ["last", "first", "middle"], "o": order})
    measures = {"f": {"first": {"field": "x", "order_by": "o"}}, "l": {"last": {"field": "x", "order_by": "o"}}}
    assert grouped(rows, measures=measures).rows() == [("first", "last")]


def test_first_takes_any_type() -> None:
    assert measured([[1, 2], [3]], {"last": "x"}) == [3]
    assert measured([b"\x00", b"\x01"], {"first": "x"}) == b"\x00"
