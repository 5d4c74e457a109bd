"""Pieces of lines, of a list, or of the members of an object, as parsers take them; a line holds one record.

By Polars over whole pieces, which lets other threads run meanwhile. Parsers of lines do not mind what stands between
two of them: that it is a comma, and that each line is a record or a member, is seen here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

_LINE_END, _COMMA, _SPACE, _CLOSE = b"\n, }"
_OPEN = r'"(?:[^"\\]|\\.)*'
"""A text without the quote at its end."""


@dataclass(frozen=True)
class Lines:
    """Records that are lines already."""

    form: ClassVar[str] = "newline_delimited"
    """What DuckDB calls the `given` form."""

    indent: int = 0
    """Spaces before each."""

    @property
    def around(self) -> int:
        """Bytes before and behind each, in a piece."""
        return len("\n")

    def uniform(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Pass pieces on, the first and the last record with the same around them as all others."""
        return pieces

    def lines(self, piece: bytes) -> Any:
        """Return the records as lines, which are as long, in bytes or a buffer; ValueError where they are none."""
        return piece

    def given(self, piece: bytes) -> list[Any]:
        """Return the same as DuckDB is given it, which is as long, too."""
        return [self.lines(piece)]


@dataclass(frozen=True)
class Records(Lines):
    """The records of a list."""

    form: ClassVar[str] = "array"
    begin: ClassVar[str] = "{"
    """What each begins with."""

    @property
    def around(self) -> int:
        """Indentation, comma and line end."""
        return self.indent + len(",\n")

    def uniform(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Put the spaces before the first record, and a comma and a line end behind the last."""
        last, lead = b"", b" " * self.indent
        for piece in pieces:
            if last:
                yield last
            last, lead = lead + piece, b""
        if last:
            if last.endswith(b"\n"):
                raise ValueError("there is a comma behind the last record")
            yield last + b",\n"

    def lines(self, piece: bytes) -> Any:
        """Return the lines with spaces in place of the commas behind them; ValueError where one has none."""
        return self._parted(piece)[0].to_arrow().buffers()[1]

    def given(self, piece: bytes) -> list[Any]:
        """Return a list: DuckDB demands the commas."""
        if not piece.endswith(b"},\n"):
            raise ValueError(f"there is no comma between two records, but {piece[-3:]!r}")
        return [b"[", memoryview(piece)[:-2], b"]"]

    def _parted(self, piece: bytes) -> tuple[pl.Series, pl.Series]:
        """Return the bytes with spaces in place of the commas, and where each line ends."""
        import pyarrow as pa

        data = pl.Series(pa.Array.from_buffers(pa.uint8(), len(piece), [None, pa.py_buffer(piece)]))
        ends = (data == _LINE_END).arg_true()
        begin = ord(self.begin)
        around = ((ends - 1, _COMMA), (ends - 2, _CLOSE), (ends[:-1] + (1 + self.indent), begin))
        first = piece[self.indent : self.indent + 1]
        if first != self.begin.encode() or not all((data.gather(at) == mark).all() for at, mark in around):
            raise ValueError("there is no comma between two records, or a line end where none must be")
        return data.scatter(ends - 1, _SPACE), ends


@dataclass(frozen=True)
class Members(Records):
    """The members of an object, as records that have the member's name as their first field."""

    form: ClassVar[str] = Lines.form
    begin: ClassVar[str] = '"'

    colon: str = ":"
    """What stands between name and value."""
    field: str = "key"
    """The field that the name becomes."""

    def given(self, piece: bytes) -> list[Any]:
        """Return the lines."""
        return [self.lines(piece)]

    def lines(self, piece: bytes) -> Any:
        """Return the members as lines; ValueError where one is none."""
        import pyarrow as pa

        data, ends = self._parted(piece)
        begins = pl.concat([pl.Series([0], dtype=pl.Int64), ends.cast(pl.Int64) + 1])
        given = pa.Array.from_buffers(
            pa.large_string(), len(ends), [None, begins.to_arrow().buffers()[1], data.to_arrow().buffers()[1]]
        )
        given.validate(full=True)  # Polars would take it for UTF-8 as it is
        made = self._keyed(pl.Series("line", given)).to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets, characters = made.buffers()
        return characters[: pa.Array.from_buffers(pa.int64(), len(made) + 1, [None, offsets])[-1].as_py()]

    def _keyed(self, lines: pl.Series) -> pl.Series:
        middle = f'"{self.colon}{{'
        found = lines.to_frame().select(pl.col("line").str.splitn(middle, 2).struct.unnest())
        name, rest = found.get_columns()
        if name.str.ends_with("\\").any():  # the quote belongs to the name
            found = lines.to_frame().select(
                pl.col("line").str.extract_groups(rf"(?s)^( *{_OPEN}){re.escape(middle)}(.*)$").struct.unnest()
            )
            name, rest = found.get_columns()
        if rest.null_count():
            raise ValueError(f"{rest.null_count()} of {len(rest)} lines are no members of an entity")
        lead = f"{{{json.dumps(self.field)}{self.colon}"
        bare = rest.str.starts_with("}")
        comma = pl.when(bare).then(pl.lit("")).otherwise(pl.lit(",")) if bare.any() else pl.lit(",")
        return pl.select(pl.concat_str(pl.lit(lead), name, pl.lit('"'), comma, rest)).to_series()
