"""How many bytes rows are as records: what a parser passes over that is not strict is seen by that.

A comma before a closing brace, white space, a field that nobody asked for, one that is lost, a number as a text or with
a fraction, a date without a zero: each makes a record longer or shorter than its values say, and hardly two of them
make up for one another. Sums over columns cost a twentieth of what parsing does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import polars as pl

from export_pipeline.formats import iso
from export_pipeline.formats.json.records import Style, value
from export_pipeline.formats.json.spelling import text

_OFFSET = len("+00:00")
_QUOTES = 2
_QUOTE, _BACKSLASH, _CONTROLS = 34, 92, 32
_BRIEF = (8, 9, 10, 12, 13)
"""Control characters that JSON has a letter for; all others are written like ``\\u0000``."""
_POWERS = [10**n for n in range(20)]


@dataclass(frozen=True)
class Sizes:
    """Sizes of records of one form."""

    style: Style
    depth: int = 0
    """Level of indentation of the braces."""
    lead: str = ""
    """The first field, where it stands on the line of the brace; none: all stand alike."""
    around: int = 1
    """Bytes before and behind a record: its line end, at least."""

    @property
    def alike(self) -> bool:
        """Whether all records have all fields."""
        return self.style.nulls != "exclude"

    def of(self, frame: pl.DataFrame) -> int:
        """Return how many bytes the records of these rows are."""
        colon = len(self.style.spelling.colon)
        before, close = (len(self.style.spelling.line(self.depth + n)) for n in (1, 0))
        fields = frame.drop(self.lead) if self.lead else frame
        total = frame.height * (len("{}") + self.around)
        if self.lead:
            total += frame.height * (_length(self.lead) + colon) + self._values(frame[self.lead])
        there = frame.height if self.alike else fields.select(pl.any_horizontal(pl.all().is_not_null()).sum()).item()
        if fields.width:
            total += there * (close - (0 if self.lead else len(",")))  # of which there is one less than fields
        for column in fields:
            count = frame.height if self.alike else frame.height - column.null_count()
            total += count * (before + _length(column.name) + colon + len(","))
            total += self._values(column) + (len("null") * column.null_count() if self.alike else 0)
        return int(total)

    def check(self, frame: pl.DataFrame, size: int) -> pl.DataFrame:
        """Return the rows; ValueError where they are not records of this size."""
        compare(frame.height, self.of(frame), size)
        return frame

    def _values(self, column: pl.Series) -> int:
        """Return how many bytes the values are; null counts nothing."""
        dtype, count = column.dtype, len(column) - column.null_count()
        if isinstance(dtype, pl.Decimal) and self.style.numbers:
            return _floats(column.cast(pl.Float64))
        match dtype:
            case pl.String():
                return _QUOTES * count + _texts(column)
            case pl.Boolean():
                return len("false") * count - int(column.sum())
            case pl.Date():
                return (_QUOTES + len("2026-03-01")) * count
            case pl.Datetime():
                return (_QUOTES + iso.WIDTH[dtype.time_unit] + (_OFFSET if dtype.time_zone else 0)) * count
            case _ if dtype.is_integer():
                return count + _digits(column)
            case _ if dtype.is_float():
                return _floats(column)
            case _:
                return _rendered(column.drop_nulls())


def compare(rows: int, wanted: int, size: int) -> None:
    """Raise ValueError where records are not of this size."""
    if wanted != size:
        raise ValueError(f"{rows:,} records of these values are {wanted:,} bytes long, but {size:,} bytes are there")


def _length(name: str) -> int:
    return len(text(name).encode())


def _texts(column: pl.Series) -> int:
    """Return the bytes between the quotes."""
    import pyarrow as pa

    # Without its name, which may hold what Arrow's takes for its end.
    buffer = column.alias("").to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()[2] or pa.py_buffer(b"")
    given = pl.Series(pa.Array.from_buffers(pa.uint8(), buffer.size, [None, buffer]))
    controls = given.filter(given < _CONTROLS)
    long = (~controls.is_in(_BRIEF)).sum() if len(controls) else 0
    return len(given) + int((given == _QUOTE).sum()) + int((given == _BACKSLASH).sum()) + len(controls) + 4 * int(long)


def _digits(column: pl.Series) -> int:
    """Return how many digits and signs whole numbers have besides their last digits."""
    low, high = cast("tuple[int | None, int | None]", (column.min(), column.max()))
    if low is None or high is None:
        return 0
    found = [column >= power for power in _POWERS[1:] if power <= high]
    found += [column <= -power for power in _POWERS if -power >= low]  # the first of these counts the signs
    return sum(int(one.sum()) for one in found)


def _floats(column: pl.Series) -> int:
    """Return the bytes of numbers; Polars says `inf`."""
    spelled = int(column.cast(pl.String).str.len_bytes().sum())
    return spelled + int(column.is_infinite().sum()) * (len("Infinity") - len("inf"))


def _rendered(column: pl.Series) -> int:
    """Return the bytes of values that nothing but writing them tells."""
    return int(column.to_frame("").select(value(pl.col(""), column.dtype).str.len_bytes().sum()).item())
