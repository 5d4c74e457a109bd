"""What the formula of a column comes to, where that is certain: numbers with + - * /, and texts joined by &.

Excel computes the formulas itself when it opens the file; readers that do not calculate (pandas, previewers) show what
is written beside them. A wrong result there would be worse than none, so a row has none where programs may differ:
errors, numbers near the ends of what a double holds, differences that nearly vanish (Excel makes some of them 0), and
numbers in texts that are not whole (they have a comma in some countries).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from export_pipeline.formats.excel.cells import NUMBER, number_of
from export_pipeline.formats.excel.formulas import MAX_LITERAL
from export_pipeline.formats.excel.strings import MAX_TEXT
from export_pipeline.formats.excel.values import NonFinite

_TOKEN = re.compile(
    r"""\s*(?:(?P<column>\{[^{}]*\})|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?)"""
    r"""|"(?P<text>(?:[^"]|"")*)"|(?P<sign>[-+*/&()]))"""
)
_MOST_TOKENS = 100
"""In a formula and those that it refers to: more would make expressions too deep."""
_GREATEST, _LEAST = 1e300, 1e-300
_NEARLY_NOTHING = 2.0**-40
"""What is left of a difference, in parts of its terms, below which Excel and others may say 0."""
_WHOLE = 10**11
"""From here on numbers in texts may be written with an exponent."""
_DIGITS = 15
"""More digits of a number in a formula are not heard."""


class _Uncertain(Exception):
    """The formula is left to the program that opens the file."""


@dataclass(frozen=True)
class Result:
    """The results of a column's formula."""

    dtype: pl.DataType
    """Float64 or String."""
    expression: pl.Expr
    """Over columns named by their places, `NUMBER` and the steps; null where the result is not certain."""
    steps: tuple[pl.Expr, ...]
    """Columns on the way to the results of all formulas, each over those before it: an expression that had all of them
    inside would grow with every operation threefold."""


@dataclass(frozen=True)
class _Part:
    """A part of a formula: a number, or else a text; null where it is not certain."""

    number: pl.Expr | None
    text: pl.Expr | None = None
    """As & sees it; None: as the number says."""
    size: int = 1
    """Tokens that it is made of."""

    @property
    def value(self) -> pl.Expr:
        """The number; _Uncertain where it is a text."""
        if self.number is None:
            raise _Uncertain
        return self.number

    @property
    def joined(self) -> pl.Expr:
        """What & makes of it: whole numbers only."""
        if self.text is not None:
            return self.text
        return _whole(self.value)


@dataclass
class _Reader:
    """Reads one formula: each method takes what binds tighter than the one before it."""

    tokens: Sequence[tuple[str, str]]
    columns: Mapping[str, _Part]
    steps: list[pl.Expr]
    at: int = 0

    def whole(self) -> _Part:
        """Return the formula."""
        made = self._joined()
        if self.at != len(self.tokens):
            raise _Uncertain
        return made

    def _kept(self, made: pl.Expr) -> pl.Expr:
        """Make a step of a part, and return its column."""
        name = f"#{len(self.steps)}"
        self.steps.append(made.alias(name))
        return pl.col(name)

    def _sign(self, signs: str) -> str:
        """Take the next token where it is one of these signs; else return nothing."""
        if self.at < len(self.tokens):
            kind, text = self.tokens[self.at]
            if kind == "sign" and text in signs:
                self.at += 1
                return text
        return ""

    def _joined(self) -> _Part:
        left = self._sum()
        while self._sign("&"):
            right = self._sum()
            text = self._kept(pl.concat_str(left.joined, right.joined))
            text = self._kept(pl.when(text.str.len_bytes() <= MAX_TEXT).then(text))
            left = _Part(None, text, left.size + right.size)
        return left

    def _sum(self) -> _Part:
        left = self._product()
        while sign := self._sign("+-"):
            right = self._product()
            one, other = left.value, right.value if sign == "+" else -right.value
            made = self._kept(one + other)
            most = pl.max_horizontal(one.abs(), other.abs())
            certain = (made == 0) | (made.abs() > most * _NEARLY_NOTHING)
            left = _Part(self._kept(_sized(made, certain)), size=left.size + right.size)
        return left

    def _product(self) -> _Part:
        left = self._signed()
        while sign := self._sign("*/"):
            right = self._signed()
            one, other = left.value, right.value
            if sign == "*":
                made, certain = self._kept(one * other), (one == 0) | (other == 0)
            else:
                # By a column, because Polars divides by a number as it multiplies by its inverse, which rounds twice.
                divisor = self._kept(other + (pl.col(NUMBER) - pl.col(NUMBER)))
                made, certain = self._kept(pl.when(divisor != 0).then(one / divisor)), one == 0
            left = _Part(self._kept(_sized(made, certain | (made.abs() > _LEAST))), size=left.size + right.size)
        return left

    def _signed(self) -> _Part:
        sign = self._sign("+-")
        if not sign:
            return self._one()
        of = self._signed()
        if sign == "-":
            return _Part(-of.value, size=of.size + 1)
        return _Part(of.value, pl.lit(None, pl.String), of.size + 1)  # an empty cell may still be one to &

    def _one(self) -> _Part:
        if self._sign("("):
            made = self._joined()
            if not self._sign(")"):
                raise _Uncertain
            return made
        if self.at == len(self.tokens):
            raise _Uncertain
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "column" and text in self.columns:
            part = self.columns[text]
            return part if part.number is None else _Part(self._kept(part.number), part.text, part.size)
        if kind == "number":
            return _literal(text)
        if kind == "text":
            return _Part(None, pl.lit(_quoted(text)))
        raise _Uncertain


