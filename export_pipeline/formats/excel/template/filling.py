"""A template filled: its parts in their order, as they are or changed; the rows in their place as they stream by."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO

import polars as pl

from export_pipeline.errors import FormatError
from export_pipeline.formats.excel.blocks import Block, Packer
from export_pipeline.formats.excel.cells import Column, Rows
from export_pipeline.formats.excel.names import letters
from export_pipeline.formats.excel.package import Deflated, Package
from export_pipeline.formats.excel.sheet import MAX_ROWS
from export_pipeline.formats.excel.strings import escaped_text
from export_pipeline.formats.excel.template.archive import Archive
from export_pipeline.formats.excel.template.book import Book
from export_pipeline.formats.excel.template.grid import Cell, Grid
from export_pipeline.formats.excel.template.markup import Edit, applied
from export_pipeline.formats.excel.template.parts import Moved, sheet_edits
from export_pipeline.formats.excel.template.place import Place, find
from export_pipeline.formats.excel.template.references import Shift
from export_pipeline.formats.excel.template.samples import formula, samples, style
from export_pipeline.formats.excel.template.styles import fitting

if TYPE_CHECKING:
    from export_pipeline.formats.excel.template import Template
    from export_pipeline.formats.excel.values import NonFinite

_FIRST = ("[Content_Types].xml",)


@dataclass(frozen=True)
class Filling:
    """A template and the place in it, checked against the columns of the data."""

    archive: Archive
    place: Place
    grid: Grid
    sheets: Sequence[str]
    schema: pl.Schema
    columns: Sequence[Column]
    """All columns of the place."""
    styles: tuple[str, bytes] | None
    """The part of styles, where it changes, and its new bytes."""
    header: bool
    """Whether the header is written."""

    @classmethod
    def of(cls, archive: Archive, options: Template, schema: pl.Schema) -> Filling:
        """Return a template ready to be filled with such (rendered) rows; ConfigError where it cannot be."""
        book = Book(archive)
        place, grid = find(book, options, list(schema))
        types = [schema[name] if name is not None else pl.Null() for name in place.columns]
        sample = samples(grid, place)
        wanted = [(style(grid, place, n), dtype) for n, dtype in enumerate(types)]
        part = next((r.target for r in archive.relations(archive.workbook).values() if r.kind == "styles"), None)
        styles, changed = [style for style, _ in wanted], None
        if part is not None:
            old = archive.xml(part)
            new, styles = fitting(old, wanted)
            changed = (part, new) if new != old else None
        formulas = [formula(grid, place, book, sample.get(n)) if name is None else None
                    for n, name in enumerate(place.columns)]  # fmt: skip
        columns = [
            Column(dtype, style, bool(style), formula, name is not None or formula is None)
            for dtype, style, formula, name in zip(types, styles, formulas, place.columns, strict=True)
        ]
        made = cls(archive, place, grid, book.order, schema, columns, changed, options.header == "write")
        for rows in (0, 2):  # whatever is wrong shows before any row is read
            made.head(made.moved(rows))
            made.others(made.moved(rows))
        return made

    def moved(self, rows: int) -> Moved:
        """Return the template with so many rows in it."""
        shift = Shift(self.place.sheet, self.sheets, self.place.first, self.place.last, rows)
        return Moved(self.archive, self.place, shift, _ending(self.archive.name))

    @property
    def cap(self) -> int:
        """How many rows there is room for."""
        below = max((row.number for row in self.grid.rows.values() if row.filled), default=0)
        return MAX_ROWS - self.place.first + 1 - max(0, below - self.place.last)

    @property
    def _height(self) -> float | None:
        """The height of the rows, where the sample row has one of its own."""
        row = self.grid.rows.get(self.place.first)
        own = row is not None and row.element.attributes.get("customHeight") in ("1", "true")
        return float(row.element.attributes["ht"]) if row is not None and own else None

    def head(self, moved: Moved) -> bytes:
        """Return the XML of the sheet up to the first row of data."""
        return self._cut(moved)[0]

    def tail(self, moved: Moved) -> bytes:
        """Return the XML of the sheet from behind the last row of data."""
        return self._cut(moved)[1]

    def others(self, moved: Moved) -> dict[str, bytes]:
        """Return the parts that change, but for the sheet of the rows."""
        new = {name: moved.part(name) for name in moved.names() if name != self.place.part}
        made = {name: data for name, data in new.items() if data is not None}
        return made | (dict([self.styles]) if self.styles else {})

    def write(self, rows: pl.LazyFrame, sink: BinaryIO, non_finite: NonFinite) -> None:
        """Write the filled workbook; one pass over the rows. FormatError where there are more than the sheet holds."""
        names = [
            pl.nth(self.schema.names().index(name)).alias(str(n)) if name is not None else pl.lit(None).alias(str(n))
            for n, name in enumerate(self.place.columns)
        ]
        cells = Rows(self.columns, non_finite=non_finite, left=self.place.left, height=self._height)
        blocks = Packer(self.columns, cells, cap=self.cap, first=self.place.first).blocks(rows.select(names))
        package = Package(sink)
        try:
            if self.head(self.moved(1)) == self.head(self.moved(MAX_ROWS - self.place.first)):
                count = self._stream(package, blocks)
            else:  # a formula above the rows depends on their number: they wait for it, packed
                count = self._hold(package, blocks)
        finally:
            blocks.close()
        moved = self.moved(count)
        new = self.others(moved)
        for name in moved.names():
            if name != self.place.part and name not in _FIRST:
                self._put(package, name, new.get(name))
        package.close()

    def _put(self, package: Package, name: str, new: bytes | None) -> None:
        """Write a part anew, or as it is packed in the template."""
        if new is not None:
            package.add(name, new)
        else:
            packed = self.archive.packed(name)
            package.copy(name, packed.data, packed.method, packed.crc, packed.raw)

    def _stream(self, package: Package, blocks: Generator[Block]) -> int:
        """Write the sheet while its rows arrive; return their number."""
        self._begin(package)
        package.put(self.head(self.moved(1)))
        count = 0
        for block in blocks:
            self._check(block)
            package.append(block.xml)
            count += block.rows
        package.put(self.tail(self.moved(count)))
        package.end()
        return count

    def _hold(self, package: Package, blocks: Generator[Block]) -> int:
        """Write the sheet when its rows are all there; return their number."""
        with tempfile.TemporaryFile() as kept:
            known: list[tuple[int, int, int]] = []
            count = 0
            for block in blocks:
                self._check(block)
                kept.write(block.xml.data)
                known.append((len(block.xml.data), block.xml.raw, block.xml.crc))
                count += block.rows
            kept.seek(0)
            moved = self.moved(count)
            self._begin(package)
            package.put(self.head(moved))
            for piece in _pieces(kept, known):
                package.append(piece)
            package.put(self.tail(moved))
            package.end()
        return count

    def _begin(self, package: Package) -> None:
        for name in _FIRST:  # programs tell a file's type by its beginning
            self._put(package, name, self.moved(0).part(name))
        package.begin(self.place.part)

    def _check(self, block: Block) -> None:
        if block.sheet:
            raise FormatError(
                f"the sheet {self.place.sheet!r} of the template has room for {self.cap:,} rows; there are more",
                cure="Filter the rows, or export without a template: then they go on in further sheets.",
            )

    def _cut(self, moved: Moved) -> tuple[bytes, bytes]:
        grid, place, holder = self.grid, self.place, self.grid.holder
        if holder is None:
            self.archive.refuse(f"is broken: the sheet {place.sheet!r} has no rows")
        header = self._header()
        made = [
            edit
            for edit in sheet_edits(moved, grid)
            if not any(new.start <= edit.start and edit.end <= new.end for new in header)
        ]
        if holder.opened == holder.end:  # <sheetData/>
            name = re.sub(rb"[<\s/>]", b"", grid.data[holder.start : holder.opened])
            added = b"".join(edit.new for edit in header)
            head = applied(grid.data, made, 0, holder.start) + b"<" + name + b">" + added
            return head, b"</" + name + b">" + applied(grid.data, made, holder.end)
        above = [row.element.end for row in grid.rows.values() if row.number < place.first]
        below = [row.element.start for row in grid.rows.values() if row.number > place.last]
        head = applied(grid.data, [*made, *header], 0, above[-1] if above else holder.opened)
        return head, applied(grid.data, made, below[0] if below else holder.closing)

    def _header(self) -> list[Edit]:
        """Return the edits that write the names of the columns into the row above the data."""
        if not self.header:
            return []
        place, number = self.place, self.place.first - 1
        row = self.grid.rows.get(number)
        there: dict[int, Cell] = {cell.column: cell for cell in row.cells} if row is not None else {}
        texts = {place.left + n: name for n, name in enumerate(place.columns) if name is not None}
        cells = {}
        for at in sorted({*texts, *there}):
            if at in texts:
                style = f' s="{there[at].style}"' if at in there and there[at].style else ""
                text = escaped_text(texts[at])
                cells[at] = (
                    f'<c r="{letters(at)}{number}"{style} t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
                ).encode()
            else:
                cells[at] = self.grid.data[there[at].element.start : there[at].element.end]
        new = b"".join(cells.values())
        if row is not None and row.element.opened != row.element.end:
            return [Edit(row.element.opened, row.element.closing, new)]
        holder = self.grid.holder
        before = [known.element.end for known in self.grid.rows.values() if known.number < number]
        at_end = before[-1] if before else (holder.opened if holder is not None else 0)
        begin, end = (row.element.start, row.element.end) if row is not None else (at_end, at_end)
        return [Edit(begin, end, b'<row r="%d">%b</row>' % (number, new))]


def _pieces(kept: IO[bytes], known: Sequence[tuple[int, int, int]]) -> Iterator[Deflated]:
    for size, raw, crc in known:
        yield Deflated(kept.read(size), raw, crc)


def _ending(name: str) -> str:
    return f".{name.rpartition('.')[2].lower()}"
