"""Whether a plan streams: what does not would hold the whole table in memory, and no small test would show it."""

from __future__ import annotations

import re

import polars as pl

_STREAM = ("in-memory-source", "select", "with-columns")


def not_streaming(rows: pl.LazyFrame) -> list[str]:
    """Return the steps of a plan over a frame that see more than a batch of rows."""
    graph = rows.show_graph(engine="streaming", plan_stage="physical", raw_output=True, show=False)
    if not isinstance(graph, str):
        raise TypeError("Polars shows no graph")
    steps = re.findall(r'\[label="([^"\\]*)', graph)
    if "in-memory-source" not in steps:
        raise ValueError(f"the graph of Polars has changed: {steps}")
    # A grouping, a sort or a join is a step of its own, too: none belongs into formatting.
    return [step for step in steps if step not in _STREAM]
