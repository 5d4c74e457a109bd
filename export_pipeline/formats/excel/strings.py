"""Text as Excel holds it: at most 32,767 UTF-16 units, control characters escaped as _xHHHH_, XML escaped.

Written with Polars expressions for columns and with the same rules for single texts (headers).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

import polars as pl
from pydantic import AfterValidator

MAX_TEXT = 32_767
"""UTF-16 units in a cell."""

# XML cannot hold these (or, for carriage returns, would change them). Excel's own escape for them is _xHHHH_.
_UNPRINTABLE = [chr(code) for code in range(32) if code not in (9, 10)] + ["\ufffe", "\uffff"]
_REPLACED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {char: f"_x{ord(char):04X}_" for char in _UNPRINTABLE}
_NOT_XML = re.compile(f"[{''.join(set(_UNPRINTABLE) - {chr(13)})}\ud800-\udfff]")
# An underscore that readers would take for the start of such an escape, also one that the escapes above would complete.
_LOOKS_ESCAPED = re.compile(rf"_(?=x[0-9A-Fa-f]{{4}}(?:_|[{''.join(_UNPRINTABLE)}]))")
_LOOKS_ESCAPED_AT_ALL = r"_x[0-9A-Fa-f]{4}[_\x00-\x08\x0b-\x1f\x{FFFE}\x{FFFF}]"
_SPACE_AT_THE_EDGE = r"^[ \t\n]|[ \t\n]$|\n|\t"

SPECIAL = rf"_x[0-9A-Fa-f]{{4}}_|[&<>\x00-\x08\x0b-\x1f\x{{FFFE}}\x{{FFFF}}]|{_SPACE_AT_THE_EDGE}"
"""What makes a text different from its XML: only columns in which it is found pay for the escapes."""


def printable(text: str) -> str:
    """Return the text of an option where XML can hold it; else ValueError."""
    if _NOT_XML.search(text):
        raise ValueError(f"{text[:60]!r} contains a control character, which Excel cannot show")
    return text


Printable = Annotated[str, AfterValidator(printable)]


def clipped(text: pl.Expr) -> pl.Expr:
    """Return texts cut to what a cell holds."""
    return text.map_batches(_clip, return_dtype=pl.String, is_elementwise=True)


def escaped(text: pl.Expr) -> pl.Expr:
    """Return texts as XML character data; a text that looks like Excel's own escape is protected (_x005F_)."""
    protected = text.map_batches(_protect, return_dtype=pl.String, is_elementwise=True)
    return protected.str.replace_many(list(_REPLACED), list(_REPLACED.values()))


def spaced(text: pl.Expr) -> pl.Expr:
    """Return whether readers would drop spaces of the text unless told to keep them."""
    return text.str.contains(_SPACE_AT_THE_EDGE)


def held_text(text: str) -> str:
    """Return one text with Excel's own escapes, for a library that writes the XML."""
    text = _LOOKS_ESCAPED.sub("_x005F_", text)
    return "".join(_REPLACED[char] if char in _UNPRINTABLE else char for char in text)


def escaped_text(text: str) -> str:
    """Return one text as XML character data or the value of an attribute."""
    text = _LOOKS_ESCAPED.sub("_x005F_", text)
    return "".join(_REPLACED.get(char, char) for char in text).replace('"', "&quot;")


def cut(text: str, limit: int) -> str:
    """Return the longest beginning of at most `limit` UTF-16 units."""
    return text.encode("utf-16-le")[: 2 * limit].decode("utf-16-le", "ignore")


def units(text: str) -> int:
    """Return the length as Excel counts it: in UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def _clip(texts: pl.Series) -> pl.Series:
    """Cut long texts; bytes are never fewer than UTF-16 units, so nearly every batch is left alone."""
    return _changed(texts, texts.str.len_bytes() > MAX_TEXT, lambda text: cut(text, MAX_TEXT))


def _protect(texts: pl.Series) -> pl.Series:
    # Python's expressions, because those of Polars cannot look ahead; such texts are rare.
    looks = texts.str.contains(_LOOKS_ESCAPED_AT_ALL)
    return _changed(texts, looks, lambda text: _LOOKS_ESCAPED.sub("_x005F_", text))


def _changed(texts: pl.Series, which: pl.Series, change: Callable[[str], str]) -> pl.Series:
    """Return the texts, the chosen ones changed."""
    if not which.any():
        return texts
    places = which.fill_null(value=False).arg_true()
    return texts.clone().scatter(places, [change(text) for text in texts.gather(places)])
