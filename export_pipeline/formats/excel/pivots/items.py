"""The values of a column that has rows, columns or a filter in a pivot table: its items, as Excel tells them apart.

Texts that differ in case only are one item, spelled as the first of them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from export_pipeline.errors import FormatError
from export_pipeline.formats.excel.numeric import numbers

MAX_ITEMS = 10_000
MAX_TEXT = 255
"""Characters of an item: Excel's pivot tables do not tell longer texts apart."""
_AGGREGATE = "Aggregate the rows first (group_by, time_bucket), or choose another column."
_ORIGIN = dt.datetime(1899, 12, 30)
BLANK = "(blank)"


@dataclass(frozen=True)
class Item:
    """One value, as the cells of the sheet hold it; a date is a number there."""

    value: str | float | bool | None
    date: bool = False

    @property
    def order(self) -> tuple[int, float | str, str]:
        """Where it stands: numbers, texts, false and true, blank."""
        if self.value is None:
            return (3, 0, "")
        if isinstance(self.value, bool):
            return (2, self.value, "")
        return (1, self.value.lower(), self.value) if isinstance(self.value, str) else (0, self.value, "")

    @property
    def cell(self) -> str | float | bool:
        """What a cell shows."""
        return BLANK if self.value is None else self.value

    @property
    def moment(self) -> dt.datetime:
        """The date that it is."""
        return moment(float(self.value or 0))

    @property
    def text(self) -> str:
        """The value in a text such as that of its totals."""
        if isinstance(self.cell, bool):
            return str(self.cell).upper()
        if self.date:
            return str(self.moment).removesuffix(" 00:00:00")
        return self.cell if isinstance(self.cell, str) else f"{self.cell:.15g}"


def moment(serial: float) -> dt.datetime:
    """Return the moment of one of Excel's serials, to the second."""
    days = int(serial)
    return _ORIGIN + dt.timedelta(days=days, seconds=round((serial - days) * 86_400))


def key(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return what values of a (rendered) column are told apart by."""
    if isinstance(dtype, pl.String):
        return column.str.to_lowercase()
    return numbers(column, dtype) if isinstance(dtype, pl.Float32) else column


class Items:
    """The items of one column, gathered block by block, in the order of the rows."""

    def __init__(self, name: str, dtype: pl.DataType) -> None:
        self._name, self._dtype = name, dtype
        self._found: pl.DataFrame | None = None

    def part(self, rows: pl.DataFrame, column: str) -> pl.DataFrame:
        """Return the values of a block: `key`, and `shown` as the first of them is."""
        cell = pl.col(column)
        return _different(rows.select(key(cell, self._dtype).alias("key"), cell.alias("shown")))

    def add(self, part: pl.DataFrame) -> None:
        """Add what `part` returned, in the order of the rows. FormatError where a pivot table cannot have them."""
        self._check(part)
        self._found = part if self._found is None else _different(pl.concat([self._found, part]))
        if self._found.height > MAX_ITEMS:
            raise FormatError(f"excel: pivot_tables: {self._name!r} has more than {MAX_ITEMS:,} different values",
                              cure=_AGGREGATE)  # fmt: skip

    @cached_property
    def places(self) -> pl.DataFrame:
        """The place among the items (`place`) of each `key`."""
        found, values = self._frame(), self._values()
        order = sorted(range(len(values)), key=lambda n: values[n].order)
        places = [0] * len(order)
        for place, n in enumerate(order):
            places[n] = place
        return found.select("key", pl.Series("place", places, dtype=pl.UInt32))

    @cached_property
    def items(self) -> list[Item]:
        """All items, in their order."""
        return sorted(self._values(), key=lambda item: item.order)

    def place(self, chosen: pl.Expr) -> int | None:
        """Return the place of the item that an expression over `shown` chooses; None where there is none."""
        found = self._frame().with_columns(self.places["place"]).filter(chosen)
        return int(found["place"][0]) if found.height else None

    def _frame(self) -> pl.DataFrame:
        if self._found is None:
            raise ValueError("no rows were gathered")
        return self._found

    def _values(self) -> list[Item]:
        """Return the items in the order of the rows."""
        found, shown = self._frame(), pl.col("shown")
        if isinstance(self._dtype, pl.Boolean):
            return [Item(value) for value in found["shown"]]
        if not (self._dtype.is_numeric() or self._dtype.is_temporal()):
            return [Item(value) for value in found["shown"].cast(pl.String)]
        text = shown.cast(pl.String)
        if isinstance(self._dtype, pl.Datetime):
            text = shown.dt.to_string("%Y-%m-%dT%H:%M:%S%.f")
        made = found.select(numbers(shown, self._dtype).cast(pl.Float64).alias("number"), text.alias("text"))
        return [
            Item(text) if number is None else Item(number, self._dtype.is_temporal())
            for number, text in made.iter_rows()
        ]

    def _check(self, part: pl.DataFrame) -> None:
        shown = pl.col("shown")
        if isinstance(self._dtype, pl.Datetime) and part.select((shown.dt.nanosecond() != 0).any()).item():
            raise FormatError(
                f"excel: pivot_tables: {self._name!r} has fractions of a second, which pivot tables do not tell apart",
                cure="Round the times, or aggregate the rows by time_bucket.",
            )
        if isinstance(self._dtype, pl.String) and (part.select(shown.str.len_chars().max()).item() or 0) > MAX_TEXT:
            raise FormatError(f"excel: pivot_tables: {self._name!r} has texts of more than {MAX_TEXT} characters, "
                              "which pivot tables do not tell apart", cure="Choose another column.")  # fmt: skip


def _different(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.unique(subset="key", keep="first", maintain_order=True)
