"""The parts of a template that refer to cells, and what becomes of them when the rows have moved.

Part by part, by its content type. A part that comes out as it went in is copied packed, as it is in the template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from export_pipeline.formats.excel.template.archive import FILLED, MAIN_TYPES, Archive
from export_pipeline.formats.excel.template.book import ROWS
from export_pipeline.formats.excel.template.grid import Grid
from export_pipeline.formats.excel.template.markup import Change, Edit, Element, Rule, applied, edits, elements
from export_pipeline.formats.excel.template.place import Place, described
from export_pipeline.formats.excel.template.references import Shift
from export_pipeline.formats.excel.template.rules import anchors, cells, formula, of_sheet

_MAIN_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml."
SHEET = _MAIN_SHEET + "worksheet+xml"
_DRAWINGS = "application/vnd.openxmlformats-officedocument.drawing"
_CALCULATIONS = _MAIN_SHEET + "calcChain+xml"
_EXTERNAL = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class Moved:
    """A template with so many rows in it."""

    archive: Archive
    place: Place
    shift: Shift
    ending: str
    """Of the template's name."""

    def names(self) -> list[str]:
        """Return the parts that the filled workbook has."""
        return [name for name in self.archive.parts if self.archive.types[name] != _CALCULATIONS]

    def part(self, name: str) -> bytes | None:
        """Return a part as it is now; None where it is as it was."""
        if name == "[Content_Types].xml":
            make: _Maker = _types
        elif name.endswith(".rels"):
            make = _relations
        elif name == self.archive.workbook:
            make = _workbook
        elif self.archive.types[name] == SHEET:
            return _sheet(self, name)
        elif self.archive.types[name] in _MAKERS:
            make = _MAKERS[self.archive.types[name]]
        else:
            return None
        old = self.archive.read(name)
        here = name in {relation.target for relation in self.archive.relations(self.place.part).values()}
        new = make(self, self.archive.xml(name) if make is not _vml else old, here)
        return None if new == old else new


_Maker = Callable[[Moved, bytes, bool], bytes]
"""Makes a part anew; the last argument says whether it belongs to the sheet of the rows."""


def sheet_edits(moved: Moved, grid: Grid) -> list[Edit]:
    """Return what changes in the sheet of the rows, but for the rows themselves."""
    rules = of_sheet(moved.shift, moved.place, grid.elements, here=True)
    return [*edits(grid.data, grid.elements, rules), *grid.moved(moved.shift, here=True)]


def _types(moved: Moved, data: bytes, here: bool) -> bytes:  # noqa: ARG001
    """A template becomes a workbook; the order of calculation is Excel's to find."""
    was, becomes = MAIN_TYPES[moved.ending], MAIN_TYPES[FILLED[moved.ending]]

    def rule(e: Element) -> Change | None:
        kind = e.attributes.get("ContentType")
        if kind == _CALCULATIONS:
            return Change(drop=True)
        return Change({"ContentType": becomes}) if kind == was else None

    return _ruled(data, {"Override": rule, "Default": rule})


def _relations(moved: Moved, data: bytes, here: bool) -> bytes:  # noqa: ARG001
    def rule(e: Element) -> Change | None:
        return Change(drop=True) if e.attributes.get("Type", "").endswith("/calcChain") else None

    return _ruled(data, {"Relationship": rule})


def _workbook(moved: Moved, data: bytes, here: bool) -> bytes:  # noqa: ARG001
    """Names move; one more, hidden, says where the rows are; Excel computes everything when it opens the file."""
    found, place = elements(data), described(moved.place, moved.shift.rows)

    def name(e: Element) -> Change:
        if e.attributes.get("name") == ROWS:  # the template was made like this itself
            return Change(text=place)
        return Change(text=moved.shift.formula(e.text, local=False, grows=True))

    made = edits(data, found, {"definedName": name, "calcPr": lambda _: Change({"fullCalcOnLoad": "1"})})
    root = found[0]
    prefix = data[root.start + 1 : root.opened].split(b"workbook")[0]  # where the main namespace has one
    from xml.sax.saxutils import escape

    known = any(e.local == "definedName" and e.attributes.get("name") == ROWS for e in found)
    text = (prefix, ROWS.encode(), escape(place).encode(), prefix)
    new = b"" if known else b'<%bdefinedName name="%b" hidden="1">%b</%bdefinedName>' % text
    top = {e.local: e for e in found if e.parent is root}
    calc = b'<%bcalcPr fullCalcOnLoad="1"/>' % prefix if "calcPr" not in top else b""
    names = top.get("definedNames")
    if names is not None and names.opened != names.end:
        made.append(Edit(names.closing, names.closing, new))
        if calc:
            made.append(Edit(names.end, names.end, calc))
    else:
        before = next(top[e] for e in ("externalReferences", "functionGroups", "sheets") if e in top)
        made.append(
            Edit(before.end, before.end, b"<%bdefinedNames>%b</%bdefinedNames>%b" % (prefix, new, prefix, calc))
        )
        if names is not None:
            made.append(Edit(names.start, names.end, b""))
    return applied(data, made)


def _table(moved: Moved, data: bytes, here: bool) -> bytes:
    own = formula(moved.shift, here=here)
    rules: dict[str, Rule] = {"calculatedColumnFormula": own, "totalsRowFormula": own}
    if here:
        rules |= {name: cells(moved.shift, "ref") for name in ("table", "autoFilter", "sortState", "sortCondition")}
    return _ruled(data, rules)


