"""A workbook, written as its rows arrive: sheet by sheet, in one pass, whatever their number."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from export_pipeline.formats.excel.blocks import Block, Packer
from export_pipeline.formats.excel.formulas import Tally, tallies
from export_pipeline.formats.excel.look import Look, Placed
from export_pipeline.formats.excel.package import Package
from export_pipeline.formats.excel.pivots.gathering import Gatherer, Summary, one_sheet
from export_pipeline.formats.excel.workbook import Parts, sheet_part

_FIRST = ("_rels/.rels", "docProps/app.xml", "docProps/core.xml", "xl/theme/theme1.xml")
"""Parts that do not depend on the rows. They come first: programs tell a file's type by its beginning."""
_NARROWEST, _WIDEST = 6.0, 60.0


class Filling(NamedTuple):
    """Rows that fill sheets."""

    look: Look
    packer: Packer
    rows: pl.LazyFrame


def write(tables: Sequence[Filling], package: Package) -> None:
    """Write the rows of each look, one table after the other, and close the package.

    Raises what the rows or the sink raise; nothing is left running then.
    """
    sheets = _Sheets(package, [table.look for table in tables])
    for look, packer, rows in tables:
        with contextlib.closing(packer.blocks(rows)) as blocks:
            first = next(blocks, None)
            longest = first.longest if first else [0] * len(look.names)
            sheets.table(look, widths(look, longest), packer.pivots)
            for block in itertools.chain([first] if first else [], blocks):
                sheets.add(block)
    sheets.finish()


def widths(look: Look, longest: Sequence[int]) -> list[float]:
    """Return the width of each column in characters: what is asked for, else what header and first rows need."""
    made = []
    for n, (name, code) in enumerate(zip(look.names, look.formats, strict=True)):
        given = look.options.width(name)
        if given is not None:
            made.append(given)
            continue
        # A format shows about as many characters as its code has; the header's filter button needs room.
        cells = len(code) if code else longest[n]
        room = 3 if look.options.autofilter else 0
        header = len(look.headers[n]) * 1.1 + room if look.headers is not None else 0.0
        made.append(round(min(max(cells + 2, header + 1, _NARROWEST), _WIDEST), 2))
    return made


class _Sheets:
    """The sheets of a package, each begun when its first row arrives."""

    def __init__(self, package: Package, looks: Sequence[Look]) -> None:
        self._package, self._looks = package, looks
        self._done: list[Placed] = []
        """The sheets that are ended."""
        self._pivots: list[Gatherer | None] = []
        self._open = False
        self._sheet: Placed
        self._tallies: dict[str, Tally]

    def table(self, look: Look, width: Sequence[float], pivots: Gatherer | None = None) -> None:
        """Begin the first sheet of a look; `pivots` gathers what its pivot tables show."""
        self._pivots.append(pivots)
        if self._open:
            self._end()
        self._first = len(self._done)
        ahead = [Placed(look, nth, 0, width) for nth in (1, 2)]  # all sheets but the first begin alike
        self._beginnings = Parts(self._looks, [*self._done, *ahead])
        if not self._done:
            for name in _FIRST:
                self._package.add(name, self._beginnings[name])
        self._begin(ahead[0])

    def add(self, block: Block) -> None:
        """Write the next block of the table."""
        if (pivots := self._pivots[-1]) is not None and block.pivots is not None:
            one_sheet(block.sheet)
            pivots.add(block.pivots)
        while self._sheet.nth <= block.sheet:
            self._end()
            self._begin(replace(self._sheet, nth=self._sheet.nth + 1, rows=0))
        self._package.append(block.xml)
        self._sheet = replace(self._sheet, rows=self._sheet.rows + block.rows)
        for n, tally in enumerate(self._tallies.values()):
            tally.add(block.totals[2 * n : 2 * n + 2])

    def finish(self) -> None:
        """Write what is left: the last piece, the end of the last sheet, all other parts, the directory."""
        last = self._end([pivots.summary() if pivots else None for pivots in self._pivots])
        sheets = {sheet_part(number) for number in range(1, len(self._done) + 1)}
        for name, part in last.items():
            if name not in sheets and name not in _FIRST:
                self._package.add(name, part)
        self._package.close()

    def _begin(self, sheet: Placed) -> None:
        """Begin a sheet."""
        self._sheet, self._tallies, self._open = sheet, tallies(sheet.look), True
        number = len(self._done) + 1
        self._package.begin(sheet_part(number))
        self._package.put(self._beginnings.beginning(self._first + min(sheet.nth, 2), number))

    def _end(self, summaries: Sequence[Summary | None] = ()) -> Parts:
        """End the sheet that is open; return the workbook as it is now, at the end with all that is behind the data."""
        self._done.append(self._sheet)
        self._open = False
        parts = Parts(self._looks, self._done, summaries)
        results = {name: tally.result for name, tally in self._tallies.items()}
        self._package.put(parts.end(len(self._done), results))
        self._package.end()
        return parts
