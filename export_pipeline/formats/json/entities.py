"""Rows taken apart into the entities and relationships of a normalized document, each sorted by its key."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import polars as pl

from export_pipeline.engines.external import ExternalSort
from export_pipeline.errors import FormatError
from export_pipeline.formats.json.records import prepared
from export_pipeline.formats.json.structures import RELATIONSHIPS, Normalized
from export_pipeline.verification import Meter, canonical

_ROWS = 50_000
"""Rows that are taken apart, and put into text, at a time."""
KEY, FROM, TO = "key", "from", "to"
_FIELD = "field."
_FEW = 8
"""Rows per key from which on keys count as few."""
_FIRST = 2_000
"""Rows that are looked at first."""


@dataclass(frozen=True)
class Section:
    """An entity or a relationship: what is kept of each row, and under which names the file's columns go."""

    name: str
    keys: tuple[str, ...]
    """Columns (in the sorted rows) that they are sorted by: one of an entity, two of a relationship. Whole numbers are
    sorted as such, all other keys as the texts that they become."""
    columns: Mapping[str, pl.Expr]
    """Columns of the sorted rows, out of the rendered ones."""
    names: Mapping[str, str]
    """Column of the sorted rows -> column that the file holds."""
    fields: tuple[str, ...] = field(default=())
    """Fields of the entity."""
    blank: bool = False
    """Whether an empty text stands for null already."""

    @property
    def place(self) -> str:
        """Its name in the document: an entity and a relationship may have the same."""
        return self.name if len(self.keys) == 1 else f"{RELATIONSHIPS}.{self.name}"


def field_column(entity: str, name: str) -> str:
    """Return what a field is called among the columns that the file holds."""
    return f"{entity}.{name}"


def end_columns(relationship: str) -> tuple[str, str]:
    """Return what the ends of a relationship are called among the columns that the file holds."""
    return f"{RELATIONSHIPS}.{relationship}.{FROM}", f"{RELATIONSHIPS}.{relationship}.{TO}"


class Rows(NamedTuple):
    """Rows, and what is made of them."""

    rows: pl.LazyFrame
    meter: Meter
    """Which they pass."""
    sections: list[Section]


def taken_apart(
    given: Sequence[Rows], order: Sequence[str], folder: Path, duplicates: str
) -> Iterator[tuple[Section, Iterator[pl.DataFrame]]]:
    """Read all rows once, past their meters, and yield the sorted rows of each section, in frames of some thousand.

    `order` has the names of all sections in the order of the document.

    Raises:
        FormatError: A key has different fields in different rows, or fields have no key.
    """
    with contextlib.ExitStack() as stack:
        sorts: dict[str, tuple[Section, ExternalSort]] = {}
        for rows, meter, sections in given:
            for section in sections:
                sort = ExternalSort(section.keys, folder, squeeze=_Squeeze(section, duplicates))
                sorts[section.place] = section, stack.enter_context(sort)
            mine = [sorts[section.place] for section in sections]
            for batch in meter.tap(rows).collect_batches(chunk_size=_ROWS, maintain_order=True, engine="streaming"):
                for section, sort in mine:
                    sort.add(_kept(batch, section))
        for place in order:
            section, sort = sorts[place]
            yield section, _distinct(sort, section, duplicates)


def _kept(batch: pl.DataFrame, section: Section) -> pl.DataFrame:
    """Return the rows that have this entity or relationship."""
    kept = frame = batch.select(made.alias(name) for name, made in section.columns.items())
    there = pl.all_horizontal(pl.col(key).is_not_null() for key in section.keys)
    if any(frame[key].null_count() for key in section.keys):
        kept = frame.filter(there)
    if section.fields and kept.height < frame.height:
        lost = frame.filter(~there).select(_FIELD + name for name in section.fields)
        if section.blank:
            lost = lost.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)))
        if any(column.null_count() < len(column) for column in lost):
            raise FormatError(
                f"entity {section.name!r}: a row without a key has fields, which would be lost",
                cure="Filter such rows out, or choose a key that is never null.",
            )
    if len(section.keys) == 1 and _may_be_few(kept[KEY]):
        # Rows that say the same of few entities need not be sorted.
        fresh = pl.struct(_held(kept, section)) if section.fields else pl.col(KEY)
        found = kept.select(fresh.is_first_distinct()).to_series()
        return kept.filter(found) if found.sum() * _FEW < kept.height else kept
    return kept


