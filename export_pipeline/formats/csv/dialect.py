"""How a field stands in a record: delimiter, quotes, escapes. Said once for texts (headers) and for columns."""

from __future__ import annotations

import csv
import re
from typing import Literal, NamedTuple

import polars as pl

Quotes = Literal["all", "minimal", "none"]
QUOTING: dict[Quotes, Literal[0, 1, 3]] = {
    "all": csv.QUOTE_ALL,
    "minimal": csv.QUOTE_MINIMAL,
    "none": csv.QUOTE_NONE,
}
STYLES: dict[Quotes, Literal["always", "necessary", "never"]] = {
    "all": "always",
    "minimal": "necessary",
    "none": "never",
}


class Dialect(NamedTuple):
    """The punctuation of a file."""

    delimiter: str
    quotes: Quotes
    escape: str
    """The character before a quote inside of quotes; the quote itself doubles it."""

    @property
    def doubles(self) -> bool:
        """Whether a quote is doubled, as RFC 4180 says; else another character escapes it, and itself."""
        return self.escape == '"'

    @property
    def marks(self) -> tuple[bytes, bytes]:
        """The quote around fields and what escapes it inside of them; each empty where there is none."""
        return b"" if self.quotes == "none" else b'"', b"" if self.doubles else self.escape.encode()

    @property
    def special(self) -> str:
        """A pattern of what a field cannot hold as it is."""
        marks = self.delimiter if self.quotes == "none" else self.delimiter + '"'
        return "[" + re.escape(marks if self.doubles else marks + self.escape) + "\r\n]"

    @property
    def forbidden(self) -> str:
        """A pattern of what a field cannot hold at all: without quotes, line ends; delimiters where nothing escapes."""
        return "[\r\n]" if not self.doubles else self.special

    def field(self, text: str, *, alone: bool) -> str:
        """Return a header as it stands in the file; an empty one `alone` in its record needs quotes."""
        if self.quotes == "none":
            return text if self.doubles else self._escaped(text, self.delimiter)
        needed = self.quotes == "all" or re.search(self.special, text) or text.startswith("\ufeff")
        return f'"{self._escaped(text, chr(34))}"' if needed or (alone and not text) else text

    def _escaped(self, text: str, what: str) -> str:
        if not self.doubles:
            text = text.replace(self.escape, self.escape * 2)
        return text.replace(what, self.escape + what)

    def fields(self, texts: pl.Expr, quoted: tuple[str, ...]) -> pl.Expr:
        """Return a text column as it stands in the file; `quoted` are whole texts that need quotes. Null stays null."""
        if self.quotes == "none":
            return texts if self.doubles else self._escapes(texts, self.delimiter)
        inner = self._escapes(texts, '"')
        field = pl.concat_str(pl.lit('"'), inner, pl.lit('"'))
        if self.quotes == "all":
            return field
        return pl.when(texts.str.contains(self.special) | texts.is_in(list(quoted))).then(field).otherwise(texts)

    def _escapes(self, texts: pl.Expr, what: str) -> pl.Expr:
        if self.doubles:
            return texts.str.replace_all(what, what * 2, literal=True)
        return texts.str.replace_many({self.escape: self.escape * 2, what: self.escape + what})