def results(formulas: Mapping[str, str], schema: Mapping[str, pl.DataType], non_finite: NonFinite) -> dict[str, Result]:
    """Return the results of new columns by name: of those that can be computed.

    `formulas` are those of all columns, also of columns of the data (whose cells do not keep their values); `schema` is
    that of the rendered rows.
    """
    row = _Part(pl.col(NUMBER))
    known = {
        name: part
        for place, (name, dtype) in enumerate(schema.items())
        if name not in formulas and (part := _cell(pl.col(str(place)), dtype, non_finite)) is not None
    }
    made: dict[str, _Part] = {}
    steps: list[pl.Expr] = []
    left = {name: formula for name, formula in formulas.items() if name not in schema}
    while left:  # formulas may refer to the columns of others, in any order
        done = {}
        for name, formula in left.items():
            before = len(steps)
            try:
                done[name] = _read(formula, known | made, row, steps)
            except _Uncertain:
                del steps[before:]
        if not done:
            break
        made |= done
        left = {name: formula for name, formula in left.items() if name not in done}
    return {name: _result(part, tuple(steps)) for name, part in made.items()}


def _read(formula: str, columns: Mapping[str, _Part], row: _Part, steps: list[pl.Expr]) -> _Part:
    """Return what a formula comes to; _Uncertain where that is left to Excel."""
    tokens = list(_tokens(formula[1:]))
    if len(tokens) > _MOST_TOKENS:
        raise _Uncertain
    cells = {f"{{{name}}}": one for name, one in columns.items()} | {"{row}": row}
    part = _Reader(tokens, cells, steps).whole()
    if part.size > _MOST_TOKENS:
        raise _Uncertain
    if part.number is None and any(part is cell for cell in cells.values()):  # of an empty cell it is 0
        return _Part(None, pl.when(part.joined != "").then(part.joined))
    return _Part(part.number, part.text if part.number is None else None, part.size)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _Uncertain
        at = found.end()
        kind = found.lastgroup or ""
        yield kind, found[kind]


def _result(part: _Part, steps: tuple[pl.Expr, ...]) -> Result:
    if part.number is None:
        text = part.joined
        return Result(pl.String(), pl.when(text != "").then(text), steps)
    return Result(pl.Float64(), pl.when(part.number == 0).then(0.0).otherwise(part.number), steps)  # -0 becomes 0


def _cell(column: pl.Expr, dtype: pl.DataType, non_finite: NonFinite) -> _Part | None:
    """Return the cells of a column of the data; None where formulas see no number and no text in them."""
    if isinstance(dtype, pl.String):
        return _Part(None, column.fill_null(""))
    made = number_of(column, dtype, non_finite)
    if made is None:
        return None
    value, odd = made
    small = (value != 0) & (value.abs() < _LEAST)
    value = pl.when(~odd & ~small & (value.abs() < _GREATEST)).then(value)
    blank = column.is_null()
    return _Part(pl.when(blank).then(0.0).otherwise(value), pl.when(blank).then(pl.lit("")).otherwise(_whole(value)))


def _literal(text: str) -> _Part:
    digits = re.sub(r"[Ee].*|\D", "", text).strip("0")
    value = float(text)
    if len(digits) > _DIGITS or value >= _GREATEST or (0 < value <= _LEAST) or (value == 0 and digits):
        raise _Uncertain
    return _Part(pl.lit(value))


def _quoted(text: str) -> str:
    if "{" in text or "_x" in text or "\n" in text or "\t" in text or len(text) > MAX_LITERAL:
        raise _Uncertain
    return text.replace('""', '"')


def _whole(number: pl.Expr) -> pl.Expr:
    """Return whole numbers as texts; null for others."""
    whole = (number == number.floor()) & (number.abs() < _WHOLE)
    return pl.when(whole).then(number).cast(pl.Int64).cast(pl.String)


def _sized(number: pl.Expr, certain: pl.Expr) -> pl.Expr:
    """Return numbers that are certain and of a size that each program can compute with."""
    return pl.when(certain & (number.abs() < _GREATEST)).then(number)
