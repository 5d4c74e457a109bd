"""A piece of a sheet as a frame: the XML of many rows, cut at ``</c>``, column by column.

A piece is ``<row r="2"><c r="A2"><v>1</v></c>...</row><row r="3">...``: cut at ``</c>`` each part is one cell, and the
first cell of a row has the row's beginning before it. A cell that is not there is null. What each cell must begin with
is known (its address), so whole columns are compared with what they must be instead of being searched; every byte is
accounted for.
Without addresses (``<row><c><v>1</v></c>``), every cell is there, and ``<c></c>`` is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from export_pipeline.formats.excel.cells import with_results
from export_pipeline.formats.excel.reader.columns import Column, values_of
from export_pipeline.formats.excel.reader.formulas import computed, with_nulls
from export_pipeline.formats.excel.reader.layout import Layout

_FIRST_ROW = re.compile(rb'</row><row r="(\d+)">')


@dataclass(frozen=True)
class Piece:
    """Rows of a sheet."""

    first: int | None
    """Row number of the first; None where rows have no numbers."""
    frame: pl.DataFrame


@dataclass(frozen=True)
class _Cut:
    """The cells of a piece."""

    cells: pl.Series
    """The XML of each cell without its end and without the beginning of its row."""
    starts: pl.Series
    """Place of the first cell of each row that has cells."""
    numbers: pl.Series | None
    """Row number of each row that has cells; None where rows have no numbers."""
    first: int | None
    rows: int
    """Rows, with those that have no cells."""


class Grid:
    """Reads pieces of sheets with these columns."""

    def __init__(self, schema: pl.Schema, layout: Layout, number_format: Callable[[int], str]) -> None:
        self._schema = schema
        self._places: list[Column | None] = [None] * layout.width
        """The column in each column of the sheet; None: none of the data's."""
        for n, name in enumerate(schema if layout.columns is None else layout.columns):
            if name is not None:
                code = layout.formats[n] or "General"
                if layout.columns is not None:
                    self._places[n] = Column(name, schema[name], "date" if schema[name].is_temporal() else None)
                else:
                    self._places[n] = Column(name, schema[name], code)
        self._columns = [column for column in self._places if column is not None]
        self._results = {n: result for n, result in enumerate(layout.results) if result is not None}
        self._made = [
            Column(f"of formula {n + 1}", result.dtype, layout.formats[n] or "General")
            for n, result in self._results.items()
        ]
        self._letters = [_letters(layout.left + n) for n in range(layout.width)]
        self._formulas = list(layout.formulas) or [None] * layout.width
        self._blanks = layout.blanks
        self._number_format = number_format

    def read(self, xml: bytes) -> Piece:
        """Return the rows of a piece, which has no ``</row>`` at its end. ValueError where it is not as it must be."""
        cut = _cut(b"</row>" + xml)
        cells = pl.DataFrame(list(self._aligned(cut)))
        frame = values_of(cells, [*self._columns, *self._made], self._number_format)
        if self._made:
            frame = self._known(frame, cut)
        frame = frame.select(self._schema.names())
        if cut.numbers is not None and cut.first is not None and frame.height < cut.rows:
            # Rows without cells have nulls only.
            places = pl.DataFrame({"row": cut.numbers, "place": pl.int_range(frame.height, eager=True)})
            wanted = pl.int_range(cut.first, cut.first + cut.rows, eager=True).alias("row").to_frame()
            there = wanted.join(places, on="row", how="left", maintain_order="left")["place"]
            frame = frame.select(pl.all().gather(pl.lit(there)))
        return Piece(cut.first, frame)

    def _known(self, frame: pl.DataFrame, cut: _Cut) -> pl.DataFrame:
        """Return the columns of the data, from which the results of formulas, behind them, must follow."""
        data, read = frame[:, : len(self._columns)], frame[:, len(self._columns) :]
        places = data.rename({name: str(n) for n, name in enumerate(data.columns)})
        expressions = {str(n): result.expression for n, result in self._results.items()}
        steps = next((result.steps for result in self._results.values()), ())
        made = with_results(places, cut.first or 1, expressions, steps)
        wanted = made[:, len(self._columns) :].rename(
            dict(zip(made.columns[len(self._columns) :], read.columns, strict=True))
        )
        if not read.equals(wanted):
            raise ValueError("the result of a formula is not what the row's values come to")
        return data

    def _aligned(self, cut: _Cut) -> Iterator[pl.Series]:
        """Yield each column's cells behind their addresses, for the rows that have cells; null where there is none."""
        # The cell that follows the last one found is the next column's, if it has its address.
        following, place = pl.concat([cut.cells, pl.Series([""])]), cut.starts
        digits = None if cut.numbers is None else cut.numbers.cast(pl.String).alias("digits")
        for n, letters in enumerate(self._letters):
            cells = following.gather(place).alias("cell")
            here, rest = _bare(cells) if digits is None else _addressed(cells, f'<c r="{letters}', digits)
            every = bool(here.all())
            found = rest if every else pl.select(pl.when(here).then(rest)).to_series()
            formula = self._formulas[n]
            if formula is not None:
                found = computed(found, formula, digits, value=self._places[n] is not None or n in self._results)
            if self._blanks or formula is not None:
                found = with_nulls(found)
            if self._places[n] is not None or n in self._results:
                yield found.alias(str(n))
            place = place + 1 if every or digits is None else place + here.cast(pl.UInt32)
        ends = pl.concat([cut.starts, pl.Series([len(cut.cells)], dtype=pl.UInt32)])[1:]
        if not place.equals(ends):
            raise ValueError(f"a cell of the rows from {cut.first or 'here'} on is not where it must be")


