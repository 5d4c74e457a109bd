"""A small table and each structure of JSON for it."""

from __future__ import annotations

from typing import Any

import polars as pl

NESTED = {"nested": {"by": [{"key": "k", "name": "ks"}]}}
NORMALIZED = {"normalized": {"entities": {"ns": {"key": "n"}}}}
STRUCTURES: list[Any] = ["flat", NESTED, NORMALIZED]
FRAME = pl.DataFrame({"n": [1, 2], "k": ["x", None], "f": [1.5, None], "l": [[1, None], None]})


def records_in(found: Any) -> list[dict[str, Any]]:
    """Return the records of any of the structures above."""
    if isinstance(found, list):
        return found
    if "records" in found:
        return list(found["records"])
    if "ks" in found:
        return [record for group in found["ks"].values() for record in group["records"]]
    return list(found["ns"].values())
