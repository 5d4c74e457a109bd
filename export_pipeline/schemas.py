"""Column types as text and back, for everything that is stored as JSON: snapshots, artifacts, manifests.

The text is Polars' own: ``Int64``, ``Decimal(precision=10, scale=2)``, ``List(Struct({'a': Int64}))``.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import polars as pl

_KNOWN = (
    pl.Array, pl.Binary, pl.Boolean, pl.Categorical, pl.Date, pl.Datetime, pl.Decimal, pl.Duration, pl.Enum,
    pl.Float16, pl.Float32, pl.Float64, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.List, pl.Map, pl.Null,
    pl.Object, pl.String, pl.Struct, pl.Time, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.UInt128,
)  # fmt: skip
_TYPES: dict[str, Any] = {known.__name__: known for known in _KNOWN}


def text_of(dtype: pl.DataType) -> str:
    """Return the text of a type.

    >>> text_of(pl.List(pl.Decimal(10, 2)))
    'List(Decimal(precision=10, scale=2))'
    """
    match dtype:
        case pl.Enum():
            return f"Enum({dtype.categories.to_list()!r})"
        case pl.Array() | pl.List():
            inner = text_of(_instance(dtype.inner))
            return f"Array({inner}, {dtype.size})" if isinstance(dtype, pl.Array) else f"List({inner})"
        case pl.Map():
            return f"Map({text_of(_instance(dtype.key))}, {text_of(_instance(dtype.value))})"
        case pl.Struct():
            return f"Struct({{{', '.join(f'{f.name!r}: {text_of(_instance(f.dtype))}' for f in dtype.fields)}}})"
        case _:
            return str(dtype)


def dtype_of(text: str) -> pl.DataType:
    """Return the type that `text_of` wrote; ValueError for any other text."""
    try:
        return _instance(_build(ast.parse(text, mode="eval").body))
    except (KeyError, SyntaxError, TypeError) as error:
        raise ValueError(f"no column type: {text!r}") from error


def texts_of(schema: Mapping[str, pl.DataType]) -> dict[str, str]:
    """Return name -> type text of each column."""
    return {name: text_of(dtype) for name, dtype in schema.items()}


def schema_of(texts: Mapping[str, str]) -> pl.Schema:
    """Return the schema that `texts_of` wrote."""
    return pl.Schema({name: dtype_of(text) for name, text in texts.items()})


def _instance(dtype: Any) -> pl.DataType:
    """Return the type as an object: Polars also takes the bare class."""
    made = dtype() if isinstance(dtype, type) else dtype
    if not isinstance(made, pl.DataType):
        raise TypeError(f"no column type: {made!r}")
    return made


def _build(node: ast.expr) -> Any:
    """Return the value of the text, which may be types, texts, numbers, lists and mappings, and nothing else."""
    match node:
        case ast.Name(id=name):
            return _TYPES[name]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            return _TYPES[name](*map(_build, args), **{str(k.arg): _build(k.value) for k in keywords})
        case ast.Dict(keys=keys, values=values):
            return {ast.literal_eval(k): _build(v) for k, v in zip(keys, values, strict=True) if k is not None}
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return [_build(element) for element in elements]
        case _:
            return ast.literal_eval(node)
