"""Records as JSON text, of a frame at a time: which columns hold nulls decides how much of the work is needed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

import polars as pl

from export_pipeline.formats.json.spelling import Spelling, text

T = TypeVar("T")
R = TypeVar("R")

THREADS = 2
"""Frames put into text at once. Polars uses its own threads for the columns of one, but not for each step."""
NON_FINITE = ("NaN", "Infinity", "-Infinity")
_INF = float("inf")


@dataclass(frozen=True)
class Style:
    """How a record is written."""

    spelling: Spelling
    nulls: Literal["include", "exclude", "empty"] = "include"
    """What becomes of a field that is null."""
    words: bool = False
    """Whether numbers that are not finite are texts."""
    numbers: bool = False
    """Whether decimals are numbers."""

    @property
    def plain(self) -> bool:
        """Whether Polars' own line sink writes the same."""
        return not self.spelling.pretty and self.nulls == "include" and not self.words


def records(frame: pl.DataFrame, style: Style, depth: int) -> pl.Series:
    """Return the rows as objects; `depth` is the level of indentation of their braces."""
    names = frame.columns
    special = {name for name in names if _is_special(frame[name], style)}
    if not special and not style.spelling.pretty:
        return frame.select(pl.struct(pl.all()).struct.json_encode()).to_series()
    between = f",{style.spelling.line(depth + 1)}"
    parts: list[pl.Expr] = []
    together: list[str] = []
    for name in names:
        if not style.spelling.pretty and name not in special:
            together.append(name)
            continue
        parts += _together(together)
        together = []
        parts.append(_field(frame[name], style, special=name in special))
    parts += _together(together)
    body = pl.concat_str(parts, separator=between, ignore_nulls=True)
    first, last = f"{{{style.spelling.line(depth + 1)}", f"{style.spelling.line(depth)}}}"
    made = pl.concat_str(pl.lit(first), body, pl.lit(last))
    if style.nulls == "exclude":
        made = pl.when(body == "").then(pl.lit("{}")).otherwise(made)
    return frame.select(made.alias("")).to_series()


def _is_special(column: pl.Series, style: Style) -> bool:
    """Return whether this column needs its own treatment here."""
    if style.nulls != "include" and column.null_count():
        return True
    return style.words and column.dtype.is_float() and not bool(column.is_finite().all())


def _together(names: list[str]) -> list[pl.Expr]:
    """Return several fields as one text, without braces."""
    return [pl.struct(names).struct.json_encode().str.slice(1).str.head(-1)] if names else []


def _field(column: pl.Series, style: Style, *, special: bool) -> pl.Expr:
    """Return name and value."""
    made = value(pl.col(column.name), column.dtype)
    if special and style.words and column.dtype.is_float():
        for word, where in zip(NON_FINITE, non_finite(pl.col(column.name)), strict=True):
            made = pl.when(where).then(pl.lit(f'"{word}"')).otherwise(made)
    if special and style.nulls == "empty":
        made = pl.when(pl.col(column.name).is_not_null()).then(made).otherwise(pl.lit('""'))
    made = pl.concat_str(pl.lit(text(column.name) + style.spelling.colon), made)
    if special and style.nulls == "exclude":
        made = pl.when(pl.col(column.name).is_not_null()).then(made)
    return made


def non_finite(number: pl.Expr) -> tuple[pl.Expr, ...]:
    """Return where numbers are each of `NON_FINITE`."""
    return number.is_nan(), number == _INF, number == -_INF


def value(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return a column as JSON values; null is `null`."""
    if dtype.is_integer() or isinstance(dtype, pl.Boolean):
        return column.cast(pl.String).fill_null("null")
    # {"":VALUE}
    return pl.struct(column.alias("")).struct.json_encode().str.slice(4).str.head(-1)


_INLINE = 12
"""Bytes up to which Arrow keeps a text beside its length, and not in a buffer."""


def joined(texts: pl.Series, skip: int = 0) -> list[memoryview]:
    """Return texts that were made just now, of which none is null, as bytes: one after the other, but the first `skip`.

    Nothing is copied where all are long: Polars puts the texts that it makes into buffers, one after the other.
    """
    sizes = texts.str.len_bytes()
    size, least = sizes.sum(), sizes.min()
    found = []
    if isinstance(least, int) and least > _INLINE and texts.n_chunks() == 1:
        buffers = texts.to_arrow(compat_level=pl.CompatLevel.newest()).buffers()[2:]
        found = [memoryview(buffer) for buffer in buffers if buffer is not None]
    if sum(len(data) for data in found) != size:
        # In Arrow's older form texts stand one after the other, too.
        found = [memoryview(texts.to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()[2] or b"")]
    made = []
    for data in found:
        made.append(data[skip:])
        skip = max(0, skip - len(data))
    return made


def ahead(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield the results of the work on each item, in order, a few of them done at once."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="json") as pool:
        running: list[Future[R]] = []
        try:
            for item in items:
                running.append(pool.submit(work, item))
                if len(running) > THREADS:
                    yield running.pop(0).result()
            while running:
                yield running.pop(0).result()
        finally:
            for one in running:
                one.cancel()


def prepared(items: Iterable[T]) -> Generator[T]:
    """Yield the items, none of them None; the next one is made by a thread while one is worked on."""
    given = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="json sort") as pool:
        made = pool.submit(next, given, None)
        while (item := made.result()) is not None:
            made = pool.submit(next, given, None)
            yield item
