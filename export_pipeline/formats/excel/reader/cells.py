"""A piece of a sheet as a frame: the XML of many rows, cut at ``</c>``, column by column.

A piece is ``<row r="2"><c r="A2"><v>1</v></c>...</row><row r="3">...``: cut at ``</c>`` each part is one cell, and the first
cell of a row has the row's beginning before it. A cell that is not there is null. What each cell must begin with is known
(its address), so whole columns are compared with what they must be instead of being searched; every byte is accounted for.
Without addresses (``<row><c><v>1</v></c>``), every cell is there, and ``<c></c>`` is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from export_pipeline.formats.excel.reader.values import values

_OPENING = re.compile(r'(?: s="(\d+)")?(?: t="(b|e|inlineStr)")?><(v|is><t(?: xml:space="preserve")?)>')
_FIRST_ROW = re.compile(rb'</row><row r="(\d+)">')
_KINDS = {None: "n", "b": "b", "e": "e", "inlineStr": "t"}


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
    """The XML of each cell without its end and without the beginning of its row; at last an empty text."""
    starts: pl.Series
    """Place of the first cell of each row that has cells."""
    numbers: pl.Series | None
    """Row number of each row that has cells; None where rows have no numbers."""
    first: int | None
    rows: int
    """Rows, with those that have no cells."""


class Grid:
    """Reads pieces of sheets with these columns."""

    def __init__(self, schema: pl.Schema, formats: Sequence[str | None], number_format: Callable[[int], str]) -> None:
        self._schema, self._formats, self._number_format = schema, formats, number_format
        self._letters = [_letters(n) for n in range(len(schema))]

    def read(self, xml: bytes) -> Piece:
        """Return the rows of a piece, which has no ``</row>`` at its end. ValueError where it is not as it must be."""
        cut = _cut(b"</row>" + xml)
        columns = dict(zip(self._schema, self._columns(cut), strict=True))
        frame = pl.DataFrame(columns, schema=self._schema)
        if cut.numbers is not None and cut.first is not None and frame.height < cut.rows:
            # Rows without cells have nulls only.
            places = pl.DataFrame({"row": cut.numbers, "place": pl.int_range(frame.height, eager=True)})
            wanted = pl.int_range(cut.first, cut.first + cut.rows, eager=True).alias("row").to_frame()
            frame = frame[wanted.join(places, on="row", how="left", maintain_order="left")["place"]]
        return Piece(cut.first, frame)

    def _columns(self, cut: _Cut) -> Iterator[pl.Series]:
        """Yield the values of each column, for the rows that have cells."""
        cells, count = len(cut.cells) - 1, len(self._schema)
        dense = cells == len(cut.starts) * count
        if cut.numbers is None and not dense:
            raise ValueError(f"{cells:,} cells do not fill {len(cut.starts):,} rows of {count} columns")
        digits = None if cut.numbers is None else cut.numbers.cast(pl.String)
        place = cut.starts
        for n, (dtype, code) in enumerate(zip(self._schema.dtypes(), self._formats, strict=True)):
            found = cut.cells.slice(0, cells).gather_every(count, n) if dense else cut.cells.gather(place)
            if digits is None:
                here, rest = found != "<c>", _after(found, "<c")
            else:
                here, rest = _at(found, f'<c r="{self._letters[n]}', digits)
            try:
                read = self._values(rest.filter(here), dtype, code)
            except Exception as error:
                raise ValueError(f"column {self._schema.names()[n]!r}: {error}") from error
            if not here.all():
                read = read.gather(pl.select(pl.when(here).then(here.cast(pl.UInt32).cum_sum() - 1)).to_series())
            yield read
            place = place + here.cast(place.dtype)
        if not dense and not place.equals(pl.concat([cut.starts[1:], pl.Series([cells], dtype=place.dtype)])):
            raise ValueError(f"a cell of the rows from {cut.first} on is not where it must be")

    def _values(self, cells: pl.Series, dtype: pl.DataType, code: str | None) -> pl.Series:
        """Return the values of cells; `cells` begin behind their address. There may be several kinds in a column."""
        read: list[pl.Series] = []
        order: list[pl.Series] = []
        left, places = cells, None
        while len(left):
            opening = _OPENING.match(left[0])
            if opening is None:
                raise ValueError(f"{left[0][:80]!r} is no cell")
            kind = _KINDS[opening[2]]
            if kind == "n" and self._number_format(int(opening[1] or 0)) != (code or "General"):
                raise ValueError(f"its number format is not {code or 'General'}")
            ending = "</v>" if opening[3] == "v" else "</t></is>"
            alike = left.str.starts_with(opening[0])
            every = bool(alike.all())
            chosen = left if every else left.filter(alike)
            if (kind == "t") != (ending != "</v>") or not chosen.str.ends_with(ending).all():
                raise ValueError("a cell does not end as it begins")
            texts = chosen.str.slice(len(opening[0])).str.strip_suffix(ending)
            read.append(values(texts, kind, dtype))
            if every and places is None:
                return read[0]
            places = pl.int_range(len(cells), eager=True) if places is None else places
            order.append(places.filter(alike))
            left, places = left.filter(~alike), places.filter(~alike)
        if not read:
            return pl.Series([], dtype=dtype)
        return pl.concat(read).gather(pl.concat(order).arg_sort())


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
        return _Cut(_closed(cells), starts, None, None, len(starts))
    found = _FIRST_ROW.match(xml)
    if found is None or (len(parts) and starts[0] != 0):
        raise ValueError("a piece does not begin with a row")
    first = int(found[1])
    counts = heads.str.count_matches("<row ", literal=True).cast(pl.Int64)
    ends = counts.cum_sum() + first  # the number of the row after this one
    begun = _row_tags(ends - counts, ends)
    if not heads.str.starts_with(begun).all():
        raise ValueError(f"the rows from {first:,} on are not numbered one after the other")
    last = int(ends[-1]) if len(ends) else first
    more = tail.count("<row ")
    if tail != "".join(f'</row><row r="{number}">' for number in range(last, last + more)):
        raise ValueError(f"the rows from {last:,} on are not numbered one after the other")
    rests = pl.select(pl.lit(heads).str.slice(pl.lit(begun).str.len_bytes())).to_series()
    cells = parts.scatter(starts, rests) if len(starts) else parts
    return _Cut(_closed(cells), starts, ends - 1, first, last + more - first)


def _row_tags(starts: pl.Series, ends: pl.Series) -> pl.Series:
    """Return what stands before the first cell of rows: nearly always one tag, more where rows without cells precede."""
    numbered = pl.DataFrame({"start": starts, "end": ends})
    one = pl.concat_str(pl.lit('</row><row r="'), pl.col("start"), pl.lit('">'))
    if (ends - starts == 1).all():
        return numbered.select(one).to_series()
    tags = pl.concat_str(pl.lit('</row><row r="'), pl.element(), pl.lit('">'))
    return numbered.select(pl.int_ranges("start", "end").list.eval(tags).list.join("")).to_series()


def _at(cells: pl.Series, before: str, digits: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return which cells have the address of their column and row, and what follows an address of that length."""
    frame = pl.DataFrame({"cell": cells, "digits": digits})
    address = pl.concat_str(pl.lit(before), pl.col("digits"), pl.lit('"'))
    behind = pl.col("digits").str.len_bytes() + len(before) + 1
    made = frame.select(pl.col("cell").str.starts_with(address).alias("here"), pl.col("cell").str.slice(behind))
    return made["here"], made["cell"]


def _after(texts: pl.Series, prefix: str) -> pl.Series:
    """Return what follows the prefix that all texts must have."""
    if not texts.str.starts_with(prefix).all():
        raise ValueError(f"{prefix} was expected")
    return texts.str.slice(len(prefix))


def _closed(cells: pl.Series) -> pl.Series:
    """Return the cells and an empty one, so that the place behind the last can be looked at."""
    return pl.concat([cells, pl.Series([""])])


def _letters(n: int) -> str:
    """Return the letters of column n, counted from 0."""
    high, low = divmod(n, 26)
    return (_letters(high - 1) if high else "") + chr(65 + low)
