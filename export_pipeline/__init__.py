"""Exports of a data store, described once in YAML, run as Dagster jobs, delivered as verified files.

>>> from export_pipeline import ExportConfig, FilesSource, status
>>> ExportConfig(name="failed", source=FilesSource(files="commands.csv"), filter=status("failed")).name
'failed'
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# Polars reads these when its first query starts. Small buffers between the steps of a query keep memory flat where a
# step is Python: 1M to 10M rows into Excel grow by 16 % instead of 25 %, at the same speed.
for _buffer in ("LINEARIZER", "DISTRIBUTOR", "ZIP_HEAD"):
    os.environ.setdefault(f"POLARS_DEFAULT_{_buffer}_BUFFER_SIZE", "1")

# What Polars allocates with, likewise: half as many arenas as usual hold less that is free, and what was given back
# goes to the system soon. 10 to 60 MB of each export of millions of rows, at the same speed.
os.environ.setdefault("_RJEM_MALLOC_CONF", f"narenas:{2 * (os.cpu_count() or 1)},dirty_decay_ms:100,muzzy_decay_ms:0")

if TYPE_CHECKING:
    from export_pipeline.aggregations import Aggregate
    from export_pipeline.catalog import Catalog
    from export_pipeline.columns import Columns, Pivot
    from export_pipeline.config import ExportConfig, Output
    from export_pipeline.destinations import Local, Receipt
    from export_pipeline.errors import (
        Cancelled,
        ConfigError,
        DeliveryError,
        ExportError,
        FormatError,
        NotFoundError,
        SourceError,
        VerificationError,
    )
    from export_pipeline.filters.compose import agent_ids, command_types, status, time_range, where
    from export_pipeline.formats import Csv, Excel, Json, Parquet
    from export_pipeline.home import Home
    from export_pipeline.pipeline import Context, run
    from export_pipeline.schedules import Schedule
    from export_pipeline.sources import FilesSource, StoreSource

_HOMES = {
    "aggregations": ("Aggregate",),
    "catalog": ("Catalog",),
    "columns": ("Columns", "Pivot"),
    "config": ("ExportConfig", "Output"),
    "destinations": ("Local", "Receipt"),
    "errors": (
        "Cancelled",
        "ConfigError",
        "DeliveryError",
        "ExportError",
        "FormatError",
        "NotFoundError",
        "SourceError",
        "VerificationError",
    ),
    "filters": ("agent_ids", "command_types", "status", "time_range", "where"),
    "formats": ("Csv", "Excel", "Json", "Parquet"),
    "home": ("Home",),
    "pipeline": ("Context", "run"),
    "schedules": ("Schedule",),
    "sources": ("FilesSource", "StoreSource"),
}
"""Module -> what the package shows of it; loaded when it is used, so that the command starts fast."""
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Aggregate",
    "Cancelled",
    "Catalog",
    "Columns",
    "ConfigError",
    "Context",
    "Csv",
    "DeliveryError",
    "Excel",
    "ExportConfig",
    "ExportError",
    "FilesSource",
    "FormatError",
    "Home",
    "Json",
    "Local",
    "NotFoundError",
    "Output",
    "Parquet",
    "Pivot",
    "Receipt",
    "Schedule",
    "SourceError",
    "StoreSource",
    "VerificationError",
    "agent_ids",
    "command_types",
    "run",
    "status",
    "time_range",
    "where",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