def _chart(moved: Moved, data: bytes, here: bool) -> bytes:  # noqa: ARG001
    """Values that the chart keeps of its cells are old; Excel reads them anew."""
    refer = formula(moved.shift, here=False, grows=True)

    def kept(e: Element) -> Change | None:
        sibling = next((f for f in found if f.parent is e.parent and f.local == "f"), None)
        return None if sibling is None or _EXTERNAL.search(sibling.text) else Change(drop=True)

    found = elements(data)
    caches = dict.fromkeys(("numCache", "strCache", "multiLvlStrCache", "lvl"), kept)
    return applied(data, edits(data, found, {"f": refer, **caches}))


def _pivot_cache(moved: Moved, data: bytes, here: bool) -> bytes:  # noqa: ARG001
    """A pivot table over a sheet is computed anew when the file is opened."""
    found = elements(data)
    if not any(e.local == "worksheetSource" for e in found):
        return data

    def source(e: Element) -> Change | None:
        if e.attributes.get("sheet", "").casefold() == moved.place.sheet.casefold() and "ref" in e.attributes:
            return Change({"ref": moved.shift.cells(e.attributes["ref"], grows=True)})
        return None

    root = {"pivotCacheDefinition": lambda _: Change({"refreshOnLoad": "1"}), "worksheetSource": source}
    return applied(data, edits(data, found, root))


def _pivot_table(moved: Moved, data: bytes, here: bool) -> bytes:
    return _ruled(data, {"location": cells(moved.shift, "ref")}) if here else data


def _drawing(moved: Moved, data: bytes, here: bool) -> bytes:
    """What floats below the rows moves with the cells there; a shape may show a cell."""

    def link(e: Element) -> Change | None:
        text = e.attributes.get("textlink")
        if not text:
            return None
        now = moved.shift.formula(text.removeprefix("="), local=here)
        return Change({"textlink": "=" * text.startswith("=") + now})

    found = elements(data)
    rules: dict[str, Rule] = {"sp": link}
    if here:
        rules |= anchors(moved.shift, moved.place, found)
    return applied(data, edits(data, found, rules))


def _comments(moved: Moved, data: bytes, here: bool) -> bytes:
    single = cells(moved.shift, "ref", grows=False)
    return _ruled(data, {"comment": single, "threadedComment": single}) if here else data


def _control(moved: Moved, data: bytes, here: bool) -> bytes:
    """Form controls: the cells they are linked to."""

    def rule(e: Element) -> Change:
        linked: dict[str, str] = {
            n: e.attributes[n] for n in ("fmlaLink", "fmlaRange", "fmlaTxbx", "fmlaGroup") if n in e.attributes
        }
        grown = {n: moved.shift.formula(text, local=here, grows=n == "fmlaRange") for n, text in linked.items()}
        return Change(grown)

    return _ruled(data, {"formControlPr": rule})


def _vml(moved: Moved, data: bytes, here: bool) -> bytes:
    """Boxes of notes and form controls as Excel has drawn them since 1997: not always well-formed XML."""
    if not here:
        return data

    def shape(found: re.Match[bytes]) -> bytes:
        text = found[0]
        row = re.search(rb"<x:Row>\s*(\d+)\s*</x:Row>", text)
        anchor = re.search(rb"<x:Anchor>([\d,\s-]+)</x:Anchor>", text)
        places = [int(n) for n in anchor[1].split(b",")] if anchor else []
        low = int(row[1]) >= moved.place.last if row else len(places) == 8 and _below(moved, places)
        if not low:
            return text
        if row:
            text = text.replace(row[0], b"<x:Row>%d</x:Row>" % (int(row[1]) + moved.shift.down))
        if anchor and len(places) == 8:
            places[2], places[6] = places[2] + moved.shift.down, places[6] + moved.shift.down
            text = text.replace(anchor[0], b"<x:Anchor>%b</x:Anchor>" % b", ".join(b"%d" % n for n in places))
        return text

    def linked(found: re.Match[bytes]) -> bytes:
        now = moved.shift.formula(found[2].decode(), local=here, grows=found[1] == b"FmlaRange")
        return b"<x:%b>%b</x:%b>" % (found[1], now.encode(), found[1])

    data = re.sub(rb"<v:shape\b.*?</v:shape>", shape, data, flags=re.DOTALL)
    return re.sub(rb"<x:(FmlaLink|FmlaRange|FmlaTxbx)>([^<&]+)</x:\1>", linked, data)


def _below(moved: Moved, places: Sequence[int]) -> bool:
    left, top, right = places[0], places[2], places[4]
    return top >= moved.place.last and left <= moved.place.right and right >= moved.place.left


def _ruled(data: bytes, rules: dict[str, Rule]) -> bytes:
    return applied(data, edits(data, elements(data), rules))


def _sheet(moved: Moved, part: str) -> bytes | None:
    """Return another sheet of cells as it is now; None where it is as it was."""
    grid = Grid(moved.archive, part)
    rules = of_sheet(moved.shift, moved.place, grid.elements, here=False)
    made = [*edits(grid.data, grid.elements, rules), *grid.moved(moved.shift, here=False)]
    return applied(grid.data, made) if made else None


_MAKERS: dict[str, _Maker] = {
    _MAIN_SHEET + "table+xml": _table,
    "application/vnd.openxmlformats-officedocument.drawingml.chart+xml": _chart,
    "application/vnd.ms-office.chartex+xml": _chart,
    _MAIN_SHEET + "pivotCacheDefinition+xml": _pivot_cache,
    _MAIN_SHEET + "pivotTable+xml": _pivot_table,
    _DRAWINGS + "+xml": _drawing,
    _MAIN_SHEET + "comments+xml": _comments,
    "application/vnd.ms-excel.threadedcomments+xml": _comments,
    "application/vnd.ms-excel.controlproperties+xml": _control,
    "application/vnd.openxmlformats-officedocument.vmlDrawing": _vml,
}
