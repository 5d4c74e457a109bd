"""Types as text and back."""

from __future__ import annotations

import polars as pl
import pytest

from export_pipeline.schemas import dtype_of, name_of, names_of, schema_of, text_of, texts_of
from export_pipeline_tests.formats import nasty

MORE = [
    pl.Enum([str(n) for n in range(300)]),
    pl.Enum(["it's", '"']),
    pl.Array(pl.Int8, (2, 3)),
    pl.Array(pl.List(pl.Enum(["x"])), 3),
    pl.Struct({"a\"'": pl.List(pl.Datetime("us", "Europe/Berlin"))}),
    pl.Struct({}),
    pl.Map(pl.String, pl.List(pl.Int64)),
    pl.UInt128(),
]


@pytest.mark.parametrize("dtype", [*(dtype for dtype, _ in nasty.COLUMNS.values()), *MORE], ids=lambda d: str(d)[:40])
def test_every_type_comes_back(dtype: pl.DataType) -> None:
    assert dtype_of(text_of(dtype)) == dtype


def test_schemas_come_back() -> None:
    schema = nasty.table().schema
    assert schema_of(texts_of(schema)) == schema


def test_plain_names_are_words_and_the_columns_own() -> None:
    dtype = pl.Struct({"a": pl.List(pl.Datetime("ms", "Europe/Berlin")), "b": pl.Map(pl.String, pl.Decimal(10, 2))})
    assert name_of(dtype) == "struct(a: list(datetime with zone(Europe/Berlin)), b: map(text, decimal(10,2)))"
    few = [pl.Int8(), pl.UInt64(), pl.Float32(), pl.Enum(["x"]), pl.Categorical(), pl.Duration("ns"), pl.Null()]
    assert [name_of(one) for one in few] == ["integer", "integer", "float", "text", "text", "duration", "null"]
    named = names_of(nasty.table().schema).values()
    assert not [name for name in named if name.split("(")[0] != name.split("(")[0].lower() or "=" in name]


@pytest.mark.parametrize("text", ["", "Int65", "__import__('os')", "List(", "1", "pl.Int64", "Int64(", "List(open)"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no column type"):
        dtype_of(text)
