"""How libraries use memory and batches, set once for the process, so that rows stream in little of it."""

from __future__ import annotations

import ctypes
import functools
import os

import polars as pl

_BATCH = 10_000
"""Rows that stream at a time. With Polars' 100,000, hundreds of megabytes of finished text wait for the sink."""
_CHOSEN = "POLARS_IDEAL_MORSEL_SIZE"
"""The variable by which somebody chooses another number."""
_KEPT = 16 << 20
"""Bytes in a row that the C library keeps when they are freed."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of settings in glibc's ``mallopt(3)``."""


@functools.cache
def tune() -> None:
    """Let rows stream in small batches, and freed blocks stay with the process where its C library can be told so.

    A file passes through memory in blocks of about a megabyte. Untold, glibc asks the system for each of them anew, and
    the system clears its pages: some 8 % of the CPU seconds of a CSV file.
    """
    if _CHOSEN not in os.environ:
        pl.Config.set_streaming_chunk_size(_BATCH)
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, _KEPT)
