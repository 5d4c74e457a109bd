"""Pivot tables computed as the rows stream by: partial aggregates of each block, merged in the order of the rows.

Blocks hold the same rows whatever the batches, so the same rows have the same sums, to the last bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from export_pipeline.errors import FormatError
from export_pipeline.formats.excel.numeric import numbers
from export_pipeline.formats.excel.pivots.functions import FUNCTIONS, merged, parts_of, result
from export_pipeline.formats.excel.pivots.items import Item, Items, key
from export_pipeline.formats.excel.pivots.options import PivotFilter, PivotTable

MAX_GROUPS = 200_000
"""Combinations of values that a pivot table may have."""
_MERGED = 65_536
"""Rows of partial aggregates that are merged at once."""

Path = tuple[int, ...]
"""Places of items, from the outermost column to the innermost or to one before it."""


@dataclass(frozen=True)
class Part:
    """What the gatherer takes of one block."""

    items: list[pl.DataFrame]
    groups: list[pl.DataFrame]
    numbers: pl.DataFrame


@dataclass(frozen=True)
class Range:
    """What kinds of cells a column of values has."""

    blank: bool
    texts: bool
    least: float | None
    most: float | None


@dataclass(frozen=True)
class Computed:
    """A pivot table with its values."""

    table: PivotTable
    rows: Sequence[Path]
    """Combinations of items that have rows, in order."""
    columns: Sequence[Path]
    cells: Mapping[tuple[Path, Path], Sequence[int | float | None]]
    """Path of rows, path of columns -> the values."""
    chosen: Sequence[int | None]
    """Of each filter, the place of the chosen item."""


@dataclass(frozen=True)
class Summary:
    """All pivot tables of a sheet, and what they share."""

    tables: Sequence[Computed]
    items: Mapping[str, Sequence[Item]]
    """Of each column that has a place on an axis of one of them."""
    ranges: Mapping[str, Range]
    """Of the other columns that are computed with."""
    schema: pl.Schema


class Gatherer:
    """Gathers what the pivot tables of a sheet need of its (rendered) rows, whose columns are called "0", "1" ..."""

    def __init__(self, tables: Sequence[PivotTable], schema: pl.Schema) -> None:
        self._tables, self._schema = tables, schema
        self._number = {name: n for n, name in enumerate(schema)}
        axes = dict.fromkeys(name for table in tables for name in table.axes)
        self._items = {name: Items(name, schema[name]) for name in axes}
        computed = dict.fromkeys(value.column for table in tables for value in table.values)
        self._computed = [name for name in computed if name not in axes]
        self._used = {self._number[name] for name in [*axes, *computed]}
        self._groups: list[list[pl.DataFrame]] = [[] for _ in tables]
        self._numbers: list[pl.DataFrame] = []

    def part(self, rows: pl.DataFrame) -> Part:
        """Return what is needed of a block. For threads: nothing is kept."""
        # One piece of memory, however the rows arrived: sums are of the same numbers in the same order.
        rows = rows.select(str(n) for n in sorted(self._used)).rechunk()
        items = [one.part(rows, str(self._number[name])) for name, one in self._items.items()]
        return Part(items, [self._grouped(table, rows) for table in self._tables], self._ranges(rows))

    def add(self, part: Part) -> None:
        """Merge what `part` returned, in the order of the rows. FormatError where there are too many groups."""
        for items, more in zip(self._items.values(), part.items, strict=True):
            items.add(more)
        self._numbers.append(part.numbers)
        for table, held, more in zip(self._tables, self._groups, part.groups, strict=True):
            held.append(more)
            if sum(frame.height for frame in held) > _MERGED:
                held[:] = [self._limited(table, held)]

    def summary(self) -> Summary:
        """Return all pivot tables."""
        if not self._numbers:  # the sheet then has one empty row, which Excel computes with
            columns = {str(n): pl.Series([None], dtype=dtype) for n, dtype in enumerate(self._schema.values())}
            self._tables = [
                table.replace(filters=[PivotFilter(column=one.column) for one in table.filters])
                for table in self._tables
            ]
            self.add(self.part(pl.DataFrame(columns)))
        ranges = pl.concat(self._numbers)
        return Summary(
            [self._computed_table(table, held) for table, held in zip(self._tables, self._groups, strict=True)],
            {name: items.items for name, items in self._items.items()},
            {name: _range(ranges, str(self._number[name])) for name in self._computed},
            self._schema,
        )

    def _grouped(self, table: PivotTable, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the partial aggregates of a block; keys are called "key 0", "key 1" ... with rows first."""
        for chosen in table.filters:
            if chosen.value is not None:
                cell = pl.col(str(self._number[chosen.column]))
                rows = rows.filter(chosen.chosen(cell, self._schema[chosen.column]))
        keys = [
            key(pl.col(str(self._number[name])), self._schema[name]).alias(f"key {n}")
            for n, name in enumerate(table.rows + table.columns)
        ]
        parts = []
        for name, wanted in _parts(table).items():
            number, dtype = self._number[name], self._schema[name]
            cell = pl.col(str(number))
            made = parts_of(cell, numbers(cell, dtype) if wanted - {"cells"} else cell, dtype)
            parts += [made[part].alias(f"{number} {part}") for part in sorted(wanted)]
        return rows.group_by(keys, maintain_order=True).agg(parts)

    def _merged(
        self, table: PivotTable, held: Sequence[pl.DataFrame], keys: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Merge partial aggregates by these keys, by default by all."""
        if keys is None:
            keys = [f"key {n}" for n in range(len(table.rows + table.columns))]
        parts = [
            merged(part, str(self._number[name])).alias(f"{self._number[name]} {part}")
            for name, wanted in _parts(table).items()
            for part in sorted(wanted)
        ]
        frame = pl.concat(held)
        return frame.group_by(keys, maintain_order=True).agg(parts) if keys else frame.select(parts)

    def _limited(self, table: PivotTable, held: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Merge partial aggregates; FormatError where there are too many groups."""
        frame = self._merged(table, held)
        if frame.height > MAX_GROUPS:
            raise FormatError(
                f"excel: pivot_tables {table.name!r} has more than {MAX_GROUPS:,} combinations of values",
                cure="Aggregate the rows first, or take fewer columns for its rows and columns.",
            )
        return frame

    def _ranges(self, rows: pl.DataFrame) -> pl.DataFrame:
        made = []
        for name in self._computed:
            cell, dtype, n = pl.col(str(self._number[name])), self._schema[name], self._number[name]
            countable = dtype.is_numeric() or dtype.is_temporal()
            number = numbers(cell, dtype).cast(pl.Float64) if countable else pl.lit(None, dtype=pl.Float64)
            found = number.count() if countable else pl.lit(0)
            made += [
                cell.has_nulls().alias(f"{n} blank"), (cell.count() > found).alias(f"{n} texts"),
                number.min().alias(f"{n} least"), number.max().alias(f"{n} most"),
            ]  # fmt: skip
        return rows.select(made)

    def _computed_table(self, table: PivotTable, held: Sequence[pl.DataFrame]) -> Computed:
        chosen = [
            None if one.value is None
            else self._items[one.column].place(one.chosen(pl.col("shown"), self._schema[one.column]))
            for one in table.filters
        ]  # fmt: skip
        for one, place in zip(table.filters, chosen, strict=True):
            if one.value is not None and place is None:
                there = [item.text for item in self._items[one.column].items]
                shown = ", ".join(there[:10]) + (", ..." if len(there) > 10 else "")
                raise FormatError(
                    f"excel: pivot_tables {table.name!r} is filtered by {one.column!r} = {one.value!r}, "
                    "which no row has",
                    cure=f"There are: {shown}. Choose one of them, or leave the value out.",
                )
        axes = table.rows + table.columns
        frame = self._limited(table, held)
        for n, name in enumerate(axes):
            places = self._items[name].places.rename({"key": f"key {n}", "place": f"place {n}"})
            frame = frame.join(places, on=f"key {n}", how="left", nulls_equal=True, maintain_order="left")
        names = [f"place {n}" for n in range(len(axes))]
        frame = frame.sort(names)
        rows, columns = names[: len(table.rows)], names[len(table.rows) :]
        cells = {
            (path[:r], path[r:]): values
            for r, c in itertools.product(range(len(rows) + 1), range(len(columns) + 1))
            for path, values in self._level(table, frame, rows[:r] + columns[:c])
        }
        return Computed(table, _paths(frame, rows), _paths(frame, columns), cells, chosen)

    def _level(
        self, table: PivotTable, frame: pl.DataFrame, keys: Sequence[str]
    ) -> list[tuple[Path, list[int | float | None]]]:
        """Return the values of each combination of these keys."""
        made = []
        for row in self._merged(table, [frame], keys).iter_rows(named=True):
            values = []
            for value in table.values:
                of = self._number[value.column]
                values.append(result(value.function, {p: row[f"{of} {p}"] for p in FUNCTIONS[value.function][2]}))
            made.append((tuple(row[name] for name in keys), values))
        return made


def one_sheet(number: int) -> None:
    """Refuse rows of a second sheet (`number` counts from 0), which a pivot table does not read."""
    if number:
        raise FormatError(
            "excel: pivot_tables read one sheet, but the rows go on in a second",
            cure="Filter or aggregate the rows to fewer than 1,048,576, or leave out pivot_tables.",
        )


def _parts(table: PivotTable) -> dict[str, set[str]]:
    """Return the parts that are needed of each column."""
    parts: dict[str, set[str]] = {}
    for value in table.values:
        parts.setdefault(value.column, set()).update(FUNCTIONS[value.function][2])
    return parts


def _paths(frame: pl.DataFrame, names: Sequence[str]) -> list[Path]:
    return [tuple(row) for row in frame.select(names).unique().sort(names).iter_rows()] if names else [()]


def _range(frame: pl.DataFrame, of: str) -> Range:
    return Range(
        bool(frame[f"{of} blank"].any()),
        bool(frame[f"{of} texts"].any()),
        frame[f"{of} least"].cast(pl.Float64).min(),  # type: ignore[arg-type]
        frame[f"{of} most"].cast(pl.Float64).max(),  # type: ignore[arg-type]
    )
