"""Values of types that a text format has no form for, as values of types that it has.

Two steps, because checksums are taken between them: `held` says what a text format holds of a type (base64 of binary,
the text of a category), `written` how a held value is spelled in the file (ISO 8601). What is only spelled differently
keeps its checksum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import polars as pl

from export_pipeline.errors import FormatError
from export_pipeline.formats.iso import iso
from export_pipeline.schemas import fields_of, inner_of, instance, leaves_of
from export_pipeline.verification import Loss

Dated = Callable[[pl.Expr, pl.DataType], pl.Expr]
"""How a date or datetime is written."""

WIDE = pl.Decimal(38, 0)
"""Integers of 128 bits are held as decimals: no reader knows the type."""

_INSIDE = (pl.Decimal, pl.Binary, pl.Categorical, pl.Enum, pl.Int128, pl.UInt128)
_DAY_FIRST, _DAY_LAST = -719_162, 2_932_896  # 0001-01-01, 9999-12-31 in days since 1970
_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def is_wide(dtype: pl.DataType) -> bool:
    """Return whether this is an integer of 128 bits."""
    return dtype in (pl.Int128, pl.UInt128)


def narrowed(dtype: pl.DataType) -> pl.DataType:
    """Return the type with decimals in place of integers of 128 bits, inside of lists and structs, too."""
    match dtype:
        case pl.Struct():
            return pl.Struct({name: narrowed(inner) for name, inner in fields_of(dtype).items()})
        case pl.Array():
            return pl.Array(narrowed(inner_of(dtype)), dtype.size)
        case pl.List():
            return pl.List(narrowed(inner_of(dtype)))
        case pl.Map():
            return pl.Map(narrowed(instance(dtype.key)), narrowed(instance(dtype.value)))
        case _:
            return WIDE if is_wide(dtype) else dtype


def held(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return what CSV and JSON hold of a column that is not nested."""
    if isinstance(dtype, (pl.Categorical, pl.Enum)):
        return column.cast(pl.String)
    if isinstance(dtype, pl.Float16):
        return column.cast(pl.Float32)  # exact, and every reader knows it
    if isinstance(dtype, pl.Binary):
        return column.bin.encode("base64")
    if isinstance(dtype, pl.Duration):
        return column.dt.to_string("iso")
    if is_wide(dtype):
        return column.cast(WIDE)
    return column


def finite(column: pl.Expr) -> pl.Expr:
    """Return the column with null for NaN and the infinities."""
    return pl.when(column.is_finite()).then(column)


def nested(column: pl.Expr, dtype: pl.DataType, dated: Dated | None = None, *, long_texts: bool = False) -> pl.Expr:
    """Return a nested column with leaves that JSON has: temporal, decimal and binary values as text, no NaN.

    `dated` writes dates and datetimes; ISO 8601 without it. With `long_texts`, integers of 64 bits are texts, too.
    """
    inside = partial(nested, dated=dated, long_texts=long_texts)
    if isinstance(dtype, pl.Map):
        listed = pl.List(inner_of(dtype))
        return inside(column.cast(listed), listed)
    if isinstance(dtype, (pl.List, pl.Array)):
        lists = column.arr.to_list() if isinstance(dtype, pl.Array) else column
        return lists.list.eval(inside(pl.element(), inner_of(dtype)))
    if isinstance(dtype, pl.Struct):
        fields = [inside(column.struct.field(name), inner).alias(name) for name, inner in fields_of(dtype).items()]
        return pl.when(column.is_not_null()).then(pl.struct(fields)) if fields else column
    if dated is not None and isinstance(dtype, (pl.Date, pl.Datetime)):
        return dated(column, dtype)
    if isinstance(dtype, pl.Datetime):
        return iso(column)
    if isinstance(dtype, (pl.Date, pl.Time)):
        return column.dt.to_string("iso:strict")
    if isinstance(dtype, pl.Decimal) or is_wide(dtype) or (long_texts and isinstance(dtype, (pl.Int64, pl.UInt64))):
        return column.cast(pl.String)
    if dtype.is_float():
        return finite(held(column, dtype))
    return held(column, dtype)


def json_text(column: pl.Expr, dtype: pl.DataType, dated: Dated | None = None, *, long_texts: bool = False) -> pl.Expr:
    """Return a nested column as JSON text; null stays null."""
    value = nested(column, dtype, dated, long_texts=long_texts).alias("")
    text = pl.struct(value).struct.json_encode()  # {"":VALUE}
    return pl.when(column.is_not_null()).then(text.str.slice(4).str.head(-1))


def refuse_objects(schema: Mapping[str, pl.DataType], what: str) -> None:
    """Refuse columns of Python objects, which have no form outside of Python."""
    for name, dtype in schema.items():
        if isinstance(dtype, (pl.Object, pl.Unknown)):
            raise FormatError(f"column {name!r} is of type {dtype}, which {what} cannot hold", cure="Cast it to text.")


