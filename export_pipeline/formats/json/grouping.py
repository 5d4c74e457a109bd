"""Rows brought into the order of a nested document: sorted by their keys, and proven to be the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from export_pipeline.engines.external import ExternalSort
from export_pipeline.errors import FormatError, VerificationError
from export_pipeline.formats.json.records import joined, prepared, value
from export_pipeline.formats.json.spelling import Part
from export_pipeline.verification import Meter

_BATCH = 20_000
_ROWS = 16_384
"""Rows that are taken, and put into text, at a time."""


@dataclass(frozen=True)
class Hidden:
    """Columns that travel with the rows and are not written."""

    keys: tuple[str, ...]
    """By level: the key as text, never null."""
    nulls: tuple[str, ...]
    """By level: whether the key was null."""
    order: str
    """What the rows are sorted by: one column for all levels."""
    position: str
    """Place of the row in the source."""


def key_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return a rendered key as text, as it would stand in a record; null stays null."""
    if isinstance(dtype, pl.String):
        return column
    made = value(column, dtype)
    return pl.when(column.is_not_null() & (made != "null")).then(made.str.strip_chars('"'))


def order_of(keys: list[tuple[pl.Expr, pl.DataType]]) -> pl.Expr:
    """Return one text in which rows sort as by all keys: numbers by value, all else by its text.

    Numbers are padded, and a character that no key can hold any more parts the keys.
    """
    parts = []
    for key, dtype in keys:
        if dtype.is_integer():
            part = (key.cast(pl.Int128) + 2**63).cast(pl.String).str.zfill(20).fill_null("~")
        else:
            part = key.str.replace_all("\x01", "\x01\x02", literal=True)
            part = part.str.replace_all("\x00", "\x01\x01", literal=True)
        parts.append(part)
    return pl.concat_str(parts, separator="\x00")


def in_order(rows: pl.LazyFrame, hidden: Hidden, meter: Meter, folder: Path, missing: str) -> Iterator[pl.DataFrame]:
    """Yield the metered rows sorted by their keys, in frames of some thousand rows.

    Each row keeps its position in the source. Their checksum by these positions must be that of `meter`, past which
    they went in the order of the source: no row was lost, doubled or changed by sorting.

    Raises:
        FormatError: Rows without a key meet rows whose key is the text that stands for none.
        VerificationError: The rows are not the same.
    """
    again = Meter(meter.schema)
    with ExternalSort([hidden.order], folder) as sort:
        for batch in meter.tap(rows).collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming"):
            sort.add(batch)
        last: pl.DataFrame | None = None
        seen = [*hidden.keys, *hidden.nulls, hidden.position]
        with closing(prepared(sort.sorted())) as runs:
            for run in runs:
                if not run.height:
                    continue
                again.put(run.select(*meter.schema), run[hidden.position])
                given = run.select(seen)
                _check(given if last is None else pl.concat([last, given]), hidden, missing)
                last = given.tail(1)
                yield from run.iter_slices(_ROWS)
    if again.rows != meter.rows or again.checksums != meter.checksums:
        raise VerificationError("the sorted rows are not the rows that were read")


def _check(frame: pl.DataFrame, hidden: Hidden, missing: str) -> None:
    """Look at neighbours: equal keys must be so for one reason, and rows of a key in the order of the source."""
    same, mixed = pl.lit(value=True), pl.lit(value=False)
    for key, null in zip(hidden.keys, hidden.nulls, strict=True):
        same = same & (pl.col(key) == pl.col(key).shift(1))
        mixed = mixed | (same & (pl.col(null) != pl.col(null).shift(1)))
    place = pl.col(hidden.position)
    wrong = same & (place <= place.shift(1))
    is_mixed, is_wrong = frame.select(mixed.any().alias("mixed"), wrong.any().alias("wrong")).row(0)
    if is_mixed:
        raise FormatError(
            f"rows without a key and rows with the key {missing!r} would become one group",
            cure="Give rows without a key another text with `missing`, or filter them out.",
        )
    if is_wrong:
        raise VerificationError("rows of one key are not in the order of the source")


def grouped(
    frame: pl.DataFrame, before: tuple[str, ...] | None, part: Part, keys: Sequence[str], texts: pl.Series
) -> list[memoryview]:
    """Return the texts of sorted rows with their keys around them.

    `before` are the keys of the row before the first, None where there is none; the last group stays open.
    """
    levels = range(len(keys))
    new: list[pl.Expr] = []
    for n in levels:
        last = pl.col(keys[n]).shift(1) if before is None else pl.col(keys[n]).shift(1, fill_value=before[n])
        changed = pl.col(keys[n]).ne_missing(last)
        new.append((changed | new[-1] if new else changed).alias(str(n)))
    begins = frame.select(*keys, *(flag.alias(f"{keys[0]}{n}") for n, flag in enumerate(new)))
    inner = begins[f"{keys[0]}{levels[-1]}"]
    lead = pl.repeat(part.between, frame.height, dtype=pl.String, eager=True)
    if inner.any():
        # Few rows begin a group, as a rule: only for those the keys are put into text.
        opening: pl.Expr | None = None
        for n in reversed(levels):
            pieces = [
                piece for m in levels[n:] for piece in (value(pl.col(keys[m]), pl.String()), pl.lit(part.opens[m]))
            ]
            text = pl.concat_str(pl.lit(part.closes[n] + part.breaks[n]), *pieces)
            opening = text if opening is None else pl.when(pl.col(f"{keys[0]}{n}")).then(text).otherwise(opening)
        openings = begins.filter(inner).select(opening.alias("")).to_series()  # type: ignore[union-attr]
        lead = lead.scatter(inner.arg_true(), openings)
    whole = pl.DataFrame([lead.alias("lead"), texts.alias("text")]).select(pl.concat_str("lead", "text"))
    return joined(whole.to_series(), 0 if before is not None else len((part.closes[0] + part.breaks[0]).encode()))
