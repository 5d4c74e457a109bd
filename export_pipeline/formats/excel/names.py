"""Names that Excel accepts: sheets, columns as letters, and headers that a table can carry."""

from __future__ import annotations

import re
from collections.abc import Iterable

from export_pipeline.formats.excel.strings import cut, units

MAX_COLUMNS = 16_384
MAX_SHEET_NAME = 31
GOES_ON = 100
"""Sheets that rows may go on in, whose names are taken."""
MAX_HEADER = 255
"""Longest name of a table's column."""

_FORBIDDEN = "\\[]:*?/"
_CONTROL = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")
_RESERVED = "history"


def letters(number: int) -> str:
    """Return the letters of a column, counted from 0: 0 is A, 25 is Z, 26 is AA."""
    text, number = "", number + 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def valid_sheet_name(name: str) -> str:
    """Return the name where it is a sheet's name as Excel allows it; ValueError names the rule that it breaks."""
    found = next((char for char in name if char in _FORBIDDEN), None)
    if not name.strip():
        raise ValueError("a sheet needs a name of at least one character that is not a space")
    if units(name) > MAX_SHEET_NAME:
        raise ValueError(f"sheet name {name!r} has {units(name)} characters; Excel allows {MAX_SHEET_NAME}")
    if found:
        raise ValueError(f"sheet name {name!r} contains {found!r}; Excel does not allow any of {' '.join(_FORBIDDEN)}")
    if _CONTROL.search(name):
        raise ValueError(f"sheet name {name!r} contains a control character")
    if name.startswith("'") or name.endswith("'"):
        raise ValueError(f"sheet name {name!r} begins or ends with an apostrophe; Excel does not allow that")
    if name.casefold() == _RESERVED:
        raise ValueError(f"sheet name {name!r} is kept by Excel for itself")
    return name


def numbered(name: str, number: int) -> str:
    """Return the name of the sheet on which the rows go on: 'Data' for 1, 'Data (2)' for 2, cut to fit."""
    if number == 1:
        return name
    ending = f" ({number})"
    while units(name + ending) > MAX_SHEET_NAME:
        name = name[:-1]
    return name + ending


def going_on(name: str) -> list[str]:
    """Return the names that the rows of a sheet may go on under, its own first."""
    return [numbered(name, number) for number in range(1, GOES_ON)]


def headers(names: Iterable[str], *, table: bool) -> list[str]:
    """Return the text of each header cell.

    Excel cannot show control characters. A table further needs names that are not empty, not longer than 255 and
    different when case is ignored: '' becomes 'Column1', a second 'ID' beside 'id' becomes 'ID (2)'.
    """
    texts = [_CONTROL.sub(" ", name) for name in names]
    if not table:
        return texts
    texts = [cut(text, MAX_HEADER) if text.strip() else f"Column{n}" for n, text in enumerate(texts, 1)]
    wanted, taken, unique = {text.casefold() for text in texts}, set[str](), list[str]()
    for text in texts:
        chosen, number = text, 2
        while chosen.casefold() in taken or (chosen != text and chosen.casefold() in wanted):
            ending = f" ({number})"
            chosen, number = cut(text, MAX_HEADER - len(ending)) + ending, number + 1
        taken.add(chosen.casefold())
        unique.append(chosen)
    return unique
