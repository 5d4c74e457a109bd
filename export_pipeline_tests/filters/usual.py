"""A usual data set and a usual filter on it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

from export_pipeline.filters import Roles

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 30, 12, tzinfo=UTC)
SCHEMA = pl.Schema(
    {
        "agent_id": pl.Int64(),
        "started_at": pl.Datetime("us"),
        "command": pl.Categorical(),
        "status": pl.String(),
        "duration_ms": pl.Int64(),
        "cost": pl.Decimal(10, 2),
        "ratio": pl.Float32(),
        "day": pl.Date(),
        "clock": pl.Time(),
        "ok": pl.Boolean(),
        "tags": pl.List(pl.String()),
        "level": pl.UInt8(),
        "wait": pl.Duration("ms"),
        "ticks": pl.Datetime("ms", "UTC"),
        "nanos": pl.Datetime("ns"),
    }
)
ROLES = Roles(time="started_at", agent="agent_id", command_type="command", status="status")
WRITTEN = {
    "and": [
        {"time_range": {"last": "7 days"}},
        {"status": ["failed", "timeout"]},
        {"not": {"command_types": "scan"}},
        {"where": {"field": "duration_ms", "operator": "gt", "value": 250}},
    ]
}
