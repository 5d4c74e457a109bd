"""The types of batches: what rows are made of between a source and its snapshot.

Batches are Arrow record batches of exactly the type that belongs to each column's Polars type, so that they can be
written as they are. `plain` names the few Polars types that never leave a source.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from export_pipeline.schemas import fields_of, inner_of, instance

_BATCH_TYPES: tuple[tuple[pa.DataType, pa.DataType], ...] = (
    (pa.large_string(), pa.string()),
    (pa.large_binary(), pa.binary()),
)


def plain(dtype: pl.DataType) -> pl.DataType:
    """Return the type that a column of this type is handed on as.

    Categories become text, arrays of fixed length lists, maps lists of (key, value), 128-bit integers decimals of 38
    digits, half floats floats, extension types what they are stored as; a column that is null throughout is text.

    >>> plain(pl.List(pl.Categorical()))
    List(String)
    """
    match dtype:
        case pl.Categorical() | pl.Enum() | pl.Null():
            return pl.String()
        case pl.Int128() | pl.UInt128():
            return pl.Decimal(38, 0)
        case pl.Float16():
            return pl.Float32()
        case pl.Array() | pl.List() | pl.Map():
            return pl.List(plain(inner_of(dtype)))
        case pl.BaseExtension():
            return plain(instance(dtype.ext_storage()))
        case pl.Struct():
            return pl.Struct({name: plain(inner) for name, inner in fields_of(dtype).items()})
        case _:
            return dtype


def as_plain(name: str, found: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """Return a column of type `found` as type `wanted`."""
    column = pl.col(name)
    if isinstance(found, pl.BaseExtension):
        column, found = column.ext.storage(), instance(found.ext_storage())
    return column if found == wanted else column.cast(wanted)


def arrow_schema(schema: pl.Schema) -> pa.Schema:
    """Return the Arrow schema of the batches of these columns."""
    found = pl.DataFrame(schema=schema).to_arrow().schema
    return pa.schema([pa.field(field.name, _small(field.type)) for field in found])


def to_batches(frame: pl.DataFrame) -> list[pa.RecordBatch]:
    """Return the rows of a frame as batches."""
    batches: list[pa.RecordBatch] = frame.to_arrow().cast(arrow_schema(frame.schema)).to_batches()
    return batches


def _small(dtype: pa.DataType) -> pa.DataType:
    """Return the type with 32-bit offsets: a batch never holds 2 GB, and half the bytes are written."""
    for large, small in _BATCH_TYPES:
        if dtype == large:
            return small
    if pa.types.is_large_list(dtype) or pa.types.is_list(dtype):
        return pa.list_(pa.field("item", _small(dtype.value_type)))
    if pa.types.is_struct(dtype):
        return pa.struct([pa.field(field.name, _small(field.type)) for field in dtype.fields])
    return dtype
