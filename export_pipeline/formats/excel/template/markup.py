"""XML that is changed in places: every byte that no rule changes stays as it is.

expat says where each element begins and ends; rules say by name what becomes of an element. No tree is written anew:
prefixes, extension lists and whatever newer versions of Excel may put into a part are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"

_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")


@dataclass
class Element:
    """An element of a part and where it stands in its bytes."""

    name: str
    """Namespace and name with a space between them."""
    attributes: dict[str, str]
    parent: Element | None
    start: int
    opened: int
    """Behind its opening tag."""
    closing: int = 0
    """Before its closing tag; where it has none, behind the element."""
    end: int = 0
    text: str = ""
    """Characters in the element itself, not in those inside of it."""

    @property
    def local(self) -> str:
        """The name without its namespace."""
        return self.name.rpartition(" ")[2]


@dataclass(frozen=True)
class Change:
    """What becomes of an element. `attributes`: None takes one away."""

    attributes: Mapping[str, str | None] = field(default_factory=dict)
    text: str | None = None
    drop: bool = False


@dataclass(frozen=True)
class Edit:
    """Bytes that take the place of others."""

    start: int
    end: int
    new: bytes


Rule = Callable[[Element], Change | None]


def elements(data: bytes) -> list[Element]:
    """Return all elements of a part in the order of their beginnings; expat.ExpatError where it is not well formed."""
    parser = expat.ParserCreate("UTF-8", " ")
    parser.buffer_text = True
    found: list[Element] = []
    open_: list[Element] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        start = parser.CurrentByteIndex
        tag = _TAG.match(data, start)
        end = tag.end() if tag else start
        element = Element(name, attributes, open_[-1] if open_ else None, start, end)
        found.append(element)
        open_.append(element)

    def finish(_name: str) -> None:
        element = open_.pop()
        if data[element.opened - 2 : element.opened] == b"/>":
            element.closing = element.end = element.opened
            return
        element.closing = parser.CurrentByteIndex
        element.end = data.index(b">", element.closing) + 1

    def characters(text: str) -> None:
        open_[-1].text += text

    parser.StartElementHandler, parser.EndElementHandler = begin, finish
    parser.CharacterDataHandler = characters
    parser.Parse(data, True)
    return found


def edits(data: bytes, found: Sequence[Element], rules: Mapping[str, Rule]) -> list[Edit]:
    """Return what the rules, by the names of elements (with namespace, or without for any), change in a part."""
    changes: dict[int, Change] = {}
    for element in found:
        rule = rules.get(element.name) or rules.get(element.local)
        change = rule(element) if rule else None
        if change is not None:
            changes[id(element)] = change
    _drop_empty(found, changes)
    made: list[Edit] = []
    dropped = 0
    for element in found:
        if element.start >= dropped and id(element) in changes:
            made += changed(data, element, changes[id(element)])
            dropped = element.end if changes[id(element)].drop else dropped
    return made


def _drop_empty(found: Sequence[Element], changes: dict[int, Change]) -> None:
    """Drop elements all of whose elements are dropped: an empty list of rules is one that Excel repairs."""
    left: dict[int, int] = {}
    for element in found:
        left[id(element.parent)] = left.get(id(element.parent), 0) + 1
    for element in reversed(found):
        change = changes.get(id(element))
        if change is not None and change.drop and element.parent is not None:
            left[id(element.parent)] -= 1
            if not left[id(element.parent)]:
                changes[id(element.parent)] = Change(drop=True)


def changed(data: bytes, element: Element, change: Change) -> list[Edit]:
    """Return the edits that make a change of an element."""
    if change.drop:
        return [Edit(element.start, element.end, b"")]
    made = []
    tag = data[element.start : element.opened]
    new = with_attributes(tag, change.attributes)
    if new != tag:
        made.append(Edit(element.start, element.opened, new))
    if change.text is not None and change.text != element.text and element.opened != element.end:
        made.append(Edit(element.opened, element.closing, escape(change.text).encode()))
    return made


def applied(data: bytes, made: Sequence[Edit], start: int = 0, end: int | None = None) -> bytes:
    """Return the bytes from `start` to `end` with the edits made that lie between them."""
    end = len(data) if end is None else end
    pieces, at = [], start
    for edit in sorted(made, key=lambda edit: (edit.start, edit.end)):
        if start <= edit.start and edit.end <= end:
            pieces += [data[at : edit.start], edit.new]
            at = edit.end
    return b"".join([*pieces, data[at:end]])


def with_attributes(tag: bytes, values: Mapping[str, str | None]) -> bytes:
    """Return an opening tag with these attributes set; None takes one away."""
    for name, value in values.items():
        there = re.search(rb"\s+" + re.escape(name.encode()) + rb"""\s*=\s*("[^"]*"|'[^']*')""", tag)
        new = b"" if value is None else f' {name}="{escape(value, {chr(34): "&quot;"})}"'.encode()
        if there:
            tag = tag[: there.start()] + new + tag[there.end() :]
        elif new:
            close = len(tag) - (2 if tag.endswith(b"/>") else 1)
            tag = tag[:close].rstrip() + new + tag[close:]
    return tag
