"""A workbook, written as its rows arrive: sheet by sheet, in one pass, whatever their number."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence
from dataclasses import replace

from export_pipeline.formats.excel.blocks import Block
from export_pipeline.formats.excel.formulas import Tally, tallies
from export_pipeline.formats.excel.look import Look
from export_pipeline.formats.excel.package import Package
from export_pipeline.formats.excel.pivots.gathering import Gatherer, one_sheet
from export_pipeline.formats.excel.workbook import Parts, sheet_part

_FIRST = ("_rels/.rels", "docProps/app.xml", "docProps/core.xml", "xl/theme/theme1.xml")
"""Parts that do not depend on the rows. They come first: programs tell a file's type by its beginning."""
_NARROWEST, _WIDEST = 6.0, 60.0


def write(blocks: Generator[Block], package: Package, look: Look, pivots: Gatherer | None = None) -> None:
    """Write all blocks and close the package. Raises what the rows or the sink raise; nothing is left running then."""
    try:
        first = next(blocks, None)
        longest = first.longest if first else [0] * len(look.names)
        sheets = _Sheets(package, look, widths(look, longest), pivots)
        for block in itertools.chain([first] if first else [], blocks):
            sheets.add(block)
        sheets.finish()
    finally:
        blocks.close()


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

    def __init__(self, package: Package, look: Look, width: Sequence[float], pivots: Gatherer | None = None) -> None:
        self._package, self._look, self._widths, self._pivots = package, look, width, pivots
        self._rows: list[int] = []
        self._tallies: list[dict[str, Tally]] = []
        self._beginnings = Parts(look, [0, 0], width)  # all sheets but the first begin alike
        for name in _FIRST:
            package.add(name, self._beginnings[name])

    def add(self, block: Block) -> None:
        """Write the next block."""
        self._begin(up_to=block.sheet + 1)
        if self._pivots is not None and block.pivots is not None:
            one_sheet(block.sheet)
            self._pivots.add(block.pivots)
        self._package.append(block.xml)
        self._rows[-1] += block.rows
        for n, tally in enumerate(self._tallies[-1].values()):
            tally.add(block.totals[2 * n : 2 * n + 2])

    def finish(self) -> None:
        """Write what is left: the last piece, the end of the last sheet, all other parts, the directory."""
        self._begin(up_to=1)
        if self._pivots is not None:
            self._look = replace(self._look, pivots=self._pivots.summary())
        last = self._end()
        sheets = {sheet_part(number) for number in range(1, len(self._rows) + 1)}
        for name in last:
            if name not in sheets and name not in _FIRST:
                self._package.add(name, last[name])
        self._package.close()

    def _begin(self, up_to: int) -> None:
        """Begin sheets until there are so many."""
        while len(self._rows) < up_to:
            if self._rows:
                self._end()
            self._rows.append(0)
            self._tallies.append(tallies(self._look))
            number = len(self._rows)
            self._package.begin(sheet_part(number))
            self._package.put(self._beginnings.beginning(min(number, 2), number))

    def _end(self) -> Parts:
        """End the sheet that is open; return the workbook as it is now."""
        parts = Parts(self._look, self._rows, self._widths)
        results = {name: tally.result for name, tally in self._tallies[-1].items()}
        self._package.put(parts.end(len(self._rows), results))
        self._package.end()
        return parts
