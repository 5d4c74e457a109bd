"""Looks at rows before they are rendered: what a cast would change can only be seen before it."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

Look = Callable[[pl.DataFrame, int], None]
"""Called with a batch and the position of its first row, from several threads; raises what is to be said."""


class Guard:
    """Shows each batch of streaming rows to a function; keeps what it raised, because Polars wraps it."""

    def __init__(self, look: Look) -> None:
        self.failure: BaseException | None = None
        self._look = look

    def tap(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the same rows."""
        schema = rows.collect_schema()
        position = "position"
        while position in schema:
            position = f"_{position}"

        def batch(frame: pl.DataFrame) -> pl.DataFrame:
            kept = frame.drop(position)
            try:
                if frame.height:
                    self._look(kept, int(frame.item(0, position)))
            except BaseException as error:
                self.failure = self.failure or error
                raise
            return kept

        return rows.with_row_index(position).map_batches(
            batch, schema=schema, streamable=True, validate_output_schema=False
        )
