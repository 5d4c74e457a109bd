"""Finding out what a column of texts holds, from all of its values.

A column gets a type only if every value survives it: numbers are written without leading zeros (``00123`` stays text)
and keep every digit, dates exist in the calendar, times either all have an offset or none has one. Missing and empty
values say nothing. What is mixed, or too precise, stays text.

=====================  =====================================================================
every value is          the column becomes
=====================  =====================================================================
a whole number          integer (64 bit); decimal(38,0) beyond; text beyond 38 digits
a number                float; text where a digit would be lost (more than 17, 2**53 + 1)
true, false             boolean (also True, TRUE; not yes, no, 0, 1)
2026-03-01              date
2026-03-01 10:00:00     datetime (``T`` or space, seconds optional, up to 9 decimals)
... with Z or offset    datetime with zone: the instant, in UTC
anything else           text
=====================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import polars as pl

from export_pipeline.sources.types import by_arrow, convert, from_text

_FRACTION = r"\.\d{7,}"
_CLOCK = r"[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_DAY = r"^\d{4}-\d\d-\d\d"


def _integer(text: pl.Series) -> pl.Series:
    return text.str.contains(r"^(?:0|-?[1-9][0-9]*)$")


def _float(text: pl.Series) -> pl.Series:
    shape = text.str.contains(r"^-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$")
    long = text.str.len_bytes() > 17
    if long.any():
        digits = text.str.replace(r"[eE].*$", "").str.replace_all(r"[-.]", "").str.strip_chars_start("0")
        shape &= ~long | (digits.str.len_bytes() <= 17)
    return shape & text.cast(pl.Float64, strict=False).is_finite().fill_null(value=False)


def _no_number(text: pl.Series) -> pl.Series:
    return text.is_in(["NaN", "nan", "inf", "-inf", "Infinity", "-Infinity"])


def _boolean(text: pl.Series) -> pl.Series:
    return text.is_in(["true", "false", "True", "False", "TRUE", "FALSE"])


def _time(pattern: str, dtype: pl.DataType) -> Callable[[pl.Series], pl.Series]:
    shortest = 10 if isinstance(dtype, pl.Date) else 16

    def fits(text: pl.Series) -> pl.Series:
        exact = pl.Datetime("ns", dtype.time_zone) if isinstance(dtype, pl.Datetime) else dtype
        if str(text[0])[4:5] == "-" and str(text.min()) >= "0001" and int(str(text.str.len_bytes().min())) >= shortest:
            for kind in (dtype, exact):
                if by_arrow(text, kind) is not None:
                    return pl.repeat(True, len(text), eager=True)
        shape = text.str.contains(pattern) & ~text.str.starts_with("0000")
        if not shape.any():
            return shape
        return shape & from_text(text, dtype).is_not_null()

    return fits


_CLASSES: dict[str, Callable[[pl.Series], pl.Series]] = {
    "integer": _integer,
    "float": _float,
    "boolean": _boolean,
    "date": _time(_DAY + "$", pl.Date()),
    "naive": _time(_DAY + _CLOCK + "$", pl.Datetime("us")),
    "aware": _time(_DAY + _CLOCK + r"(?:Z|[+-]\d\d(?::?\d\d)?)$", pl.Datetime("us", "UTC")),
    "no number": _no_number,
}
TIMES = ("date", "naive", "aware")
NUMBERS = ("integer", "float", "no number")
_SAME = {"integer": "number", "float": "number", "no number": "number"}


class Evidence:
    """What is known of one column so far: add its texts batch by batch, then ask for `dtype`.

    `classes` limits what is looked for, as to `TIMES` where other texts are meant as texts; `blank` says whether an
    empty text is a missing value.
    """

    def __init__(self, classes: Collection[str] = tuple(_CLASSES), *, blank: bool = True) -> None:
        self._classes, self._blank = classes, blank
        self._seen: dict[str, None] = {}
        self._digits = 0
        self._big = False
        self._inexact = False
        self._fine = False
        self._wide = False
        self._text = False

    def add(self, text: pl.Series) -> None:
        """Take more values of the column into account."""
        if self._text:
            return
        rest = text.filter(text.is_not_null() & (text != "")) if self._blank else text.drop_nulls()
        for name in self._order():
            if rest.is_empty():
                return
            fits = _CLASSES[name](rest)
            if not fits.any():
                continue
            self._seen[name] = None
            found, rest = rest.filter(fits), rest.filter(~fits)
            self._look(name, found)
            if len({_SAME.get(seen, seen) for seen in self._seen}) > 1:
                break
        self._text = self._text or not rest.is_empty() or len({_SAME.get(s, s) for s in self._seen}) > 1

    def _order(self) -> list[str]:
        """Return the classes to look for: those seen before first, but whole numbers always before the others."""
        likely = [*(["integer"] if "float" in self._seen else []), *self._seen, *self._classes]
        return list(dict.fromkeys(likely))

    def read(self, text: pl.Series, dtype: pl.DataType, what: str, before: int) -> pl.Series:
        """Return texts of the column as a type. Raises `SourceError` that names the row of one that does not fit."""
        return convert(text, dtype, what, before)

    def _look(self, name: str, found: pl.Series) -> None:
        """Note what decides between types of one class."""
        if name == "integer":
            longest = found.str.strip_prefix("-").str.len_bytes().max()
            self._digits = max(self._digits, int(str(longest)))
            if self._digits >= 16 and not (self._big and self._inexact):
                small = found.cast(pl.Int64, strict=False)
                self._big = self._big or small.null_count() > 0
                self._inexact = self._inexact or self._big or not small.is_between(-(2**53), 2**53).all()
        elif name in ("naive", "aware"):
            self._fine = self._fine or bool(found.str.contains(_FRACTION).any())
            self._wide = self._wide or not found.is_between(pl.lit("1678"), pl.lit("2262")).all()
            if self._fine and self._wide:  # nanoseconds reach no further
                self._text = True

    @property
    def settled(self) -> bool:
        """Whether it is text, whatever else comes."""
        return self._text

    @property
    def dtype(self) -> pl.DataType:
        """The type that keeps every value added so far."""
        kinds = {_SAME.get(name, name) for name in self._seen}
        if self._text or len(kinds) != 1:
            return pl.String()
        match kinds.pop():
            case "number":
                return self._number()
            case "boolean":
                return pl.Boolean()
            case "date":
                return pl.Date()
            case kind:
                return pl.Datetime("ns" if self._fine else "us", "UTC" if kind == "aware" else None)

    def _number(self) -> pl.DataType:
        if set(self._seen) == {"integer"}:
            return pl.Int64() if not self._big else pl.Decimal(38, 0) if self._digits <= 38 else pl.String()
        if "float" not in self._seen and "integer" not in self._seen:
            return pl.String()  # "nan" alone may be a name
        return pl.String() if self._inexact else pl.Float64()
