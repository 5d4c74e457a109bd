"""Values that writers and readers get wrong; every one of them is a defect that somebody has met in some product."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl

# fmt: off
TEXTS: list[str | None] = [
    '', None, ' ', ' x ', 'NULL', 'null', 'NaN', 'None', 'true', '00123', '1e5', '-', '=1+1', '+1', '@x', "'", '\t',
    '"', '""', 'a"b', 'a,b', 'a;b', 'a|b', 'a\tb', 'a\nb', 'a\rb', 'a\r\nb', '\n', '\r\n', '\\', '\\N', '\\n', '\\\\',
    'a,\n', '}\n', '#', '\ufeffx', '\x00', '\x01\x1f\x7f', '\x0b\x0c\x85\u2028\u2029',
    '\U0001f600\U0001f469\u200d\U0001f680', 'שלום', '\u202eabc', 'é', 'é', 'ΐ', 'ß', '\U0010ffff', '\ufffd', '{}',
    '[1]', '1,5', '2020-01-01', "x" * 5000, '],[',
]
# fmt: on

ZONE = "Europe/Berlin"


def utc(*parts: int) -> dt.datetime:
    """Return an instant."""
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]


COLUMNS: dict[str, tuple[pl.DataType, list[Any]]] = {
    "text": (pl.String(), TEXTS),
    "int8": (pl.Int8(), [-128, 127, None]),
    "int64": (pl.Int64(), [-(2**63), 2**63 - 1, 0, 2**53 + 1, -(2**53) - 1, None]),
    "uint64": (pl.UInt64(), [2**64 - 1, 2**63, 0, None]),
    "float64": (
        pl.Float64(),
        [0.1, 0.1 + 0.2, -0.0, 0.0, 5e-324, 1.7976931348623157e308, 1e22, 1e16, 123456789012345680.0, 1e-7, 1 / 3],
    ),
    "float32": (pl.Float32(), [0.1, 3.4028235e38, 1e-45, -0.0, 16777216.0, None]),
    "float16": (pl.Float16(), [0.1, 65504.0, None]),
    "non_finite": (pl.Float64(), [float("nan"), float("inf"), float("-inf"), -float("nan"), 1.5, None]),
    "bool": (pl.Boolean(), [True, False, None]),
    "decimal": (
        pl.Decimal(38, 10),
        [Decimal("-0.1000000000"), Decimal("9" * 28 + "." + "9" * 10), -Decimal("9" * 28 + "." + "9" * 10), None],
    ),
    "decimal0": (pl.Decimal(20, 0), [Decimal(10**19), Decimal(-1), None]),
    "int128": (pl.Int128(), [10**37, -(10**37), None]),
    "date": (
        pl.Date(),
        [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1899, 12, 31), dt.date(1900, 2, 28), dt.date(1900, 3, 1)],
    ),
    "ms": (pl.Datetime("ms"), [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999000), None]),
    "us": (
        pl.Datetime("us"),
        [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999999), dt.datetime(2025, 3, 30, 2, 30), None],
    ),
    "ns": (pl.Datetime("ns"), [-(2**63) + 10**9, 2**63 - 1, 1, None]),
    "utc": (pl.Datetime("us", "UTC"), [utc(1, 1, 1), utc(9999, 12, 31, 23, 59, 59, 999999), None]),
    "zoned": (
        pl.Datetime("us", ZONE),
        [
            utc(1, 1, 1),  # its offset then was +00:53:28
            utc(2025, 10, 26, 0, 30),  # 02:30, the first time
            utc(2025, 10, 26, 1, 30),  # 02:30, the second time
            utc(2025, 3, 30, 1, 0),
            None,
        ],
    ),
    "zoned_ns": (pl.Datetime("ns", "America/New_York"), [1, 2**62, None]),
    "time": (pl.Time(), [dt.time(0), dt.time(23, 59, 59, 999999), dt.time(12, 0, 0, 1), None]),
    "duration": (
        pl.Duration("us"),
        [dt.timedelta(0), dt.timedelta(days=-1, microseconds=5), dt.timedelta(days=40000, microseconds=1), None],
    ),
    "binary": (pl.Binary(), [b"", b"\0\xff\n", b"x" * 100, None]),
    "category": (pl.Categorical(), ["a", 'b"', "", None]),
    "enum": (pl.Enum(["x", "y,", ""]), ["x", "y,", "", None]),
    "nothing": (pl.Null(), [None, None]),
    "list": (pl.List(pl.Int64), [[1, None, 2**53 + 1], [], None]),
    "list_text": (pl.List(pl.String), [TEXTS, [""], [None], [], None]),
    "list_list": (pl.List(pl.List(pl.Float64)), [[[0.1, None], [], None], [], None]),
    "array": (pl.Array(pl.Int8, 2), [[1, 2], [None, 3], None]),
    "struct": (
        pl.Struct(
            {"a": pl.Int64, 'b "x': pl.String, "c": pl.List(pl.Struct({"d": pl.Date, "z": pl.Datetime("us", ZONE)}))}
        ),
        [
            {"a": 1, 'b "x': 'q"\n', "c": [{"d": dt.date(1, 1, 1), "z": utc(1, 1, 1)}, None]},
            {"a": None, 'b "x': None, "c": []},
            None,
        ],
    ),
    "struct_leaves": (
        pl.Struct(
            {"f": pl.Float64, "n": pl.Decimal(10, 2), "b": pl.Binary, "t": pl.Time, "u": pl.Duration("ms"),
             "e": pl.Enum(["x", ""])}
        ),
        [{"f": float("nan"), "n": Decimal("1.10"), "b": b"\xff", "t": None, "u": dt.timedelta(1), "e": ""}, None],
    ),
}  # fmt: skip
"""Name -> type and values."""

# fmt: off
NAMES = [
    '', ' ', 'a', 'A', 'ä', 'Ä', 'a,b', 'q"x', 'line\nend', 'cr\rx', 'tab\t', ';', '|', '=1', '\ufeff', '\U0001f600',
    '0', 'position', '_position', '\x00', '\\', "x" * 300, 'null', 'selecT', 'ß', 'SS', '{}', 'line',
]
# fmt: on
"""Names of columns: in need of quotes, equal but for their case, taken inside."""


def column(name: str) -> pl.Series:
    """Return one column of the table."""
    dtype, values = COLUMNS[name]
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns":
        return pl.Series(name, values, dtype=pl.Int64).cast(dtype)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return pl.Series(name, values, dtype=pl.Datetime(dtype.time_unit, "UTC")).dt.convert_time_zone(dtype.time_zone)
    return pl.Series(name, values, dtype=dtype)


def table(*, without: tuple[str, ...] = ()) -> pl.DataFrame:
    """Return all columns side by side; shorter ones are filled with null."""
    columns = [column(name) for name in COLUMNS if name not in without]
    height = max(map(len, columns))
    return pl.DataFrame([c.extend_constant(None, height - len(c)) for c in columns])
