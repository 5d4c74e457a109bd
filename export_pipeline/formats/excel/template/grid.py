"""The cells of a template's sheet: where each stands in the XML, and what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn
from xml.sax.saxutils import escape

from export_pipeline.errors import ConfigError
from export_pipeline.formats.excel.sheet import MAX_ROWS
from export_pipeline.formats.excel.template.archive import Archive
from export_pipeline.formats.excel.template.markup import MAIN, Edit, Element, changed, elements, with_attributes
from export_pipeline.formats.excel.template.markup import Change as Changed
from export_pipeline.formats.excel.template.references import Shift, column, corners

_EXTERNAL = re.compile(r"\[\d+\]")


@dataclass
class Cell:
    """A cell of a sheet."""

    element: Element
    row: int
    column: int
    """Counted from 0."""
    formula: Element | None = None
    value: Element | None = None
    texts: list[str] = field(default_factory=list)
    """Of a text that stands in the cell itself."""

    @property
    def address(self) -> str:
        """A5."""
        return self.element.attributes["r"]

    @property
    def style(self) -> int:
        """Its style, by number."""
        return int(self.element.attributes.get("s", 0))

    @property
    def filled(self) -> bool:
        """Whether it has more than a look."""
        return self.formula is not None or self.value is not None or bool(self.texts)


@dataclass
class Row:
    """A row of a sheet."""

    element: Element
    number: int
    cells: list[Cell] = field(default_factory=list)

    @property
    def filled(self) -> bool:
        """Whether a cell of it has more than a look."""
        return any(cell.filled for cell in self.cells)


class Grid:
    """The cells of one sheet."""

    def __init__(self, archive: Archive, part: str) -> None:
        self.archive, self.part, self.data = archive, part, archive.xml(part)
        self.elements = elements(self.data)
        self.rows: dict[int, Row] = {}
        self.holder: Element | None = None
        """The element of all rows."""
        kinds = {
            f"{MAIN} {name}": add for name, add in (("row", self._row), ("c", self._cell), ("f", self._formula),
                                                   ("v", self._value), ("t", self._text))
        }  # fmt: skip
        self._last: Row | None = None
        for element in self.elements:
            if element.name == f"{MAIN} sheetData":
                self.holder = element
            add = kinds.get(element.name)
            if add is not None and self.holder is not None and not self.holder.end <= element.start:
                add(element)

    def cells(self) -> Iterator[Cell]:
        """Yield all cells."""
        for row in self.rows.values():
            yield from row.cells

    def text(self, cell: Cell) -> str | None:
        """Return what a cell says; None for nothing."""
        if cell.texts:
            return "".join(cell.texts)
        if cell.value is None:
            return None
        if cell.element.attributes.get("t") == "s":
            return strings(self.archive)[int(cell.value.text)]
        return cell.value.text

    def formula(self, cell: Cell) -> str | None:
        """Return the formula of a cell, without the sign =; that of a shared one, as it is in this cell."""
        if cell.formula is None:
            return None
        if cell.formula.text or cell.formula.attributes.get("t") != "shared":
            return cell.formula.text
        from openpyxl.formula.translate import Translator

        first = self._shared.get(cell.formula.attributes.get("si", ""))
        if first is None or first.formula is None:
            return None
        translated: str = Translator(f"={first.formula.text}", first.address).translate_formula(cell.address)
        return translated[1:]

    @cached_property
    def _shared(self) -> dict[str, Cell]:
        """The first cell of each formula that several cells share, by its number."""
        return {
            cell.formula.attributes["si"]: cell
            for cell in self.cells()
            if cell.formula is not None and cell.formula.text and "si" in cell.formula.attributes
        }

    def moved(self, shift: Shift, *, here: bool) -> list[Edit]:
        """Return what changes of the cells when rows move; `here`: on this sheet, whose sample rows are left out."""
        made: list[Edit] = []
        expanded = self._expanded(shift, here=here)
        computed = list(self._computed())
        for row in self.rows.values():
            if here and shift.first <= row.number <= shift.last:
                continue
            below = here and row.number > shift.last
            if below and row.number + shift.down > MAX_ROWS:  # it has only looks: `Filling.cap` keeps room for others
                made.append(Edit(row.element.start, row.element.end, b""))
                continue
            if below:
                numbered = with_attributes(_tag(self.data, row.element), {"r": str(row.number + shift.down)})
                made.append(Edit(row.element.start, row.element.opened, numbered))
            for cell in row.cells:
                new: dict[str, str | None] = {}
                if below:
                    new["r"] = cell.address.replace(str(row.number), str(row.number + shift.down))
                stale = cell.formula is not None or any(
                    left <= cell.column <= right and top <= cell.row <= bottom for left, right, top, bottom in computed
                )
                if stale and cell.value is not None and not (cell.formula and _EXTERNAL.search(cell.formula.text)):
                    new["t"] = None  # the result is that of the sample rows: it would be wrong, and nobody could see it
                    made.append(Edit(cell.value.start, cell.value.end, b""))
                tag = _tag(self.data, cell.element)
                if (changed_tag := with_attributes(tag, new)) != tag:
                    made.append(Edit(cell.element.start, cell.element.opened, changed_tag))
                made += self._formula_edits(cell, shift, here=here, expand=cell.address in expanded)
        return made

    def _formula_edits(self, cell: Cell, shift: Shift, *, here: bool, expand: bool) -> list[Edit]:
        element = cell.formula
        if element is None:
            return []
        text = self.formula(cell) or ""
        new = shift.formula(text, local=here)
        attributes: dict[str, str | None] = {}
        if here and "ref" in element.attributes:
            attributes["ref"] = shift.cells(element.attributes["ref"])
        if expand:
            attributes = {"t": None, "si": None, "ref": None}
            if element.opened == element.end:
                name = _name(self.data, element)
                return [Edit(element.start, element.end, f"<{name}>{escape(new)}</{name}>".encode())]
        elif not element.text:
            return []  # it follows the first of those that share it
        return changed(self.data, element, Changed(attributes, new))

    def _expanded(self, shift: Shift, *, here: bool) -> set[str]:
        """Return the cells whose shared formula has to become one of their own."""
        groups: dict[str, list[Cell]] = {}
        for cell in self.cells():
            if cell.formula is not None and cell.formula.attributes.get("t") == "shared":
                groups.setdefault(cell.formula.attributes["si"], []).append(cell)
        expanded: set[str] = set()
        for group in groups.values():
            texts = [self.formula(cell) or "" for cell in group]
            if here or any(shift.formula(text, local=here) != text for text in texts):
                expanded |= {cell.address for cell in group}
        return expanded

    def _computed(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield the areas that one formula fills."""
        for cell in self.cells():
            if cell.formula is not None and cell.formula.attributes.get("t") in ("array", "dataTable"):
                yield corners(cell.formula.attributes.get("ref", cell.address))

    def _row(self, element: Element) -> None:
        if "r" not in element.attributes:
            self._refuse()
        row = Row(element, int(element.attributes["r"]))
        self.rows[row.number] = self._last = row

    def _cell(self, element: Element) -> None:
        found = re.fullmatch(r"([A-Z]+)(\d+)", element.attributes.get("r", ""))
        if found is None or self._last is None:
            self._refuse()
        self._last.cells.append(Cell(element, int(found[2]), column(found[1])))

    def _formula(self, element: Element) -> None:
        self._open.formula = element

    def _value(self, element: Element) -> None:
        self._open.value = element

    def _text(self, element: Element) -> None:
        self._open.texts.append(element.text)

    @property
    def _open(self) -> Cell:
        """The cell that was begun last."""
        if self._last is None or not self._last.cells:
            self._refuse()
        return self._last.cells[-1]

    def _refuse(self) -> NoReturn:
        raise ConfigError(
            f"excel: template: {self.archive.name!r}: the cells of {self.part} have no addresses",
            cure="Open the template in Excel and save it.",
        )


def strings(archive: Archive) -> list[str]:
    """Return the texts that the sheets of a workbook share."""
    part = next((r.target for r in archive.relations(archive.workbook).values() if r.kind == "sharedStrings"), None)
    if part is None:
        return []
    phonetic = f"{{{MAIN}}}rPh"
    texts = []
    for item in archive.tree(part).findall(f"{{{MAIN}}}si"):
        runs = list(item.iter(f"{{{MAIN}}}t"))
        spoken = {id(text) for guide in item.iter(phonetic) for text in guide.iter(f"{{{MAIN}}}t")}
        texts.append("".join(run.text or "" for run in runs if id(run) not in spoken))
    return texts


def _tag(data: bytes, element: Element) -> bytes:
    return data[element.start : element.opened]


def _name(data: bytes, element: Element) -> str:
    found = re.match(rb"<([^\s/>]+)", data[element.start : element.opened])
    return found[1].decode() if found else element.local
