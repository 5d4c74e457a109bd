"""The second reader of CSV files: Arrow's parser for the rows, Python's for the header."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import IO, Any, NamedTuple

import polars as pl

from export_pipeline.errors import FormatError
from export_pipeline.formats.csv.dialect import QUOTING, Dialect
from export_pipeline.formats.pieces import parsed, pieces
from export_pipeline.formats.readers import arrow_type, frame_of


class Reader(NamedTuple):
    """How a file is read."""

    opened: Callable[[], AbstractContextManager[IO[bytes]]]
    """Opens the file for reading UTF-8 from its first record on."""
    dialect: Dialect
    header: list[str] | None
    """The texts of the first record; None where it holds values already."""
    null: str | None
    """The text of null; None where there is none in the file."""
    booleans: tuple[str, str]

    def frames(self, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows with this schema."""
        if self.header is not None:
            self._check_header(self.header)
        with self.opened() as file:
            whole = pieces(file, *self.dialect.marks)
            yield self._frame(next(whole, b""), schema, skip=int(self.header is not None))
            yield from parsed(whole, lambda piece: self._frame(piece, schema))

    def _frame(self, piece: bytes, schema: pl.Schema, skip: int = 0) -> pl.DataFrame:
        return frame_of(self._table(piece, schema, skip), schema)

    def _table(self, piece: bytes, schema: pl.Schema, skip: int) -> Any:
        import pyarrow as pa
        import pyarrow.csv as arrow

        names = [str(n) for n in range(len(schema))]  # by position: names may be the same but for their case
        kinds = dict(zip(names, map(arrow_type, schema.dtypes()), strict=True))
        quotes = self.dialect.quotes
        if not piece:
            return pa.table({name: pa.array([], kind) for name, kind in kinds.items()})
        return arrow.read_csv(
            pa.BufferReader(piece),
            read_options=arrow.ReadOptions(
                column_names=names, skip_rows_after_names=skip, block_size=len(piece) + 1, use_threads=False
            ),
            parse_options=arrow.ParseOptions(
                delimiter=self.dialect.delimiter,
                quote_char=False if quotes == "none" else '"',
                double_quote=self.dialect.doubles,
                escape_char=False if self.dialect.doubles else self.dialect.escape,
                newlines_in_values=quotes != "none",
                ignore_empty_lines=False,
            ),
            convert_options=arrow.ConvertOptions(
                column_types=kinds,
                null_values=[] if self.null is None else [self.null],
                true_values=[self.booleans[0]],
                false_values=[self.booleans[1]],
                strings_can_be_null=quotes != "all" and self.null is not None,
                quoted_strings_can_be_null=quotes == "all",
            ),
        )

    def _check_header(self, expected: list[str]) -> None:
        """Compare the first record with the names."""
        doubles = self.dialect.doubles
        with (
            self.opened() as file,
            contextlib.closing(io.TextIOWrapper(file, encoding="utf-8", newline="")) as text,
        ):
            records = csv.reader(
                text,
                delimiter=self.dialect.delimiter,
                quoting=QUOTING[self.dialect.quotes],
                doublequote=doubles,
                escapechar=None if doubles else self.dialect.escape,
                strict=True,
            )
            found = next(records, [])
        if found != expected:
            raise FormatError(f"the header is {found}, not {expected}")
