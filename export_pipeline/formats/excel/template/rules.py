"""What becomes of the elements that refer to cells; see `markup`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from export_pipeline.formats.excel.template.markup import MAIN, Change, Element, Rule
from export_pipeline.formats.excel.template.place import Place
from export_pipeline.formats.excel.template.references import Shift

_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
_XM = "http://schemas.microsoft.com/office/excel/2006/main"
_TOP = re.compile(r"\$?[A-Z]*\$?(\d+)")
"""The first row of a range such as A5:B6 or 5:6; whole columns have none."""
_HOLDERS = ("conditionalFormatting", "dataValidation", "sparkline")


def formula(shift: Shift, *, here: bool, grows: bool = False) -> Rule:
    """Return the rule for a formula that is the text of an element."""
    return lambda e: Change(text=shift.formula(e.text, local=here, grows=grows))


def cells(shift: Shift, name: str, *, grows: bool = True) -> Rule:
    """Return the rule for an attribute that is one range; what lay in rows that are gone goes, too."""

    def rule(e: Element) -> Change | None:
        if name not in e.attributes:
            return None
        now = shift.cells(e.attributes[name], grows=grows)
        return Change({name: now}, drop=now is None)

    return rule


def ranges(shift: Shift) -> Rule:
    """Return the rule for `sqref`, a list of ranges."""

    def rule(e: Element) -> Change | None:
        if "sqref" not in e.attributes:
            return None  # in extension lists it is an element
        now = shift.ranges(e.attributes["sqref"])
        return Change({"sqref": now}, drop=not now)

    return rule


def of_sheet(shift: Shift, place: Place, found: Sequence[Element], *, here: bool) -> dict[str, Rule]:
    """Return the rules for a sheet but for its cells; `here`: the sheet of the rows."""
    listed = {id(_holder(e)): e.text for e in found if e.name == f"{_XM} sqref"}

    def written_for(e: Element) -> str:
        holder = _holder(e)
        return "" if holder is None else holder.attributes.get("sqref") or listed.get(id(holder), "")

    def inside(e: Element) -> bool:
        tops = [int(top[1]) for part in written_for(e).split() if (top := _TOP.match(part))]
        return here and bool(tops) and place.first <= min(tops) <= place.last

    def condition(e: Element) -> Change:
        """Formulas of rules that hold for the rows are written for the first of them."""
        series = (holder := _holder(e)) is not None and holder.local == "sparkline"
        fixed = inside(e)
        return Change(text=shift.formula(e.text, local=here, grows=series and not fixed, fixed=fixed))

    def stands(e: Element) -> Change:
        holder = _holder(e)
        if holder is not None and holder.local == "sparkline":
            return Change(text=shift.cells(e.text))
        return Change(text=shift.ranges(e.text))

    def gone(e: Element) -> Change | None:
        """A rule of an extension list whose cells are gone."""
        holds = listed.get(id(e))
        return Change(drop=True) if holds is not None and not shift.ranges(holds) else None

    def link(e: Element) -> Change | None:
        """A link to a place of the workbook."""
        location = e.attributes.get("location", "")
        if "!" not in location:
            return None
        return Change({"location": shift.formula(location, local=False)})

    def linked(e: Element) -> Change:
        first, second = cells(shift, "ref", grows=False)(e) or Change(), link(e) or Change()
        return Change({**first.attributes, **second.attributes}, drop=first.drop)

    def page_break(e: Element) -> Change | None:
        if e.parent is None or e.parent.local != "rowBreaks" or "id" not in e.attributes:
            return None
        row = shift.row(int(e.attributes["id"]))
        return Change({"id": str(row)}, drop=row is None)

    rules: dict[str, Rule] = {f"{MAIN} {name}": condition for name in ("formula", "formula1", "formula2")}
    rules |= {f"{_XM} f": condition, f"{MAIN} hyperlink": linked if here else link}
    if not here:
        return rules
    one = ("mergeCell", "autoFilter", "sortState", "sortCondition")
    several = ("conditionalFormatting", "dataValidation", "protectedRange", "ignoredError")
    return {
        **rules,
        **{f"{MAIN} {name}": cells(shift, "ref") for name in one},
        **{f"{MAIN} {name}": ranges(shift) for name in several},
        **dict.fromkeys(_HOLDERS, gone),
        **dict.fromkeys((f"{MAIN} mergeCells", f"{MAIN} dataValidations"), lambda _: Change({"count": None})),
        f"{_XM} sqref": stands,
        f"{MAIN} dimension": lambda _: Change(drop=True),
        f"{MAIN} cellWatch": cells(shift, "r", grows=False),
        f"{MAIN} brk": page_break,
        **anchors(shift, place, found),
    }


def anchors(shift: Shift, place: Place, found: Sequence[Element]) -> Mapping[str, Rule]:
    """Return the rule for the rows that pictures, charts and buttons are bound to: what stands below the data moves.

    What stands beside it stays where it is.
    """
    bound: dict[int, dict[tuple[str, str], int]] = {}
    for e in found:
        corner = _corner(e)
        if corner is not None:
            bound.setdefault(id(corner.parent), {})[corner.local, e.local] = int(e.text)
    low = set()
    for anchor, at in bound.items():
        left, top = at.get(("from", "col"), 0), at.get(("from", "row"), 0)
        right = at.get(("to", "col"), left)
        if top >= place.last and left <= place.right and right >= place.left:
            low.add(anchor)

    def row(e: Element) -> Change | None:
        corner = _corner(e)
        if corner is None or id(corner.parent) not in low:
            return None
        return Change(text=str(int(e.text) + shift.down))

    return {f"{_DRAWING} row": row}


def _corner(e: Element) -> Element | None:
    """Return the corner of an anchor whose row or column this is."""
    corner = e.parent
    if not e.name.startswith(_DRAWING) or e.local not in ("row", "col") or corner is None or corner.parent is None:
        return None
    return corner if corner.local in ("from", "to") else None


def _holder(e: Element) -> Element | None:
    """Return the rule, validation or sparkline that an element is part of."""
    holder = e.parent
    while holder is not None and holder.local not in _HOLDERS:
        holder = holder.parent
    return holder
