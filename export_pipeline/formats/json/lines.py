"""Rows out of JSON lines: the first ones by Arrow's strict parser, the rest by DuckDB where it can, else by Arrow.

Where all records are spelled in one way, what is wrong with one is wrong with the first, and Arrow sees it; the values
are compared whoever reads them, and so is how many bytes the records are. Where fields are left out, commas depend on
the data: then Arrow reads everything.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any

import polars as pl

from export_pipeline.formats.json import duck
from export_pipeline.formats.json.arrow import table
from export_pipeline.formats.json.listed import Lines
from export_pipeline.formats.json.sizes import Sizes, compare
from export_pipeline.formats.pieces import parsed, pieces
from export_pipeline.formats.readers import frame_of

_LOOK = 1 << 17
"""Bytes that Arrow looks at of a file that DuckDB reads."""

Opened = Callable[[], IO[bytes]]
"""Gives the lines from the first one on, and may be called again."""
LINES = Lines()


def of_file(path: Path, schema: pl.Schema, sizes: Sizes) -> Generator[pl.DataFrame]:
    """Yield the rows of an uncompressed file of lines."""
    done = 0
    if duck.is_plain(schema):
        with path.open("rb") as file:
            if first := next(pieces(file, size=_LOOK), b""):
                _strictly(first, schema, first=True)
        try:
            size = 0
            for frame in duck.of_file(path, schema):
                done += frame.height
                size += sizes.of(frame)
                yield frame
        except duck.LongLineError:
            pass  # Arrow goes on from there
        else:
            compare(done, size, path.stat().st_size)
            return
    yield from by_arrow(lambda: path.open("rb"), schema, sizes, skip=done)


def lines(opened: Opened, schema: pl.Schema, sizes: Sizes, listed: Lines = LINES) -> Generator[pl.DataFrame]:
    """Yield the rows of records of these sizes; `listed` says how they stand in what is opened.

    It has threads: close it where it is left before its end. Collected as garbage, it might wait for them forever.
    """
    done = 0
    if sizes.alike and duck.is_plain(schema):
        try:
            for frame in _by_both(opened, schema, sizes, listed):
                done += frame.height
                yield frame
        except duck.LongLineError:
            pass
        else:
            return
    yield from by_arrow(opened, schema, sizes, listed, skip=done)


def _by_both(opened: Opened, schema: pl.Schema, sizes: Sizes, listed: Lines) -> Iterator[pl.DataFrame]:
    with opened() as file, duck.Reader(schema, listed.form) as reader:

        def fast(piece: bytes) -> pl.DataFrame:
            given = listed.given(piece)
            return sizes.check(frame_of(reader.table(given), schema), sum(map(len, given)))

        given = listed.uniform(pieces(file, size=duck.PIECE))
        for piece in itertools.islice(given, 1):
            yield _by_arrow(listed.lines(piece), schema, sizes, first=True)
        yield from parsed(given, fast)


def by_arrow(
    opened: Opened, schema: pl.Schema, sizes: Sizes, listed: Lines = LINES, *, skip: int = 0
) -> Iterator[pl.DataFrame]:
    """Yield the rows after the first `skip`, read by Arrow, by two threads."""
    with opened() as file:
        for frame in parsed(listed.uniform(pieces(file)), lambda piece: _by_arrow(listed.lines(piece), schema, sizes)):
            if skip < frame.height:
                yield frame.slice(skip)
            skip = max(0, skip - frame.height)


def _by_arrow(made: Any, schema: pl.Schema, sizes: Sizes, *, first: bool = False) -> pl.DataFrame:
    return sizes.check(frame_of(_strictly(made, schema, first=first), schema), len(made))


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
