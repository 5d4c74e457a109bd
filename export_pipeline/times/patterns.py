"""The patterns of moment.js, taken apart: what is a token, what is text. English names and long forms.

The one date language of the product: file names (`times.moment`, one date) and cells (`formats.dates`, columns).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from export_pipeline.errors import ConfigError

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")

LONG = {
    "LT": "h:mm A", "LTS": "h:mm:ss A", "L": "MM/DD/YYYY", "LL": "MMMM D, YYYY", "LLL": "MMMM D, YYYY h:mm A",
    "LLLL": "dddd, MMMM D, YYYY h:mm A", "l": "M/D/YYYY", "ll": "MMM D, YYYY", "lll": "MMM D, YYYY h:mm A",
    "llll": "ddd, MMM D, YYYY h:mm A",
}  # fmt: skip
"""Long form -> what it stands for. They are replaced first: a letter beside one joins its last token, as in moment."""

TIME_TOKENS = frozenset(
    ["A", "a", "H", "HH", "h", "hh", "k", "kk", "m", "mm", "s", "ss", "Hmm", "Hmmss", "hmm", "hmmss"]
    + ["S" * n for n in range(1, 10)]
)
"""Tokens that a time of day has."""
_DATES = """M MM Mo MMM MMMM Q Qo D DD Do DDD DDDD DDDo d do dd ddd dddd e E w ww wo W WW Wo YY YYYY YYYYY YYYYYY Y y yy
yyy yyyy yo N NN NNN NNNN NNNNN gg gggg ggggg GG GGGG GGGGG X x Z ZZ z eHHmm"""
DATE_TOKENS = frozenset(_DATES.split())
"""Tokens that need a date."""

# The order of the alternatives is moment's own: the first that fits wins.
_BRACKETED = r"(\[[^\[]*\])"
_LONG_FORM = re.compile(_BRACKETED + r"|(\\)?(LTS|LT|LL?L?L?|l{1,4})")
_TOKEN = re.compile(
    _BRACKETED + r"|(\\e)|(\\)?(eHHmm|[Hh]mm(?:ss)?|Mo|MM?M?M?|Do|DDDo|DD?D?D?|ddd?d?|do?|w[ow]?|W[oW]?|Qo?|N{1,5}"
    r"|YYYYYY|YYYYY|YYYY|YY|y{2,4}|yo?|gg(?:ggg?)?|GG(?:GGG?)?|e|E|a|A|hh?|HH?|kk?|mm?|ss?|S{1,9}|x|X|zz?|ZZ?|.)"
)
_LINE_ENDS = re.compile("[\n\r\u2028\u2029]")
_STRFTIME = re.compile(r"%[-_0]?[YyGmbBdejHIMSfpPzs]")


class Part(NamedTuple):
    """A piece of a pattern."""

    text: str
    is_token: bool
    """Whether the text is a token of `TIME_TOKENS` or `DATE_TOKENS`; else it is written as it stands."""


def parts_of(pattern: str) -> list[Part]:
    """Return the tokens and texts of a pattern, in order.

    Raises:
        ConfigError: It has a token that is not supported, or a line end outside of brackets (which moment drops).

    >>> [part.text for part in parts_of("L [at] LT")]
    ['MM', '/', 'DD', '/', 'YYYY', ' ', 'at', ' ', 'h', ':', 'mm', ' ', 'A']
    """
    long = _LONG_FORM.sub(lambda m: m[0] if m[1] or m[2] else LONG[m[3]], pattern)
    if _LINE_ENDS.search(re.sub(_BRACKETED, "", long)):
        raise ConfigError(f"the date pattern {pattern!r} has a line end", cure="Write text in brackets: [text].")
    parts = []
    for bracketed, escaped_e, escape, token in _TOKEN.findall(long):
        if bracketed:
            parts.append(Part(bracketed[1:-1], is_token=False))
        elif escaped_e or escape:
            parts.append(Part((escaped_e or token).replace("\\", ""), is_token=False))
        elif token in TIME_TOKENS or token in DATE_TOKENS:
            parts.append(Part(token, is_token=True))
        elif token == "zz":  # noqa: S105
            raise ConfigError(
                f"the date token 'zz' in {pattern!r} is not supported: names of zones are not in moment's own data",
                cure="Use Z for the offset, z for the short name; write text in brackets: [text].",
            )
        else:
            parts.append(Part(token.replace("\\", ""), is_token=False))
    return parts


_FOREIGN = {
    "dd": ("the weekday", {"D", "DD", "Do", "DDD", "DDDD", "DDDo"}),
    "mm": ("minutes", {"H", "HH", "h", "hh", "k", "kk"}),
}
"""Days and months of other languages -> what they are in moment's, and the tokens beside which they are meant so."""
_YEARS = {"YYYY", "YY", "yyyy", "yy"}


def check_pattern(pattern: str) -> str:
    """Return the pattern of an option, which must have a token.

    Raises:
        ConfigError: What `parts_of` refuses; no token at all; a pattern of strftime (``%Y-%m-%d``), of a spreadsheet
            (``yyyy-mm-dd``) or of Java (``yyyy-MM-dd``), which moment.js would fill with minutes and weekdays.
    """
    parts = parts_of(pattern)
    unbracketed = re.sub(_BRACKETED, "", pattern)
    if found := _STRFTIME.search(unbracketed):
        raise ConfigError(
            f"the date pattern {pattern!r} is written for strftime ({found[0]!r})",
            cure="Use moment.js tokens: YYYY-MM-DD HH:mm:ss. Write a percent sign in brackets: [%].",
        )
    tokens = {part.text for part in parts if part.is_token}
    for token, (meaning, beside) in _FOREIGN.items():
        if token in tokens and tokens & _YEARS and not tokens & beside:
            raise ConfigError(
                f"the date pattern {pattern!r} has {token!r}, which is {meaning}",
                cure="Use moment.js tokens: YYYY-MM-DD HH:mm:ss.",
            )
    if not tokens:
        raise ConfigError(f"the date pattern {pattern!r} has no date token", cure="Write one such as YYYY-MM-DD.")
    return pattern


def has_date(pattern: str) -> bool:
    """Return whether a pattern asks for what only a date has: a time of day cannot be written by it."""
    return any(part.is_token and part.text in DATE_TOKENS for part in parts_of(pattern))


def has_offset(pattern: str) -> bool:
    """Return whether the text names an instant of its own: an offset from UTC or the count since 1970."""
    return any(part.is_token and part.text in ("Z", "ZZ", "X", "x") for part in parts_of(pattern))
