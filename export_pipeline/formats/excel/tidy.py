"""The parts of openpyxl in one spelling.

With lxml installed, openpyxl writes other bytes than without it. The same export must make the same file on every
machine, so each part is written anew in the canonical form (W3C C14N 2.0), with short tags for empty elements.
"""

from __future__ import annotations

import functools
import re
from xml.etree import ElementTree as Tree

_EMPTY = re.compile(r"<([\w:]+)([^<>]*)></\1>")
_FONT = re.compile(r"<font>(.*?)</font>")
_MEMBER = re.compile(r"<(\w+)[^>]*/>")
_SMALL = 1 << 14
"""Bytes of parts that are kept: the theme is in every workbook, most others are made several times for each."""
_ORDER = (
    "b", "i", "strike", "condense", "extend", "outline", "shadow", "u", "vertAlign", "sz", "color", "name", "family",
    "charset", "scheme",
)  # fmt: skip
"""Members of a font as Excel writes them; Microsoft's schema refuses others (openpyxl begins with the name)."""


def tidied(name: str, part: bytes) -> bytes:
    """Return a part of a workbook in its one spelling; pictures as they are."""
    if not name.endswith((".xml", ".rels")):
        return part
    text = (_kept if len(part) <= _SMALL else _canonical)(part)
    if name == "xl/styles.xml":
        text = _FONT.sub(lambda font: f"<font>{_ordered(font[1])}</font>", text)
    return text.encode()


def _canonical(part: bytes) -> str:
    return _EMPTY.sub(r"<\1\2/>", Tree.canonicalize(part.decode()))


_kept = functools.lru_cache(maxsize=64)(_canonical)


def _ordered(members: str) -> str:
    found = {member[1]: member[0] for member in _MEMBER.finditer(members)}
    return "".join(found[name] for name in sorted(found, key=_ORDER.index))
