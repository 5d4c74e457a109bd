"""Rows that stand still: every later stage, retry and second format reads the same ones.

Rows of a store are *staged*: streamed into a Parquet file in the folder of the run, which appears there whole or not at
all. Parquet files of the user are *pinned*: not copied, but a file that is no longer the one that was planned for is
refused.
"""

from export_pipeline.snapshots.model import Pin, Snapshot, scan_parquet
from export_pipeline.snapshots.stage import ROW_GROUP, Readable, stage

__all__ = ["ROW_GROUP", "Pin", "Readable", "Snapshot", "scan_parquet", "stage"]
