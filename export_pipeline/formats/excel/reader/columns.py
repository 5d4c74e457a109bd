"""Columns of cells as columns of values: each is taken as if all its cells were written like the first.

Nearly always they are; that is compared for whole columns. A column with several kinds of cells is taken kind by kind.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from export_pipeline.formats.excel.reader.values import from_text, number, plain

_OPENING = re.compile(r'(?: s="(\d+)")?(?: t="(b|e|inlineStr)")?><(v|is><t(?: xml:space="preserve")?)>')
_KINDS = {None: "n", "b": "b", "e": "e", "inlineStr": "t"}

NumberFormat = Callable[[int], str]
"""Style -> the number format of cells in it."""


@dataclass(frozen=True)
class Column:
    """What a column must be."""

    name: str
    dtype: pl.DataType
    number_format: str | None
    """What its numbers must be shown with; None: anything."""


@dataclass(frozen=True)
class _Way:
    """How cells are written: ``opening TEXT ending``."""

    opening: str
    ending: str
    kind: str

    def right(self, cells: pl.Expr) -> pl.Expr:
        """Return which cells are written this way."""
        return cells.str.starts_with(self.opening) & cells.str.ends_with(self.ending)

    def text(self, cells: pl.Expr) -> pl.Expr:
        """Return the texts of cells that are written this way."""
        return cells.str.slice(len(self.opening)).str.strip_suffix(self.ending)


def values_of(cells: pl.DataFrame, columns: Sequence[Column], number_format: NumberFormat) -> pl.DataFrame:
    """Return the values of columns of cells, which are what follows their address, up to ``</c>``; null is null.

    ValueError names the column whose cells are not as they must be. One thread: there is one for every piece.
    """
    ways: dict[int, _Way] = {}
    for n, column in enumerate(columns):
        with _naming(column):
            way = _way(cells.to_series(n), column, number_format)
        if way is not None:
            ways[n] = way
    tried = cells.select_seq(
        made
        for n, way in ways.items()
        for made in (way.right(pl.nth(n)).all().alias(f"{n} right"), way.text(pl.nth(n)).alias(f"{n} text"))
    )
    direct = {n: way for n, way in ways.items() if tried[f"{n} right"][0]}
    numbers = _numbers(tried, {n: way for n, way in direct.items() if way.kind != "t"}, columns)
    read = {}
    for n, column in enumerate(columns):
        if n not in ways:
            values = pl.Series([None] * cells.height, dtype=column.dtype)
        elif n in numbers:
            values = numbers[n]
        elif n in direct:
            with _naming(column):
                values = from_text(plain(tried[f"{n} text"]), column.dtype)
        else:
            with _naming(column):
                values = _mixed(cells.to_series(n), column, number_format)
        read[column.name] = values
    return pl.DataFrame(read)


def _numbers(tried: pl.DataFrame, ways: dict[int, _Way], columns: Sequence[Column]) -> dict[int, pl.Series]:
    """Return the values of columns of numbers, all in one go; one after the other where one fails, to name it."""
    made: dict[int, pl.Expr] = {}
    for n, way in ways.items():
        with _naming(columns[n]):
            made[n] = number(pl.col(f"{n} text"), way.kind, columns[n].dtype)
    try:
        frame = tried.select_seq(expression.alias(str(n)) for n, expression in made.items())
    except pl.exceptions.PolarsError:
        for n, expression in made.items():
            with _naming(columns[n]):
                tried.select(expression)
        raise
    return {n: frame[str(n)] for n in made}


def _mixed(cells: pl.Series, column: Column, number_format: NumberFormat) -> pl.Series:
    """Return the values of a column with several kinds of cells."""
    cell = pl.col("cell")
    left = cells.alias("cell").to_frame().with_row_index("place").filter(cell.is_not_null())
    read: list[pl.DataFrame] = []
    while (way := _way(left["cell"], column, number_format)) is not None:
        found = left.filter(way.right(cell)).select("place", way.text(cell).alias("text"))
        if found.is_empty():
            raise ValueError(f"{left['cell'][0][:80]!r} does not end as it begins")
        if way.kind == "t":
            values = from_text(plain(found["text"]), column.dtype)
        else:
            values = found.select(number(pl.col("text"), way.kind, column.dtype)).to_series()
        read.append(pl.DataFrame([found["place"], values.alias("value")]))
        left = left.filter(~way.right(cell))
    places = pl.int_range(len(cells), dtype=pl.get_index_type(), eager=True).alias("place").to_frame()
    return places.join(pl.concat(read), on="place", how="left", maintain_order="left")["value"]


def _way(cells: pl.Series, column: Column, number_format: NumberFormat) -> _Way | None:
    """Return how the first cell of a column is written; None where there is no cell."""
    cell = cells[0] if len(cells) else None
    if cell is None and (cell := cells.drop_nulls().first()) is None:
        return None
    opening = _OPENING.match(cell)
    if opening is None:
        raise ValueError(f"{cell[:80]!r} is no cell")
    style, type_, inner = opening.groups()
    kind, ending = _KINDS[type_], "</v>" if inner == "v" else "</t></is>"
    if (kind == "t") != (inner != "v"):
        raise ValueError(f"{cell[:80]!r} is not written as its kind")
    asked = column.number_format
    if kind == "n" and asked is not None and number_format(int(style or 0)) != asked:
        raise ValueError(f"its numbers are shown as {number_format(int(style or 0))}, not {column.number_format}")
    return _Way(opening[0], ending, kind)


@contextlib.contextmanager
def _naming(column: Column) -> Iterator[None]:
    """Name the column in whatever goes wrong."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"column {column.name!r}: {str(error).splitlines()[0]}") from error
