"""Numbers as text: against Python's own formatting of the exact value."""

from __future__ import annotations

import decimal
import random
import struct
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from export_pipeline.formats.numbers import NumberFormat
from export_pipeline_tests.formats.streaming import not_streaming

WIDE = decimal.Context(prec=700)
ROUNDING = {"half_even": decimal.ROUND_HALF_EVEN, "half_up": decimal.ROUND_HALF_UP}


def by_python(value: Any, form: NumberFormat) -> str | None:
    """Return the text that Python's decimals make of the exact value."""
    if value is None:
        return None
    if isinstance(value, float) and value - value != 0:
        return {"nan": "NaN", "inf": "inf", "-inf": "-inf"}[str(value)]
    exact = Decimal(value)
    if form.decimals is not None:
        negative = exact.is_signed()
        exact = exact.copy_abs().quantize(Decimal(1).scaleb(-form.decimals), ROUNDING[form.rounding], WIDE)
        exact = exact.copy_negate() if negative else exact
    text = f"{exact:,f}" if form.thousands_separator else f"{exact:f}"
    return text.translate({ord(","): form.thousands_separator, ord("."): form.separator})


def texts(values: list[Any], dtype: pl.DataType, form: NumberFormat) -> list[str | None]:
    frame = pl.DataFrame({"n": pl.Series(values, dtype=dtype)})
    return frame.select(form.formatted(pl.col("n"), dtype, named=True)).to_series().to_list()


FORMS = [
    NumberFormat(decimals=decimals, separator=separator, thousands_separator=thousands, rounding=rounding)
    for decimals in (0, 1, 2, 3, 6, 20)
    for separator, thousands in ((".", ""), (".", ","), (",", "."), (",", " "), (".", "'"), (",", "\u202f"))
    for rounding in ("half_even", "half_up")
]
forms = st.sampled_from(FORMS)


def random_floats(chance: random.Random, count: int) -> list[float]:
    """Return floats of every size, ordinary amounts, and exact halves."""
    bits = [struct.unpack("d", chance.randbytes(8))[0] for _ in range(count)]
    amounts = [round(chance.gauss(0, 1000), chance.randint(0, 4)) for _ in range(count)]
    halves = [chance.randint(-(10**6), 10**6) / 2 ** chance.randint(1, 8) for _ in range(count)]
    return [*bits, *amounts, *halves]


def test_floats_are_equal_to_python() -> None:
    chance = random.Random(1)
    for form in FORMS:
        values = [*random_floats(chance, 150), None, -0.0, 0.0, 2.675, 1.005, 0.5, -0.001, 999.9995, 1e22, 5e-324]
        assert texts(values, pl.Float64(), form) == [by_python(value, form) for value in values], form


@settings(max_examples=100, deadline=None)
@given(form=forms, values=st.lists(st.none() | st.floats()))
def test_any_floats_are_equal_to_python(form: NumberFormat, values: list[float | None]) -> None:
    assert texts(values, pl.Float64(), form) == [by_python(value, form) for value in values]


@settings(max_examples=60, deadline=None)
@given(form=forms, values=st.lists(st.floats(width=32)))
def test_floats_of_32_bits_are_rounded_as_what_they_are(form: NumberFormat, values: list[float]) -> None:
    assert texts(values, pl.Float32(), form) == [by_python(value, form) for value in values]


@settings(max_examples=60, deadline=None)
@given(form=forms, values=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_integers_are_equal_to_python(form: NumberFormat, values: list[int | None]) -> None:
    assert texts(values, pl.Int64(), form) == [by_python(value, form) for value in values]


@settings(max_examples=100, deadline=None)
@given(form=forms, scale=st.integers(0, 38), numbers=st.lists(st.none() | st.integers(1 - 10**38, 10**38 - 1)))
def test_decimals_are_equal_to_python(form: NumberFormat, scale: int, numbers: list[int | None]) -> None:
    values = [None if number is None else Decimal(number).scaleb(-scale, WIDE) for number in numbers]
    assert texts(values, pl.Decimal(38, scale), form) == [by_python(value, form) for value in values]


@pytest.mark.parametrize(("rounding", "texts_"), [("half_even", ["0.12", "0.38"]), ("half_up", ["0.13", "0.38"])])
@pytest.mark.parametrize("dtype", [pl.Float64(), pl.Float32(), pl.Decimal(10, 3)])
def test_halves(rounding: Any, texts_: list[str], dtype: pl.DataType) -> None:
    values = [Decimal("0.125"), Decimal("0.375")]
    given_ = values if isinstance(dtype, pl.Decimal) else [float(value) for value in values]
    form = NumberFormat(decimals=2, rounding=rounding)
    assert texts(given_, dtype, form) == texts_
    assert texts([-value for value in given_], dtype, form) == [f"-{text}" for text in texts_]


def test_without_decimals_a_number_keeps_its_own() -> None:
    form = NumberFormat(separator=",", thousands_separator=".")
    assert texts([1234567.125, 1e22, 1.5e300, 0.1, None], pl.Float64(), form) == [
        "1.234.567,125", "1e+22", "1,5e+300", "0,1", None
    ]  # fmt: skip
    assert texts([Decimal("-1234.50")], pl.Decimal(10, 2), form) == ["-1.234,50"]
    assert texts([2**127 - 1, -1], pl.Int128(), form)[0] == f"{2**127 - 1:,}".replace(",", ".")


def test_integers_get_decimals_only_where_they_are_named() -> None:
    form = NumberFormat(decimals=2, thousands_separator=",")
    frame = pl.DataFrame({"n": [1234567, None]})
    assert frame.select(form.formatted(pl.col("n"), pl.Int64())).to_series().to_list() == ["1,234,567", None]


def test_it_streams() -> None:
    frame = pl.DataFrame({"n": [x / 8 for x in range(50_000)]})
    form = NumberFormat(decimals=2, thousands_separator=",")
    lazy = frame.lazy().select(form.formatted(pl.col("n"), pl.Float64()))
    assert not_streaming(lazy) == []
    assert lazy.collect(engine="streaming").to_series().to_list() == [f"{x:,.2f}" for x in frame["n"]]


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"separator": ",", "thousandsSeparator": ","}, "must differ"),
        ({"separator": ""}, "a separator is one character"),
        ({"separator": "e"}, "not 'e'"),
        ({"thousandsSeparator": "--"}, "a separator is one character"),
        ({"decimals": 21}, "less than or equal to 20"),
        ({"rounding": "up"}, "half_even"),
        ({"decimal": 1}, "did you mean 'decimals'"),
    ],
)
def test_wrong_options_are_refused(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        NumberFormat.model_validate(given_)
