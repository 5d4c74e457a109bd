"""Rows out of JSON lines: the first ones by Arrow's strict parser, the rest by DuckDB where it can, else by Arrow.

Where all records are spelled in one way, what is wrong with one is wrong with the first, and Arrow sees it; the values
are compared whoever reads them. Where fields are left out, commas depend on the data: then Arrow reads everything.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import polars as pl

from export_pipeline.formats.json import duck
from export_pipeline.formats.json.arrow import table
from export_pipeline.formats.json.listed import Records, ended
from export_pipeline.formats.pieces import parsed, pieces
from export_pipeline.formats.readers import frame_of

_LOOK = 1 << 17
"""Bytes that Arrow looks at of a file that DuckDB reads."""


def of_file(path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
    """Yield the rows of an uncompressed file of lines."""
    done = 0
    if duck.is_plain(schema):
        with path.open("rb") as file:
            if first := next(pieces(file, size=_LOOK), b""):
                _strictly(first, schema, first=True)
        try:
            for frame in duck.of_file(path, schema):
                done += frame.height
                yield frame
        except duck.LongLineError:
            pass  # Arrow goes on from there
        else:
            return
    yield from by_arrow(lambda: path.open("rb"), schema, skip=done)


def lines(
    opened: Callable[[], IO[bytes]], schema: pl.Schema, *, alike: bool, listed: Records | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows of lines; `opened` gives them from the first one on, and may be called again.

    `alike` says that all records have the same fields, `listed` how they stand in a list.
    """
    done = 0
    if alike and duck.is_plain(schema):
        try:
            for frame in _by_both(opened, schema, listed):
                done += frame.height
                yield frame
        except duck.LongLineError:
            pass
        else:
            return
    yield from by_arrow(opened, schema, skip=done, listed=listed)


def _by_both(opened: Callable[[], IO[bytes]], schema: pl.Schema, listed: Records | None) -> Iterator[pl.DataFrame]:
    with opened() as file, duck.Reader(schema) as reader:
        given = pieces(file, size=duck.PIECE)
        given = ended(given) if listed else given
        for piece in itertools.islice(given, 1):
            yield frame_of(_strictly(listed(piece) if listed else piece, schema, first=True), schema)
        yield from parsed(given, lambda piece: frame_of(reader.table(listed(piece) if listed else piece), schema))


def by_arrow(
    opened: Callable[[], IO[bytes]], schema: pl.Schema, *, skip: int = 0, listed: Records | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows after the first `skip`, read by Arrow, by two threads."""
    with opened() as file:
        given = ended(pieces(file)) if listed else pieces(file)
        for found in parsed(given, lambda piece: _strictly(listed(piece) if listed else piece, schema)):
            if skip < found.num_rows:
                yield frame_of(found.slice(skip), schema)
            skip = max(0, skip - found.num_rows)


def _strictly(piece: Any, schema: pl.Schema, *, first: bool = False) -> Any:
    """Return the rows of a piece by Arrow, which takes several records of one line, and a record without its nulls.

    `first` says that the first record must have every field once, in order, as all others then have.
    """
    found = table(piece, schema)
    data = piece if isinstance(piece, bytes) else piece.to_pybytes()
    count = data.count(b"\n") + (not data.endswith(b"\n"))
    if count != found.num_rows:
        raise ValueError(f"there are {found.num_rows:,} records on {count:,} lines")
    if first:
        names = json.loads(data[: data.find(b"\n")] if count > 1 else data, object_pairs_hook=_names)
        if names != schema.names():
            raise ValueError(f"the first record has the fields {names}, not {schema.names()}")
    return found


def _names(pairs: list[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in pairs]