def refuse_years(frame: pl.DataFrame, start: int) -> None:
    """Refuse dates outside of the years 1 to 9999: ISO 8601 has no agreed form for them, and readers fail."""
    for name, dtype in frame.schema.items():
        if isinstance(dtype, (pl.Date, pl.Datetime)):
            per_day = _PER_DAY[dtype.time_unit] if isinstance(dtype, pl.Datetime) else 1
            days = frame[name].cast(pl.Int64)  # at once, where `to_physical` makes a plan, which waits for busy threads
            low, high = _DAY_FIRST * per_day, (_DAY_LAST + 1) * per_day
            if dtype == pl.Datetime("ns"):
                continue  # 64 bits of nanoseconds end before the year 9999
            smallest, largest = days.min(), days.max()
            zoned = isinstance(dtype, pl.Datetime) and dtype.time_zone not in (None, "UTC")
            edge = per_day if zoned else 0  # clocks may show another year there
            if not isinstance(smallest, int) or not isinstance(largest, int):
                continue
            if low + edge <= smallest and largest < high - edge:
                continue
            wrong = (days < low) | (days >= high)
            if zoned:
                shown = frame.select(iso(pl.col(name))).to_series()
                wrong |= ~shown.str.contains(r"^\d{4}-") | shown.str.starts_with("0000")
            if wrong.any():
                raise refusal(
                    name, start, wrong, "is outside of the years 1 to 9999", "Filter these rows out, or null them."
                )


def refuse_non_finite(frame: pl.DataFrame, start: int) -> None:
    """Refuse NaN and the infinities."""
    for name, dtype in frame.schema.items():
        if dtype.is_float():
            wrong = ~frame[name].is_finite()
            if wrong.any():
                raise refusal(name, start, wrong, "is not a finite number", "Choose another `non_finite` than `error`.")


def holds_floats(dtype: pl.DataType) -> bool:
    """Return whether this is a nested type with floats inside."""
    return dtype.is_nested() and any(leaf.is_float() for leaf in leaves_of(dtype))


def refuse_non_finite_inside(frame: pl.DataFrame, start: int, names: Iterable[str]) -> None:
    """Refuse NaN and the infinities in these columns, inside of lists and structs, too."""
    for name in names:
        found = _non_finite(pl.col(name), frame.schema[name])
        wrong = pl.Series() if found is None else frame.select(found.fill_null(value=False)).to_series()
        if wrong.any():
            raise refusal(
                name, start, wrong, "is or holds no finite number", "Choose another `non_finite` than `error`."
            )


def _non_finite(column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """Return whether a value is or holds a number that is not finite; None where none can be."""
    if dtype.is_float():
        return ~column.is_finite()
    if isinstance(dtype, pl.Struct):
        found = [_non_finite(column.struct.field(name), inner) for name, inner in fields_of(dtype).items()]
        there = [one for one in found if one is not None]
        return pl.any_horizontal(there) if there else None
    if isinstance(dtype, (pl.List, pl.Array, pl.Map)):
        inside = _non_finite(pl.element(), inner := inner_of(dtype))
        return None if inside is None else column.cast(pl.List(inner)).list.eval(inside).list.any()
    return None


def refusal(
    name: str, start: int, wrong: pl.Series, why: str, cure: str, texts: pl.Series | None = None
) -> FormatError:
    """Return the error that names column and row (counted from 1) of the first wrong value, and the text that it is."""
    at = wrong.arg_max() or 0
    shown = "" if texts is None else f": {cut(repr(texts[at]))}"
    return FormatError(f"column {name!r}, row {start + at + 1:,}: the value {why}{shown}", cure=cure)


def cut(text: str) -> str:
    """Return the beginning of a text that may be long."""
    return text if len(text) <= 60 else text[:57] + "..."


_BECOMES: tuple[tuple[tuple[type[pl.DataType], ...], str], ...] = (
    ((pl.Binary,), "binary becomes base64 text"),
    ((pl.Duration,), "a duration becomes ISO 8601 text"),
    ((pl.Categorical, pl.Enum), "a category becomes its text"),
    ((pl.Float16,), "a 16-bit float becomes one of 32 bits"),
    ((pl.Int128, pl.UInt128), "a 128-bit integer becomes a decimal"),
    ((pl.Array,), "an array becomes a list"),
    ((pl.Map,), "a map becomes a list of keys and values"),
)


def text_losses(schema: Mapping[str, pl.DataType], non_finite: str) -> Iterator[Loss]:
    """Yield what every text format loses of these columns: values, and types that come back as another."""
    for name, dtype in schema.items():
        if dtype.is_float() and non_finite == "null":
            yield Loss(column=name, why="NaN and infinities become null")
        for types, why in _BECOMES:
            if isinstance(dtype, types):
                yield Loss(column=name, why=why)
        if dtype.is_nested():
            leaves = list(leaves_of(dtype))
            if non_finite != "error" and any(leaf.is_float() for leaf in leaves):
                yield Loss(column=name, why="NaN and infinities inside become null")
            if any(leaf.is_temporal() or isinstance(leaf, _INSIDE) for leaf in leaves):
                yield Loss(column=name, why="dates, times, decimals, categories and binary inside become text")
