"""The columns of the result: which, under which names, in which order; and columns made of values (pivot)."""

from export_pipeline.columns.pivot import TOTAL, Layout, Pivot
from export_pipeline.columns.selection import Columns

__all__ = ["TOTAL", "Columns", "Layout", "Pivot"]
