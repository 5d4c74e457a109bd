"""The options of CSV, and which of them go together."""

from __future__ import annotations

import string
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from export_pipeline.formats.csv.cells import ColumnFormat, DatePattern, reads_as_value
from export_pipeline.formats.csv.dialect import Dialect, Quotes
from export_pipeline.formats.csv.encodings import AsciiPolicy, Encoding
from export_pipeline.formats.numbers import NumberFormat
from export_pipeline.formats.split import SplitFormat

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_TERMINATORS = {"lf": "\n", "crlf": "\r\n"}
_ESCAPES = {"double": '"', "backslash": "\\"}
_NO_ESCAPES = "+-.:,;|_"
"""Numbers, dates and records are written with these."""


def _named(names: dict[str, str]) -> BeforeValidator:
    """Accept a character by its name too: a tab is hard to see in YAML."""
    return BeforeValidator(lambda given: names.get(given, given) if isinstance(given, str) else given)


class CsvOptions(SplitFormat):
    """How values become fields, fields records, and records bytes."""

    delimiter: Annotated[Literal[",", ";", "\t", "|"], _named(_DELIMITERS)] = ","
    """Character between two fields: `,` `;` `|` or a tab (`"\\t"` or `tab`)."""
    headers: bool | list[str] = True
    """Whether the first record holds the column names; a list replaces them, in the order of the columns."""
    quotes: Quotes = "minimal"
    """Which fields are quoted: all of them, those that need it, or none (values that need it are then refused, or
    escaped where `escape` is a character of its own)."""
    escape: Annotated[str, _named(_ESCAPES)] = '"'
    """How a quote is written inside of quotes: doubled (`"` or `double`), or after a character that escapes itself,
    too, such as `\\` (`backslash`)."""
    line_terminator: Annotated[Literal["\r\n", "\n"], _named(_TERMINATORS)] = "\r\n"
    """End of each record: `"\\r\\n"` (`crlf`, as RFC 4180 says) or `"\\n"` (`lf`)."""
    encoding: Encoding = "utf-8"
    """Encoding of the text; `utf-16` is little-endian."""
    bom: bool | None = None
    """Whether the file begins with a byte order mark, by which Excel knows the encoding; by default in UTF-16 only."""
    ascii_policy: AsciiPolicy = "refuse"
    """What `encoding: ascii` does with other characters: an error that names the row, `?`, or the escapes of JSON
    (`\\u00e9`)."""
    date_format: DatePattern | None = None
    """A moment.js pattern for all dates and times (`DD.MM.YYYY HH:mm`); ISO 8601 by default. Columns of times of day
    take it where it has no date in it."""
    number_format: NumberFormat | None = None
    """How all numbers are written: `{decimals: 2, separator: ",", thousands_separator: "."}`."""
    null_value: str = ""
    """Text that stands for null. Empty text is told from it by quotes (`""`) where `quotes` is `minimal`."""
    booleans: tuple[str, str] = ("true", "false")
    """Texts for true and false."""
    non_finite: Literal["string", "null", "error"] = "string"
    """What NaN and the infinities become: the texts `NaN`, `inf`, `-inf`; null; or an error that names the row."""
    column_formats: dict[str, ColumnFormat] = Field(default_factory=dict)
    """Formats of single columns, by their names in the result: `{cost: {number_format: {decimals: 4}}}`."""
    formula_guard: Literal["off", "prefix", "error"] = "off"
    """Texts that spreadsheets would take for formulas (they begin with `=` `+` `-` `@`, tab or CR): kept, written
    after an apostrophe, or an error that names the row. Numbers are never touched."""

    @model_validator(mode="after")
    def _readable(self) -> CsvOptions:
        """Refuse what could not be told apart when the file is read."""
        texts = {"null_value": self.null_value, "true": self.booleans[0], "false": self.booleans[1]}
        if len(set(texts.values())) < len(texts):
            raise ValueError(f"null_value and booleans must be three different texts, not {list(texts.values())}")
        single = len(self.escape) == 1 and self.escape in string.punctuation and self.escape not in _NO_ESCAPES
        if not single:
            raise ValueError(f'escape is one ASCII punctuation mark other than {_NO_ESCAPES}, not "{self.escape}"')
        if self.bom and self.encoding == "ascii":
            raise ValueError("ASCII has no byte order mark: leave out bom, or use encoding: utf-8")
        if self.ascii_policy != "refuse" and self.encoding != "ascii":
            raise ValueError(
                f"ascii_policy: {self.ascii_policy} is for encoding: ascii, not {self.encoding}: leave it out"
            )
        own = {f"null_value of {name!r}": form.null_value or "" for name, form in self.column_formats.items()}
        for what, text in (texts | own).items():
            if any(mark in text for mark in (self.delimiter, '"', self.escape, "\r", "\n")):
                raise ValueError(
                    f"the text for {what}, {text!r}, must not hold the delimiter, a quote, the escape or a line end"
                )
            if self.encoding == "ascii" and not text.isascii():
                raise ValueError(f"the text for {what}, {text!r}, is not ASCII")
        for form in (self.number_format, *(form.number_format for form in self.column_formats.values())):
            marks = form.marks if form is not None else frozenset()
            if self.encoding == "ascii" and not all(mark.isascii() for mark in marks):
                raise ValueError("a separator of number_format is not ASCII")
            if self.quotes == "none" and self.escape == '"' and self.delimiter in marks:
                raise ValueError(f"numbers hold the delimiter {self.delimiter!r}, which needs quotes: not quotes: none")
        return self

    @property
    def dialect(self) -> Dialect:
        """The punctuation of the file."""
        return Dialect(self.delimiter, self.quotes, self.escape)

    @property
    def has_bom(self) -> bool:
        """Whether the file begins with a byte order mark."""
        return self.encoding == "utf-16" if self.bom is None else self.bom

    @property
    def null(self) -> str | None:
        """The text that is null when read; none where it could be a value: such columns are written as texts."""
        return None if reads_as_value(self.null_value) else self.null_value
