"""Column types as text and back, for everything that is stored as JSON: snapshots, artifacts, manifests.

The text is Polars' own: ``Int64``, ``Decimal(precision=10, scale=2)``, ``List(Struct({'a': Int64}))``. What people read
and write are the plain names: ``integer``, ``decimal(10,2)``, ``list(struct(a: integer))``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from export_pipeline.errors import ConfigError

_KNOWN = (
    pl.Array, pl.Binary, pl.Boolean, pl.Categorical, pl.Date, pl.Datetime, pl.Decimal, pl.Duration, pl.Enum,
    pl.Float16, pl.Float32, pl.Float64, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128, pl.List, pl.Map, pl.Null,
    pl.Object, pl.String, pl.Struct, pl.Time, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.UInt128,
)  # fmt: skip
_TYPES: dict[str, Any] = {known.__name__: known for known in _KNOWN}


NAMES: dict[str, pl.DataType] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "float": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "time": pl.Time(),
    "datetime": pl.Datetime("us"),
    "datetime with zone": pl.Datetime("us", "UTC"),
    "binary": pl.Binary(),
}
"""The names that a person may write for a type."""


def text_of(dtype: pl.DataType) -> str:
    """Return the text of a type.

    >>> text_of(pl.List(pl.Decimal(10, 2)))
    'List(Decimal(precision=10, scale=2))'
    """
    match dtype:
        case pl.Enum():
            return f"Enum({dtype.categories.to_list()!r})"
        case pl.Array():
            return f"Array({text_of(inner_of(dtype))}, {dtype.size})"
        case pl.List():
            return f"List({text_of(inner_of(dtype))})"
        case pl.Map():
            return f"Map({text_of(instance(dtype.key))}, {text_of(instance(dtype.value))})"
        case pl.Struct():
            return f"Struct({{{', '.join(f'{name!r}: {text_of(inner)}' for name, inner in fields_of(dtype).items())}}})"
        case _:
            return str(dtype)


def name_of(dtype: pl.DataType) -> str:
    """Return the plain name of a type; widths of numbers and units of times are left out.

    >>> name_of(pl.List(pl.Decimal(10, 2))), name_of(pl.Datetime("ms", "Europe/Berlin"))
    ('list(decimal(10,2))', 'datetime with zone(Europe/Berlin)')
    """
    match dtype:
        case pl.Decimal():
            return f"decimal({dtype.precision},{dtype.scale})"
        case pl.Datetime() if dtype.time_zone not in (None, "UTC"):
            return f"datetime with zone({dtype.time_zone})"
        case pl.Datetime():
            return "datetime" if dtype.time_zone is None else "datetime with zone"
        case pl.Map():
            return f"map({name_of(instance(dtype.key))}, {name_of(instance(dtype.value))})"
        case pl.List() | pl.Array():
            return f"list({name_of(inner_of(dtype))})"
        case pl.Struct():
            return f"struct({', '.join(f'{name}: {name_of(inner)}' for name, inner in fields_of(dtype).items())})"
        case pl.Enum() | pl.Categorical():
            return "text"
        case pl.Duration():
            return "duration"
        case _ if dtype.is_integer():
            return "integer"
        case _ if dtype.is_float():
            return "float"
        case _:
            return next((name for name, known in NAMES.items() if known == dtype), str(dtype).lower())


def names_of(schema: Mapping[str, pl.DataType]) -> dict[str, str]:
    """Return name -> plain name of the type of each column."""
    return {name: name_of(dtype) for name, dtype in schema.items()}


def dtype_of(text: str) -> pl.DataType:
    """Return the type that `text_of` wrote; ValueError for any other text."""
    try:
        return instance(_build(ast.parse(text, mode="eval").body))
    except (KeyError, SyntaxError, TypeError, ValueError) as error:
        raise ValueError(f"no column type: {text!r}") from error


def texts_of(schema: Mapping[str, pl.DataType]) -> dict[str, str]:
    """Return name -> type text of each column."""
    return {name: text_of(dtype) for name, dtype in schema.items()}


def schema_of(texts: Mapping[str, str]) -> pl.Schema:
    """Return the schema that `texts_of` wrote."""
    return pl.Schema({name: dtype_of(text) for name, text in texts.items()})


def is_pattern(name: str) -> bool:
    """Return whether a name means several columns to the engine: ``*``, and patterns from ``^`` to ``$``."""
    return name == "*" or (name.startswith("^") and name.endswith("$"))


def refuse_patterns(names: Iterable[str], what: str) -> None:
    """Raise `ConfigError` where a name means several columns to the engine."""
    for name in names:
        if is_pattern(name):
            raise ConfigError(
                f"{what} has a column {name!r}, which here means several columns",
                cure="Give it another name; where it is a store's, in a query: SELECT ... AS other.",
            )


def inner_of(dtype: pl.DataType) -> pl.DataType:
    """Return the type of the elements of a list, an array or a map (whose elements are structs of key and value)."""
    if isinstance(dtype, pl.Map):
        return pl.Struct({"key": dtype.key, "value": dtype.value})
    if isinstance(dtype, (pl.List, pl.Array)):
        return instance(dtype.inner)
    raise TypeError(f"{dtype} has no elements")


def fields_of(dtype: pl.Struct) -> dict[str, pl.DataType]:
    """Return name -> type of a struct."""
    return {field.name: instance(field.dtype) for field in dtype.fields}


def names_inside(dtype: pl.DataType) -> Iterator[str]:
    """Yield the names of all fields in a nested type."""
    if isinstance(dtype, pl.Struct):
        for name, inner in fields_of(dtype).items():
            yield name
            yield from names_inside(inner)
    elif isinstance(dtype, (pl.List, pl.Array, pl.Map)):
        yield from names_inside(inner_of(dtype))


def leaves_of(dtype: pl.DataType) -> Iterator[pl.DataType]:
    """Yield the types at the bottom of a nested type; any other type is its own leaf."""
    if isinstance(dtype, pl.Struct) and dtype.fields:
        for inner in fields_of(dtype).values():
            yield from leaves_of(inner)
    elif isinstance(dtype, (pl.List, pl.Array, pl.Map)):
        yield from leaves_of(inner_of(dtype))
    else:
        yield dtype


def zoned(dtype: pl.DataType, zone: str) -> pl.DataType:
    """Return a type with all its times in a time zone; casting to it keeps the moments, those without a zone are UTC.

    >>> zoned(pl.List(pl.Datetime("us", "UTC")), "Europe/Berlin")
    List(Datetime(time_unit='us', time_zone='Europe/Berlin'))
    """
    if isinstance(dtype, pl.Datetime):
        return pl.Datetime(dtype.time_unit, zone)
    if isinstance(dtype, pl.Struct):
        return pl.Struct({name: zoned(inner, zone) for name, inner in fields_of(dtype).items()})
    if isinstance(dtype, pl.List):
        return pl.List(zoned(instance(dtype.inner), zone))
    if isinstance(dtype, pl.Array):
        return pl.Array(zoned(instance(dtype.inner), zone), dtype.size)
    if isinstance(dtype, pl.Map):
        return pl.Map(zoned(instance(dtype.key), zone), zoned(instance(dtype.value), zone))
    return dtype


def instance(dtype: Any) -> pl.DataType:
    """Return the type as an object: Polars also takes the bare class."""
    made = dtype() if isinstance(dtype, type) else dtype
    if not isinstance(made, pl.DataType):
        raise TypeError(f"no column type: {made!r}")
    return made


def unused(beginning: str, taken: Iterable[str]) -> str:
    """Return a text that no name begins with; it ends with the given one.

    >>> unused("row", ["row", "rows", "id"])
    '_row'
    """
    names = list(taken)
    while any(name.startswith(beginning) for name in names):
        beginning = f"_{beginning}"
    return beginning


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
