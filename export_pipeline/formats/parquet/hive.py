"""Hive layout: the values of some columns are in the names of folders, ``dt=2026-11-23/agent=a-1/part-0.parquet``.

What may not stand in a name is percent-encoded, as Hive, Spark, Arrow, DuckDB and Polars decode it; an empty value is
Hive's ``__HIVE_DEFAULT_PARTITION__``. Letters beyond ASCII stand as they are: Spark decodes each byte to a character of
its own. Only marks that names may not have (controls, direction of text) are encoded in UTF-8, which Spark reads wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from urllib.parse import unquote

import polars as pl

from export_pipeline.errors import ConfigError, FormatError
from export_pipeline.names import LONGEST, clean
from export_pipeline.schemas import name_of

NULL = "__HIVE_DEFAULT_PARTITION__"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_KEPT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_INNER = frozenset("., +@()")
"""Also kept, but not at the ends: Windows drops dots and spaces there."""


def encode(value: str) -> str:
    """Return a text as it stands in the name of a folder.

    >>> encode("a/b"), encode(".."), encode("v1.2"), encode("Köln")
    ('a%2Fb', '%2E%2E', 'v1.2', 'Köln')
    """
    last = len(value) - 1
    return "".join(
        character
        if character in _KEPT
        or (character in _INNER and 0 < at < last and value[at - 1] != character)
        or (character > "\x7f" and clean(character) != "_")
        else "".join(f"%{byte:02X}" for byte in character.encode())
        for at, character in enumerate(value)
    )


def segment(key: str, value: str | None) -> str:
    """Return one folder's name; FormatError for a value that readers would take for another."""
    if value == "" or value == NULL:
        raise FormatError(
            f"column {key!r}: the text {value!r} cannot be a partition: readers take it for a missing value",
            cure="Filter these rows out, give them another text, or partition by another column.",
        )
    text = f"{key}={NULL if value is None else encode(value)}"
    if (size := len(text.encode())) > LONGEST:
        raise FormatError(
            f"column {key!r}: the value {str(value)[:40]!r}... makes a folder's name of {size} bytes; "
            f"at most {LONGEST} are safe",
            cure="Partition by a column with shorter values.",
        )
    return text


def folder(constants: Mapping[str, str], keys: Iterable[tuple[str, str | None]]) -> str:
    """Return the folder of a partition: the constant keys, then the columns' keys."""
    return "/".join(segment(key, value) for key, value in (*constants.items(), *keys))


def values_of(name: str, constants: Mapping[str, str], keys: Iterable[str]) -> dict[str, str | None]:
    """Return key -> text from the name of a part; FormatError if its folders are not these keys."""
    expected = [*constants, *keys]
    parts = [part.partition("=") for part in PurePosixPath(name).parent.parts]
    if [key for key, _, _ in parts] != expected:
        raise FormatError(f"{name}: its folders are not {'/'.join(f'{key}=...' for key in expected)}")
    found = {key: None if text == NULL else unquote(text, errors="strict") for key, _, text in parts}
    for key, value in constants.items():
        if found.pop(key) != value:
            raise FormatError(f"{name}: {key} is not {value}")
    return found


def check(by: Iterable[str], constants: Mapping[str, str], schema: pl.Schema) -> None:
    """Refuse keys that are no columns, have no exact text, or leave nothing for the files."""
    keys = list(by)
    for key in (*constants, *keys):
        if not _PLAIN_NAME.fullmatch(key):
            raise ConfigError(
                f"{key!r} cannot name a partition: its folders are called {key}=...",
                cure="Rename the column to letters, digits and underscores.",
            )
    for key, value in constants.items():
        segment(key, value)
        if key in schema:
            raise ConfigError(f"partition_values has {key!r}, which is a column too", cure="Choose another name.")
    for key in keys:
        dtype = schema[key]
        if not (dtype.is_integer() or isinstance(dtype, (pl.String, pl.Boolean, pl.Date, pl.Categorical, pl.Enum))):
            raise ConfigError(
                f"column {key!r} is {name_of(dtype)}, whose values have no one text for a folder's name",
                cure="Partition by texts, integers, booleans, dates or categories.",
            )
    if len(keys) == len(schema):
        raise ConfigError("partition_by names every column: nothing is left for the files")


def refuse(frame: pl.DataFrame, start: int, keys: Iterable[str]) -> None:
    """Refuse the first value that has no folder readers would understand: FormatError with column, row and value."""
    for key in keys:
        column = frame[key]
        if isinstance(column.dtype, pl.Date):
            wrong = ~column.dt.year().is_between(1, 9999)
        elif isinstance(column.dtype, (pl.String, pl.Categorical, pl.Enum)):
            wrong = column.cast(pl.String).is_in(["", NULL])
        else:
            continue
        if not wrong.any():
            continue
        at = wrong.fill_null(value=False).arg_max() or 0
        if not isinstance(column.dtype, pl.Date):
            segment(key, str(column[at]))
        raise FormatError(
            f"column {key!r}, row {start + at + 1:,}: a date in the year {column.dt.year()[at]} cannot be a partition; "
            "readers know the years 1 to 9999",
            cure="Filter these rows out, or partition by another column.",
        )


def from_text(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return the values of a key from their texts."""
    if isinstance(dtype, pl.Boolean):
        return text.replace_strict({"true": True, "false": False}, return_dtype=dtype)
    return text.str.to_date("%Y-%m-%d") if isinstance(dtype, pl.Date) else text.cast(dtype)
