"""Groups of rows, computed by the streaming engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from export_pipeline.query import Query

NAN = float("nan")
INF = float("inf")


def grouped(rows: pl.DataFrame | Mapping[str, Any], **aggregate: Any) -> pl.DataFrame:
    """Return the result of an aggregation, which must have the columns and types that were promised."""
    frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows)
    query = Query.model_validate({"timezone": aggregate.pop("timezone", "UTC"), "aggregate": aggregate})
    assert Query.model_validate(query.dump()) == query
    promised = query.check(frame.schema)
    result = query.apply(frame.lazy().select(query.needs(frame.schema))).collect(engine="streaming")
    assert result.schema == promised
    return result
