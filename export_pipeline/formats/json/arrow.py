"""Reading JSON back by Arrow: strict about names and types, and knows every type."""

from __future__ import annotations

from typing import Any

import polars as pl

from export_pipeline.formats.readers import arrow_type

_LATE = (pl.Date, pl.Time)


def table(piece: Any, schema: pl.Schema) -> Any:
    """Return the rows of whole lines (bytes or a buffer), as an Arrow table."""
    import pyarrow as pa
    import pyarrow.json as arrow

    # Arrow's JSON parser takes instants, but no dates and times, from texts: those are cast afterwards.
    texts = {name: pl.String() if isinstance(dtype, _LATE) else dtype for name, dtype in schema.items()}
    return arrow.read_json(
        pa.BufferReader(piece),
        read_options=arrow.ReadOptions(block_size=len(piece) + 1, use_threads=False),
        parse_options=arrow.ParseOptions(
            explicit_schema=pa.schema([(name, arrow_type(dtype)) for name, dtype in texts.items()]),
            unexpected_field_behavior="error",
        ),
    )
