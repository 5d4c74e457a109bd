"""Rows for queries."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

SCHEMA = pl.Schema(
    {
        "id": pl.Int64(),
        "agent": pl.String(),
        "status": pl.String(),
        "at": pl.Datetime("us", "UTC"),
        "ms": pl.Float64(),
        "tags": pl.List(pl.String()),
    }
)
FAILED = {"where": {"field": "status", "operator": "eq", "value": "failed"}}


def rows(count: int = 100) -> pl.DataFrame:
    place = pl.int_range(count)
    return pl.select(
        id=place,
        agent=pl.concat_str(pl.lit("agent-"), (place % 7).cast(pl.String)),
        status=pl.when(place % 5 == 0).then(pl.lit("failed")).when(place % 3 > 0).then(pl.lit("ok")),
        at=pl.lit(datetime(2024, 3, 30, tzinfo=UTC)) + pl.duration(minutes=place * 30),
        ms=pl.when(place % 11 > 0).then((place * 37 % 101).cast(pl.Float64)),
        tags=pl.concat_list(pl.lit("x")),
    ).cast(SCHEMA)
