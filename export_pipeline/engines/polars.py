"""What only Polars can do, on `polars.LazyFrame`s."""

from __future__ import annotations

from export_pipeline.engines.native import run_native

__all__ = ["run_native"]
