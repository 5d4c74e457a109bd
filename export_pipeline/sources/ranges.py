"""Dates and times that Python, Excel and most readers cannot hold are refused, by column."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from export_pipeline.errors import SourceError

_FIRST, _LAST = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31 in days since 1970."""
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def check_ranges(batch: pa.RecordBatch, what: str) -> None:
    """Raise `SourceError` where a date is before year 1 or after year 9999 (``infinity``), or a time is 24:00."""
    for field, column in zip(batch.schema, batch.columns, strict=True):
        limits = _limits(field.type)
        if limits is None or not len(column):
            continue
        plain = pa.int32() if field.type.bit_width == 32 else pa.int64()
        found = pc.min_max(column.view(plain)).as_py()
        if found["min"] is not None and not (limits[0] <= found["min"] and found["max"] <= limits[1]):
            raise SourceError(
                f"{what}: column {field.name!r} has a value outside of {_said(field.type)}",
                cure=f"Read it as text:  schema: {{{field.name}: text}}",
            )


def _limits(dtype: pa.DataType) -> tuple[int, int] | None:
    if pa.types.is_date32(dtype):
        return _FIRST, _LAST
    if pa.types.is_timestamp(dtype) and dtype.unit != "ns":
        unit = _PER_DAY[dtype.unit]
        return _FIRST * unit, (_LAST + 1) * unit - 1
    if pa.types.is_time(dtype):
        return 0, _PER_DAY[dtype.unit] - 1
    return None


def _said(dtype: pa.DataType) -> str:
    return "00:00 to 23:59:59" if pa.types.is_time(dtype) else "the years 1 to 9999 (infinity, or before Christ)"
