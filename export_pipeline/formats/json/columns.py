"""Columns as JSON holds them, under the options that change values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from export_pipeline.errors import FormatError
from export_pipeline.formats.iso import iso
from export_pipeline.formats.json.entities import Section, end_columns, field_column, sections_of
from export_pipeline.formats.json.grouping import Hidden, key_text, order_of
from export_pipeline.formats.json.records import NON_FINITE, non_finite
from export_pipeline.formats.json.stamps import AnyStamp, Iso
from export_pipeline.formats.json.structures import AnyStructure, Flat, Nested, Normalized
from export_pipeline.formats.texts import (
    Dated,
    finite,
    held,
    holds_floats,
    is_wide,
    json_text,
    nested,
    refuse_objects,
    text_losses,
)
from export_pipeline.schemas import fields_of, leaves_of, names_inside
from export_pipeline.verification import Loss

_EXACT_DIGITS = 15
"""A JSON number is a double for most readers, which keeps 15 digits of every decimal."""
_LISTS = (pl.List, pl.Array, pl.Map)
_DATED = (pl.Date, pl.Datetime)
_LONG = (pl.Int64, pl.UInt64)


@dataclass(frozen=True)
class Columns:
    """How values are held: the options of the format that concern them."""

    stamp: AnyStamp
    nulls: Literal["include", "exclude", "empty"]
    arrays: Literal["expand", "stringify"]
    non_finite: Literal["null", "string", "error"]
    integers: Literal["number", "text"]
    decimals: Literal["text", "number"]

    def check(self, schema: Mapping[str, pl.DataType]) -> None:
        """Refuse decimals that a number would round, texts that mix up, and columns of objects."""
        refuse_objects(schema, "JSON")
        mixed = {name for name, dtype in schema.items() if self._mixes(dtype)}
        for name, dtype in schema.items():
            expanded = self._stringified(pl.col(name), dtype)[1] if self.arrays == "stringify" else dtype
            if both := mixed & set(names_inside(expanded)):
                option = "null_handling: include" if self.nulls == "empty" else "non_finite: null"
                raise FormatError(
                    f"column {name!r} has a field {min(both)!r}, which is also a column of other values: texts mix up",
                    cure=f"Rename the column, or use {option}.",
                )
        if self.decimals == "number":
            for name, dtype in schema.items():
                digits = 38 if is_wide(dtype) else dtype.precision if isinstance(dtype, pl.Decimal) else 0
                if digits > _EXACT_DIGITS:
                    raise FormatError(
                        f"column {name!r} has up to {digits} digits; a JSON number keeps {_EXACT_DIGITS}",
                        cure="Use decimals: text.",
                    )

    def _mixes(self, dtype: pl.DataType) -> bool:
        """Return whether some values of a column are texts and others are not."""
        if self.nulls == "empty":
            return not isinstance(dtype, pl.String)
        return self.non_finite == "string" and dtype.is_float()

    def losses(self, schema: Mapping[str, pl.DataType], structure: AnyStructure) -> Iterator[Loss]:
        """Yield what is lost, by column; of a normalized structure what `held_by` returned."""
        yield from text_losses(schema, self.non_finite)
        for name, dtype in schema.items():
            for why in dict.fromkeys(why for leaf in leaves_of(dtype) for why in self.stamp.losses(leaf)):
                yield Loss(column=name, why=why)
            if self.nulls == "empty":
                yield Loss(column=name, why="null becomes the empty text")
            if self.arrays == "stringify" and _has_lists(dtype):
                yield Loss(column=name, why="lists become JSON text")
            if self.integers == "text" and any(isinstance(leaf, _LONG) for leaf in leaves_of(dtype)):
                yield Loss(column=name, why=f"64-bit integers{' inside' if dtype.is_nested() else ''} become text")
        if isinstance(structure, Nested):
            yield Loss(why="rows are grouped by key: the order of rows of different keys is not kept")
            for level in structure.by:
                yield Loss(column=level.key, why=f"as a key it is text; null becomes {structure.missing!r}")
        if isinstance(structure, Normalized):
            yield Loss(why="rows become entities and relationships; which stood in one row is not kept otherwise")
            for name, entity in structure.entities.items():
                yield Loss(column=entity.key, why=f"as a key of {name!r} it is text; rows without one are not in it")
                if structure.duplicates == "first":
                    yield Loss(why=f"entity {name!r}: of different fields of one key, those of its first row stay")
            for name in structure.unused(schema):
                yield Loss(column=name, why="it is in no entity")

    def held(self, name: str, dtype: pl.DataType) -> pl.Expr:
        """Return a column as records hold it."""
        value, found = self._value(pl.col(name), dtype)
        if isinstance(dtype, _LONG) and self.integers == "text":
            value, found = value.cast(pl.String), pl.String()
        if self.nulls == "empty" and isinstance(found, pl.String):
            value = value.fill_null("")
        return value.alias(name)

    def key(self, name: str, dtype: pl.DataType) -> tuple[pl.Expr, pl.DataType]:
        """Return a column as a key, before it is put into text, and its type then."""
        value, found = self._value(pl.col(name), dtype)
        if isinstance(found, pl.Datetime) and (spelled := self._spelled(value, found)) is not None:
            return spelled, pl.String()
        if found.is_float() and self.non_finite != "null":
            text = key_text(value, found)
            for word, where in zip(NON_FINITE, non_finite(value), strict=True):
                text = pl.when(where).then(pl.lit(word)).otherwise(text)
            return text, pl.String()
        return value, found

    def floats(self, schema: Mapping[str, pl.DataType], structure: AnyStructure) -> list[str]:
        """Return the columns in whose keys, lists and structs floats are; of a normalized structure `held_by`'s."""
        keys: list[str] = []
        fields = list(schema)
        if isinstance(structure, Nested):
            keys, fields = [level.key for level in structure.by], structure.fields(schema)
        elif isinstance(structure, Normalized):
            keys = structure.key_columns()
            fields = [name for names in structure.fields(schema).values() for name in names]
        found = [name for name in keys if schema[name].is_float()]
        return list(dict.fromkeys([*found, *(name for name in fields if holds_floats(schema[name]))]))

    def _value(self, column: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, pl.DataType]:
        """Return what becomes of a value, and its type."""
        given = dtype
        if self.arrays == "stringify":
            column, dtype = self._stringified(column, dtype)
        if dtype.is_nested():
            return self._typed(nested(column, dtype, self._dated, long_texts=self.integers == "text"), given)
        if isinstance(dtype, _DATED):
            return self._typed(self.stamp.render(column, dtype), given)
        value = held(column, dtype)
        if dtype.is_float() and self.non_finite == "null":
            value = finite(value)
        return self._typed(value, given)

    @property
    def _dated(self) -> Dated | None:
        """How dates inside of lists and structs are written; None for the usual way."""
        return None if isinstance(self.stamp, Iso) else self.stamp.render

    def _stringified(self, column: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, pl.DataType]:
        """Return a column whose lists are texts."""
        if isinstance(dtype, _LISTS):
            return json_text(column, dtype, self._dated, long_texts=self.integers == "text"), pl.String()
        if isinstance(dtype, pl.Struct) and _has_lists(dtype):
            inner = {name: self._stringified(column.struct.field(name), t) for name, t in fields_of(dtype).items()}
            made = pl.struct(value.alias(name) for name, (value, _) in inner.items())
            return pl.when(column.is_not_null()).then(made), pl.Struct({name: t for name, (_, t) in inner.items()})
        return column, dtype

    @staticmethod
    def _typed(value: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, pl.DataType]:
        """Return a value and the type that it has once it is made of a column of this type."""
        names = value.meta.root_names()
        found = pl.LazyFrame(schema=dict.fromkeys(names or ["x"], dtype)).select(value.alias("x")).collect_schema()
        return value, found["x"]

    def rendered(self, schema: Mapping[str, pl.DataType], structure: AnyStructure) -> list[pl.Expr]:
        """Return the columns as the file holds them, as far as they are in rows."""
        if isinstance(structure, Flat):
            return [self.held(name, dtype) for name, dtype in schema.items()]
        if isinstance(structure, Nested):
            fields = [self.held(name, schema[name]) for name in structure.fields(schema)]
            keys = zip(structure.by, structure.keys(schema), strict=True)
            return fields + [self._held_key(level.key, schema, structure.missing).alias(name) for level, name in keys]
        used = dict.fromkeys(name for fields in structure.fields(schema).values() for name in fields)
        return [self.held(name, schema[name]) for name in used]

    def _held_key(self, name: str, schema: Mapping[str, pl.DataType], missing: str) -> pl.Expr:
        key, dtype = self.key(name, schema[name])
        return key if dtype.is_integer() else key_text(key, dtype).fill_null(missing)

    def hidden(self, schema: Mapping[str, pl.DataType], structure: Nested, lead: str) -> tuple[list[pl.Expr], Hidden]:
        """Return the columns that sort the rows of a nested structure besides the rendered ones, and which are what."""
        made, texts, keys = [], [], []
        for n, (level, name) in enumerate(zip(structure.by, structure.keys(schema), strict=True)):
            key, dtype = self.key(level.key, schema[level.key])
            text = key_text(key, dtype)
            filled = text.fill_null(structure.missing)
            made.append(text.is_null().alias(f"{lead}null{n}"))
            texts.append(f"{lead}key{n}" if dtype.is_integer() else name)
            if dtype.is_integer():
                made.append(filled.alias(texts[-1]))
            keys.append((key, dtype) if dtype.is_integer() else (filled, pl.String()))
        order = structure.keys(schema)[0]
        if len(keys) > 1:
            order = f"{lead}order"
            made.append(order_of(keys).alias(order))
        nulls = tuple(f"{lead}null{n}" for n in range(len(keys)))
        return made, Hidden(tuple(texts), nulls, order, f"{lead}position")

    def sections(
        self, schema: Mapping[str, pl.DataType], structure: Normalized, lead: str
    ) -> tuple[list[pl.Expr], list[Section]]:
        """Return the columns that sort the entities and relationships, and these; `lead` begins no column's name."""
        made, keys = [], {}
        for name in structure.key_columns():
            key, dtype = self.key(name, schema[name])
            keys[name] = f"{lead}key.{name}"
            made.append((key if dtype.is_integer() else key_text(key, dtype)).alias(keys[name]))
        return made, sections_of(structure, schema, keys, blank=self.nulls == "empty")

    def filed(
        self, schema: Mapping[str, pl.DataType], rendered: Mapping[str, pl.DataType], structure: Normalized
    ) -> pl.Schema:
        """Return the columns that the file of a normalized structure holds."""
        types: dict[str, pl.DataType] = {}
        keyed: dict[str, pl.DataType] = {}
        for name in structure.key_columns():
            dtype = self.key(name, schema[name])[1]
            keyed[name] = dtype if dtype.is_integer() else pl.String()
        for name, fields in structure.fields(schema).items():
            types[name] = keyed[structure.entities[name].key]
            types |= {field_column(name, one): rendered[one] for one in fields}
        for name, relationship in structure.relationships.items():
            ends = keyed[relationship.from_key or ""], keyed[relationship.to_key or ""]
            types |= zip(end_columns(name), ends, strict=True)
        return pl.Schema(types)

    def spelled(self, schema: Mapping[str, pl.DataType], *, frugal: bool = False) -> list[pl.Expr]:
        """Return the columns of rendered rows whose values Polars would spell differently; see `iso` for `frugal`."""
        return [
            value.alias(name)
            for name, dtype in schema.items()
            if (value := self._spelled(pl.col(name), dtype, frugal)) is not None
        ]

    def _spelled(self, column: pl.Expr, dtype: pl.DataType, frugal: bool = False) -> pl.Expr | None:
        if isinstance(dtype, pl.Datetime):
            return iso(column, frugal=frugal)
        if isinstance(dtype, pl.Decimal) and self.decimals == "number":
            return column.cast(pl.Float64)  # up to 15 digits come back from the shortest text of the double
        return None


def _has_lists(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.Struct):
        return any(_has_lists(inner) for inner in fields_of(dtype).values())
    return isinstance(dtype, _LISTS)
