"""What the readers of text formats share: Arrow types to ask for, frames of what they return."""

from __future__ import annotations

from typing import Any

import polars as pl

from export_pipeline.schemas import fields_of, inner_of

_SPELLED: dict[type[pl.DataType], str] = {pl.Date: "%Y-%m-%d", pl.Time: "%H:%M:%S%.f"}


def arrow_type(dtype: pl.DataType) -> Any:
    """Return the Arrow type in which a reader should return this type."""
    import pyarrow as pa

    if isinstance(dtype, pl.String):
        return pa.large_string()  # the parser's own form: a view would be built from it
    if isinstance(dtype, (pl.List, pl.Array, pl.Map)):
        return pa.list_(arrow_type(inner_of(dtype)))
    if isinstance(dtype, pl.Struct):
        return pa.struct([(name, arrow_type(inner)) for name, inner in fields_of(dtype).items()])
    return pl.Series([], dtype=dtype).to_arrow().type


def frame_of(batch: Any, schema: pl.Schema) -> pl.DataFrame:
    """Return a record batch as a frame with these names (by position) and types."""
    frame = pl.DataFrame(pl.from_arrow(batch.rename_columns([str(n) for n in range(len(schema))])))
    frame.columns = schema.names()
    late = [
        pl.col(name).str.strptime(dtype, _SPELLED[type(dtype)])
        for name, dtype in schema.items()
        if isinstance(dtype, (pl.Date, pl.Time)) and frame.schema[name] == pl.String
    ]
    frame = frame.with_columns(late) if late else frame
    return frame if frame.schema == schema else frame.cast(schema)  # a plan, which waits for busy threads