def _cut(xml: bytes) -> _Cut:
    """Cut rows, each after a ``</row>``, into cells."""
    parts = pl.Series([xml], dtype=pl.Binary).cast(pl.String).str.split("</c>").explode()
    parts, tail = parts.head(-1), str(parts[-1])
    starts = parts.str.starts_with("</row>").arg_true()
    heads = parts.gather(starts)
    if xml.startswith(b"</row><row>"):
        if tail:
            raise ValueError("a row without cells")
        rests = _after(heads, "</row><row>")
        cells = parts.scatter(starts, rests)
        return _Cut(cells, starts, None, None, len(starts))
    found = _FIRST_ROW.match(xml)
    if found is None or (len(parts) and starts[0] != 0):
        raise ValueError("a piece does not begin with a row")
    first = int(found[1])
    counts = heads.str.count_matches("<row ", literal=True).cast(pl.Int64)
    ends = counts.cum_sum() + first  # the number of the row after this one
    begun = _row_tags(ends - counts, ends)
    if not pl.select(pl.lit(heads).str.starts_with(pl.lit(begun)).all()).item():
        raise ValueError(f"the rows from {first:,} on are not numbered one after the other")
    last = int(ends[-1]) if len(ends) else first
    more = tail.count("<row ")
    if tail != "".join(f'</row><row r="{number}">' for number in range(last, last + more)):
        raise ValueError(f"the rows from {last:,} on are not numbered one after the other")
    rests = pl.select(pl.lit(heads).str.slice(pl.lit(begun).str.len_bytes())).to_series()
    cells = parts.scatter(starts, rests) if len(starts) else parts
    return _Cut(cells, starts, ends - 1, first, last + more - first)


def _row_tags(starts: pl.Series, ends: pl.Series) -> pl.Series:
    """Return what stands before the first cell of rows: one tag, more where rows without cells precede."""
    numbered = pl.DataFrame({"start": starts, "end": ends})
    one = pl.concat_str(pl.lit('</row><row r="'), pl.col("start"), pl.lit('">'))
    if (ends - starts == 1).all():
        return numbered.select(one).to_series()
    tags = pl.concat_str(pl.lit('</row><row r="'), pl.element(), pl.lit('">'))
    return numbered.select(pl.int_ranges("start", "end").list.eval(tags).list.join("")).to_series()


def _after(texts: pl.Series, prefix: str) -> pl.Series:
    """Return what follows the prefix that all texts must have."""
    if not texts.str.starts_with(prefix).all():
        raise ValueError(f"{prefix} was expected")
    return texts.str.slice(len(prefix))


def _addressed(cells: pl.Series, before: str, digits: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return which cells have the address of their column and row, and what follows an address of that length."""
    address = pl.concat_str(pl.lit(before), pl.col("digits"), pl.lit('"'))
    behind: pl.Expr | int = pl.col("digits").str.len_bytes() + len(before) + 1
    if len(digits) and len(digits[0]) == len(digits[-1]):
        behind = len(before) + 1 + len(digits[0])
    cell = pl.col("cell")
    made = pl.DataFrame([cells, digits]).select_seq(cell.str.starts_with(address).alias("here"), cell.str.slice(behind))
    return made["here"], made["cell"]


def _bare(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return which cells are not empty, and what follows the name of the element; for cells without address."""
    rest = _after(cells, "<c")
    return rest != ">", rest


def _letters(n: int) -> str:
    """Return the letters of column n, counted from 0."""
    high, low = divmod(n, 26)
    return (_letters(high - 1) if high else "") + chr(65 + low)
