"""Columns of dates and times as text by a moment.js pattern (locale en): the vectorised sibling of `times.moment`.

Most tokens have a twin in the format strings of chrono, which Polars uses, and neighbours share one call; the others
are expressions. The years are 1 to 9999, which is what the formats accept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from export_pipeline.errors import ConfigError
from export_pipeline.times.patterns import check_pattern, has_date, has_offset, parts_of

__all__ = ["CHRONO", "EXPRESSIONS", "check_pattern", "formatted", "has_date", "has_offset"]

CHRONO: Mapping[str, str] = {
    "M": "%-m", "MM": "%m", "MMM": "%b", "MMMM": "%B", "Q": "%q", "D": "%-d", "DD": "%d", "DDD": "%-j", "DDDD": "%j",
    "d": "%w", "e": "%w", "ddd": "%a", "dddd": "%A", "E": "%u", "W": "%-V", "WW": "%V", "YY": "%y", "YYYY": "%Y",
    "Y": "%Y", "yyyy": "%Y", "y": "%-Y", "GG": "%g", "GGGG": "%G", "A": "%p", "a": "%P", "H": "%-H", "HH": "%H",
    "h": "%-I", "hh": "%I", "m": "%-M", "mm": "%M", "s": "%-S", "ss": "%S", "SSS": "%3f", "SSSSSS": "%6f",
    "SSSSSSSSS": "%9f", "X": "%s", "Z": "%:z", "ZZ": "%z", "z": "%Z", "Hmm": "%-H%M", "Hmmss": "%-H%M%S",
    "hmm": "%-I%M", "hmmss": "%-I%M%S", "eHHmm": "%w%H%M",
}  # fmt: skip
"""Token -> the same in a format string of chrono."""


def _padded(number: pl.Expr, digits: int) -> pl.Expr:
    return number.cast(pl.String).str.zfill(digits)


def _ordinal(number: pl.Expr) -> pl.Expr:
    number = number.cast(pl.Int32)
    last = pl.when((number % 100).is_between(11, 13)).then(0).otherwise(number % 10)
    # No `replace_strict`: it ends the streaming of Polars' engine, and all rows wait in memory.
    ending = (
        pl.when(last == 1).then(pl.lit("st")).when(last == 2).then(pl.lit("nd")).when(last == 3).then(pl.lit("rd"))
    ).otherwise(pl.lit("th"))
    return pl.concat_str(number, ending)


def _sunday(moments: pl.Expr) -> pl.Expr:
    """Return the day of the week counted from Sunday, 0."""
    return moments.dt.weekday() % 7


def _saturday(moments: pl.Expr) -> pl.Expr:
    """Return the last day of an English week, which decides the week's year: week 1 holds January 1st."""
    return moments.dt.date() + pl.duration(days=6 - _sunday(moments))


def _week(moments: pl.Expr) -> pl.Expr:
    return (_saturday(moments).dt.ordinal_day() + 6) // 7


def _week_year(moments: pl.Expr) -> pl.Expr:
    return _saturday(moments).dt.year()


def _hour24(moments: pl.Expr) -> pl.Expr:
    """Return the hour, with 24 for midnight."""
    return (moments.dt.hour().cast(pl.Int16) + 23) % 24 + 1


def _era(name: str) -> Callable[[pl.Expr], pl.Expr]:
    return lambda moments: pl.when(moments.is_not_null()).then(pl.lit(name))


def _fraction(digits: int) -> Callable[[pl.Expr], pl.Expr]:
    return lambda moments: moments.dt.strftime("%9f").str.slice(0, digits)


EXPRESSIONS: Mapping[str, Callable[[pl.Expr], pl.Expr]] = {
    "Mo": lambda c: _ordinal(c.dt.month()), "Do": lambda c: _ordinal(c.dt.day()),
    "DDDo": lambda c: _ordinal(c.dt.ordinal_day()), "do": lambda c: _ordinal(_sunday(c)),
    "Qo": lambda c: _ordinal(c.dt.quarter()), "yo": lambda c: _ordinal(c.dt.year()),
    "Wo": lambda c: _ordinal(c.dt.week()), "wo": lambda c: _ordinal(_week(c)),
    "w": lambda c: _week(c).cast(pl.String), "ww": lambda c: _padded(_week(c), 2),
    "gg": lambda c: _padded(_week_year(c) % 100, 2), "gggg": lambda c: _padded(_week_year(c), 4),
    "ggggg": lambda c: _padded(_week_year(c), 5), "GGGGG": lambda c: _padded(c.dt.iso_year(), 5),
    "dd": lambda c: c.dt.strftime("%a").str.slice(0, 2),
    "k": lambda c: _hour24(c).cast(pl.String), "kk": lambda c: _padded(_hour24(c), 2),
    "YYYYY": lambda c: _padded(c.dt.year(), 5), "yy": lambda c: _padded(c.dt.year(), 2),
    "yyy": lambda c: _padded(c.dt.year(), 3),
    "YYYYYY": lambda c: pl.concat_str(pl.lit("+"), _padded(c.dt.year(), 6)),
    "x": lambda c: c.dt.epoch("ms").cast(pl.String),
    "N": _era("AD"), "NN": _era("AD"), "NNN": _era("AD"), "NNNN": _era("Anno Domini"), "NNNNN": _era("AD"),
    **{"S" * n: _fraction(n) for n in (1, 2, 4, 5, 7, 8)},
}  # fmt: skip
"""Token -> the expression of its text."""


def formatted(column: pl.Expr, dtype: pl.DataType, pattern: str) -> pl.Expr:
    """Return the text that moment.js makes of each value; null stays null.

    Dates are midnight. Values without a zone are written as they are, at offset +00:00; those with one in their zone.

    Raises:
        ConfigError: The pattern is refused (`check_pattern`), or asks for a date of a column of times.
        TypeError: The column is not of type Date, Datetime or Time.
    """
    moments = _moments(column, dtype, pattern)
    texts: list[pl.Expr] = []
    run = ""

    def flush() -> None:
        nonlocal run
        if run:
            plain = run.replace("%%", "")
            texts.append(moments.dt.strftime(run) if "%" in plain else pl.lit(run.replace("%%", "%")))
        run = ""

    for part in parts_of(check_pattern(pattern)):
        if not part.is_token:
            run += part.text.replace("%", "%%")
        elif part.text in CHRONO:
            run += CHRONO[part.text]
        else:
            flush()
            texts.append(EXPRESSIONS[part.text](moments))
    flush()
    return texts[0] if len(texts) == 1 else pl.concat_str(texts)


def _moments(column: pl.Expr, dtype: pl.DataType, pattern: str) -> pl.Expr:
    """Return a column of type Datetime with a zone: each token is defined for it."""
    if isinstance(dtype, pl.Datetime):
        return column if dtype.time_zone else column.dt.replace_time_zone("UTC")
    if isinstance(dtype, pl.Date):
        return column.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    if isinstance(dtype, pl.Time):
        if has_date(pattern):
            raise ConfigError(
                f"the date pattern {pattern!r} asks for a date of a column of times",
                cure="Use tokens of times only, such as HH:mm:ss.",
            )
        return column.cast(pl.Int64).cast(pl.Datetime("ns", "UTC"))
    raise TypeError(f"{dtype} is neither a date nor a time")