def _may_be_few(keys: pl.Series) -> bool:
    """Return whether there may be many rows per key; where the first rows differ, no more are looked at."""
    first = keys.head(_FIRST)
    return first.n_unique() * 10 < len(first) * 9


def _held(frame: pl.DataFrame, section: Section) -> list[pl.Expr]:
    """Return key and fields as what is compared: equal exactly where the values are equal."""
    names = [KEY, *(_FIELD + name for name in section.fields)]
    return [canonical(pl.col(name), frame.schema[name]).alias(name) for name in names]


@dataclass(frozen=True)
class _Squeeze:
    """Drops rows that say nothing new from sorted rows: of each key and its fields, the first stays."""

    section: Section
    duplicates: str

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        same = pl.all_horizontal(pl.col(key) == pl.col(key).shift(1) for key in self.section.keys)
        if not frame.select(same.any()).item():
            return frame
        if self.duplicates == "refuse":
            for name in self.section.fields:
                held = canonical(pl.col(_FIELD + name), frame.schema[_FIELD + name])
                same = same & held.eq_missing(held.shift(1))
        return frame.filter(~same.fill_null(value=False))


def _distinct(sort: ExternalSort, section: Section, duplicates: str) -> Iterator[pl.DataFrame]:
    squeeze = _Squeeze(section, duplicates)
    last: pl.DataFrame | None = None
    with contextlib.closing(prepared(sort.sorted())) as runs:
        for run in runs:
            frame = squeeze(run if last is None else pl.concat([last, run]))
            if duplicates == "refuse" and section.fields:
                _refuse_twice(frame, section)
            fresh = frame if last is None else frame.slice(1)
            last = frame.tail(1)
            yield from fresh.iter_slices(_ROWS)


def _refuse_twice(frame: pl.DataFrame, section: Section) -> None:
    """Refuse keys that are there twice: their fields differ, else one row would have been dropped."""
    again = (frame[KEY] == frame[KEY].shift(1)).arg_true()
    if not len(again):
        return
    first, second = frame.row(again[0] - 1, named=True), frame.row(again[0], named=True)
    differ = [name for name in section.fields if first[_FIELD + name] != second[_FIELD + name]]
    shown = ", ".join(f"{name}: {first[_FIELD + name]!r} and {second[_FIELD + name]!r}" for name in differ[:3])
    raise FormatError(
        f"entity {section.name!r}: the key {str(first[KEY])!r} has different fields ({shown})",
        cure="Leave out fields that are not the entity's own, or say duplicates: first.",
    )


def sections_of(
    structure: Normalized, schema: Mapping[str, pl.DataType], keys: Mapping[str, str], *, blank: bool
) -> list[Section]:
    """Return the sections of a document in its order.

    Args:
        structure: The entities and relationships.
        schema: The columns of the rows.
        keys: By column that is a key, the column that rows are sorted by: null where there is no key.
        blank: Whether an empty text stands for null.
    """
    found = []
    for name, fields in structure.fields(schema).items():
        columns = {KEY: pl.col(keys[structure.entities[name].key])} | {_FIELD + one: pl.col(one) for one in fields}
        names = {KEY: name} | {_FIELD + one: field_column(name, one) for one in fields}
        found.append(Section(name, (KEY,), columns, names, tuple(fields), blank))
    for name, relationship in structure.relationships.items():
        ends = {FROM: relationship.from_key or "", TO: relationship.to_key or ""}
        columns = {end: pl.col(keys[column]) for end, column in ends.items()}
        found.append(Section(name, (FROM, TO), columns, dict(zip(ends, end_columns(name), strict=True))))
    return found
