"""What the values of a JSON key are, and how their JSON texts become a column.

=====================  ========================================================================
every value is          the column becomes
=====================  ========================================================================
a text                  text; date, datetime where every text is one (`export_pipeline.sources.evidence`)
a number                integer, decimal(38,0), float; JSON text where a digit would be lost
true, false             boolean
an object               a struct with all keys, where the values of each key are of one kind
an array                a list, where its items are of one kind
of several kinds        text: the JSON text of each value (``1`` and ``"1"`` stay apart)
=====================  ========================================================================

Objects without keys, of more than 200 keys, or with whole numbers of 16 digits and more inside are JSON text, too.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from export_pipeline.sources.evidence import NUMBERS, TIMES, Evidence
from export_pipeline.sources.types import convert

_KINDS = {'"': "text", "{": "nested", "[": "nested", "t": "boolean", "f": "boolean"}
_LONG_NUMBER = r"(?:^|[\[:,\s])-?\d{16}"
_MOST_KEYS = 200
_WIDER = {
    frozenset({"UBIGINT", "BIGINT"}): "BIGINT",
    frozenset({"UBIGINT", "DOUBLE"}): "DOUBLE",
    frozenset({"BIGINT", "DOUBLE"}): "DOUBLE",
}
_LEAVES: dict[str, pl.DataType] = {
    "UBIGINT": pl.Int64(),
    "BIGINT": pl.Int64(),
    "DOUBLE": pl.Float64(),
    "VARCHAR": pl.String(),
    "BOOLEAN": pl.Boolean(),
    "NULL": pl.String(),
}
_MIXED = "JSON"


class JsonValues:
    """What is known of one key so far."""

    def __init__(self) -> None:
        self._kinds: set[str] = set()
        self._inner = Evidence(())
        self._structure: Any = "NULL"

    def add(self, text: pl.Series) -> None:
        """Take more JSON texts into account."""
        if len(self._kinds) > 1:
            return
        values = text.filter(text.is_not_null() & (text != "null"))
        kinds = {_KINDS.get(str(first), "number") for first in values.str.head(1).unique()}
        if not self._kinds and kinds:
            self._inner = Evidence(TIMES if "text" in kinds else NUMBERS, blank=False)
        self._kinds |= kinds
        match sorted(self._kinds):
            case ["text"] if not self._inner.settled:
                self._inner.add(unquoted(values))
            case ["number"]:
                self._inner.add(values)
            case ["nested"] if self._structure != _MIXED:
                self._structure = _structure(values, self._structure)

    @property
    def dtype(self) -> pl.DataType:
        """The type that holds every value."""
        match sorted(self._kinds):
            case ["text"] | ["number"]:
                return self._inner.dtype
            case ["boolean"]:
                return pl.Boolean()
            case ["nested"]:
                return _nested(self._structure) or pl.String()
            case _:
                return pl.String()

    def read(self, text: pl.Series, dtype: pl.DataType, what: str, before: int) -> pl.Series:
        """Return JSON texts as a type. Raises `SourceError` that names the row of one that does not fit."""
        values = pl.select(pl.when(text != "null").then(text).alias(text.name)).to_series()
        if dtype.is_nested():
            return values.str.json_decode(dtype)
        if len(self._kinds) > 1 and dtype == pl.String():
            return values
        return convert(unquoted(values), dtype, what, before)


def unquoted(values: pl.Series) -> pl.Series:
    """Return the text of JSON texts, other JSON as it is."""
    quoted = values.str.starts_with('"')
    if not quoted.any():
        return values
    escaped = quoted & values.str.contains("\\", literal=True)
    plain = values.str.strip_prefix('"').str.strip_suffix('"')  # other JSON neither begins nor ends with a quote
    if not escaped.any():
        return plain
    decoded = values.filter(escaped).str.json_decode(pl.String())
    return plain.scatter(escaped.arg_true(), decoded)


def _structure(values: pl.Series, known: Any) -> Any:
    """Return what the values are, together with what was known before."""
    import duckdb

    if values.str.contains(_LONG_NUMBER).any():
        return _MIXED
    with duckdb.connect() as connection:
        connection.register("texts", values.alias("value").to_frame().with_row_index("place").to_arrow())
        # In the order of the rows: the keys of a struct have the order in which they were seen first.
        query = "SELECT json_structure(value) AS found FROM texts GROUP BY found ORDER BY min(place)"
        for (text,) in connection.execute(query).fetchall():
            known = _merged(known, json.loads(text))
            if known == _MIXED:
                break
    return known


def _merged(one: Any, two: Any) -> Any:
    """Return the structure of values of either structure, `_MIXED` where they do not go together."""
    if one == two or two == "NULL":
        return one
    if one == "NULL":
        return two
    if isinstance(one, dict) and isinstance(two, dict):
        merged = {key: _merged(one.get(key, "NULL"), two.get(key, "NULL")) for key in one | two}
        return _MIXED if len(merged) > _MOST_KEYS or _MIXED in merged.values() else merged
    if isinstance(one, list) and isinstance(two, list):
        inner = _merged(one[0], two[0])
        return _MIXED if inner == _MIXED else [inner]
    return _WIDER.get(frozenset({one, two}), _MIXED) if isinstance(one, str) and isinstance(two, str) else _MIXED


def _nested(structure: Any) -> pl.DataType | None:
    """Return the type of values of a structure, None where there is none that keeps them all."""
    if isinstance(structure, list):
        inner = _nested(structure[0])
        return None if inner is None else pl.List(inner)
    if isinstance(structure, dict):
        fields = {key: _nested(value) for key, value in structure.items()}
        known = {key: dtype for key, dtype in fields.items() if dtype is not None}
        return pl.Struct(known) if known and len(known) == len(fields) <= _MOST_KEYS else None
    return _LEAVES.get(structure)
