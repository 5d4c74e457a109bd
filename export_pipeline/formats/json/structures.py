"""What a JSON document looks like: flat records, groups in groups, or entities that refer to one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

import polars as pl
from pydantic import AfterValidator, Field, model_validator

from export_pipeline.errors import FormatError, did_you_mean
from export_pipeline.options import OneOf, Options
from export_pipeline.schemas import name_of
from export_pipeline.tables import Table

METADATA, COUNT, RELATIONSHIPS = "metadata", "row_count", "relationships"
"""Members of documents that are not collections."""
_RESERVED = (METADATA, COUNT, RELATIONSHIPS)


def _free(name: str) -> str:
    if name in _RESERVED:
        raise ValueError(f"{name!r} is a name of the document itself; choose another one")
    return name


Name = Annotated[str, Field(min_length=1), AfterValidator(_free)]


class Flat(Options):
    """One list of records."""

    tag: ClassVar[str] = "flat"

    def check(self, schema: Mapping[str, pl.DataType]) -> None:
        """Do nothing: every table is a list of records."""


class Level(Options):
    """One level of a nested document: rows with the same key are one member of a collection."""

    key: str
    """Column whose values, as texts, are the keys."""
    name: Name
    """What the collection is called."""
    keep: bool = False
    """Whether the key stays in the records, too."""


class Nested(Options):
    """Groups in groups: `{"agents": {"agent-1": {"commands": [...]}}}`. Keys come in order, rows of a key in theirs."""

    tag: ClassVar[str] = "nested"

    by: Annotated[list[Level], Field(min_length=1)]
    """The levels, from the outside in."""
    records: str = "records"
    """What the list of records in the innermost group is called."""
    missing: str = "null"
    """Key of rows whose key is null. That a key has this text already, in the same group, is an error."""

    @model_validator(mode="after")
    def _different(self) -> Nested:
        for what in ("key", "name"):
            given = [getattr(level, what) for level in self.by]
            if twice := next((one for one in given if given.count(one) > 1), None):
                raise ValueError(f"two levels have the {what} {twice!r}")
        return self

    def check(self, schema: Mapping[str, pl.DataType]) -> None:
        """Refuse keys that are no columns or no texts, and records without a column."""
        for level in self.by:
            check_key(schema, level.key, f"the key of {level.name!r}")
            if schema[level.key].is_integer() and _is_integer(self.missing):
                raise FormatError(
                    f"missing: {self.missing!r} could be a key of {level.name!r}, which is a number",
                    cure="Choose a text that is no number.",
                )
        if not self.fields(schema):
            raise FormatError("every column is a key: no column is left for the records", cure="Use keep: true.")

    def fields(self, schema: Mapping[str, pl.DataType]) -> list[str]:
        """Return the columns of the records."""
        dropped = {level.key for level in self.by if not level.keep}
        return [name for name in schema if name not in dropped]

    def keys(self, schema: Mapping[str, pl.DataType]) -> list[str]:
        """Return what each level's key is called among the columns that the file holds."""
        fields, names = self.fields(schema), []
        for level in self.by:
            name = f"{level.name}.{level.key}" if level.keep else level.key
            while name in fields or name in names:
                name = f"{name}_"
            names.append(name)
        return names


class Entity(Options):
    """A collection of a normalized document: one member for each key."""

    key: str
    """Column whose values, as texts, are the keys. A row without one has no such entity."""
    fields: list[str] | None = None
    """Columns of its members; else all that belong to no other entity. With the key in it, the key is a field, too."""
    rows: Table | None = None
    """Rows of its own, such as `{source: agents}`; else those of the export."""


class Relationship(Options):
    """Which members of one entity stand in a row with which of another: `{"agent-1": ["1", "2"]}`."""

    from_: Annotated[str, Field(alias="from")]
    """Entity whose keys it is by."""
    to: str
    """Entity whose keys are listed: each once, in order."""
    rows_of: str | None = None
    """Entity in whose rows both keys stand; null: `to`."""
    from_key: str | None = None
    """Column with the key of `from` in these rows; null: it is called as in the entity."""
    to_key: str | None = None
    """The same of `to`."""


class Normalized(Options):
    """Entities by key, and relationships: `{"agents": {...}, "commands": {...}, "relationships": {...}}`."""

    tag: ClassVar[str] = "normalized"

    entities: Annotated[dict[Name, Entity], Field(min_length=1)]
    """The entities by name, in the order of the document."""
    relationships: dict[str, Relationship] = Field(default_factory=dict)
    """The relationships by name."""
    duplicates: Literal["refuse", "first"] = "refuse"
    """What becomes of rows that give one key different fields: an error that names the key, or the first row counts."""

    @model_validator(mode="after")
    def _known(self) -> Normalized:
        for name in self.entities:
            if "." in name:
                raise ValueError(f"the entity {name!r} has a dot in its name")
        for name, relationship in self.relationships.items():
            for end in (relationship.from_, relationship.to, relationship.rows_of):
                if end is not None and end not in self.entities:
                    raise ValueError(
                        f"relationship {name!r}: there is no entity {end!r} ({did_you_mean(end, self.entities)})"
                    )
            ends = self._keys_of(relationship)
            if relationship.from_ != relationship.to and ends["from_key"] == ends["to_key"]:
                raise ValueError(
                    f"relationship {name!r}: both keys would be the column {ends['to_key']!r}: say with "
                    f"from_key or to_key which column has the key of {relationship.from_!r} or {relationship.to!r}"
                )
        shared = {name: entity for name, entity in self.entities.items() if entity.rows is None}
        if not shared:
            raise ValueError("every entity has rows of its own: leave `rows` out of one, which has those of the export")
        whole = [name for name, entity in shared.items() if entity.fields is None]
        if len(whole) > 1:
            raise ValueError(
                f"the entities {' and '.join(map(repr, whole))} both take what is left: give one its fields"
            )
        return self

    def tables(self) -> dict[str, Table]:
        """Return the rows of the entities that have their own."""
        return {name: entity.rows for name, entity in self.entities.items() if entity.rows is not None}

    def held_by(self, table: str | None) -> Normalized:
        """Return what is made of the rows of one entity that has its own; of the export's rows for None."""
        own = self.tables()
        entities = {name: one for name, one in self.entities.items() if (name if name in own else None) == table}
        told: dict[str, Relationship] = {}
        for name, one in self.relationships.items():
            holder = one.rows_of or one.to
            if (holder if holder in own else None) == table:
                told[name] = one.replace(**self._keys_of(one))
        return self.model_copy(update={"entities": entities, "relationships": told})

    def _keys_of(self, one: Relationship) -> dict[str, str]:
        """Return the columns that both keys of a relationship stand in."""
        return {
            "from_key": one.from_key or self.entities[one.from_].key,
            "to_key": one.to_key or self.entities[one.to].key,
        }

    def check(self, schema: Mapping[str, pl.DataType]) -> None:
        """Refuse keys that are no columns or no texts, and unknown fields; of what `held_by` returned."""
        for name, one in self.relationships.items():
            for what, key in (("from_key", one.from_key), ("to_key", one.to_key)):
                check_key(schema, key or "", f"relationship {name!r}, {what}")
        for name, entity in self.entities.items():
            check_key(schema, entity.key, f"the key of {name!r}")
            for field in entity.fields or ():
                if field not in schema:
                    raise FormatError(
                        f"entity {name!r}: there is no column {field!r} ({did_you_mean(field, schema)})",
                        cure="Name columns as they are called after `columns` renamed them.",
                    )
            if len(set(entity.fields or ())) < len(entity.fields or ()):
                raise FormatError(f"entity {name!r} names a field twice", cure="Name each once.")

    def key_columns(self) -> list[str]:
        """Return the columns that are keys, each once; of what `held_by` returned."""
        ends = [key for one in self.relationships.values() for key in (one.from_key, one.to_key) if key is not None]
        return list(dict.fromkeys([*(entity.key for entity in self.entities.values()), *ends]))

    def fields(self, schema: Mapping[str, pl.DataType]) -> dict[str, list[str]]:
        """Return the columns of each entity, without its key; of what `held_by` returned."""
        taken = {entity.key for entity in self.entities.values()}
        taken |= {field for entity in self.entities.values() for field in entity.fields or ()}
        rest = [name for name in schema if name not in taken]
        return {name: rest if entity.fields is None else list(entity.fields) for name, entity in self.entities.items()}

    def unused(self, schema: Mapping[str, pl.DataType]) -> Iterator[str]:
        """Yield the columns that are in no entity."""
        used = set(self.key_columns()).union(*self.fields(schema).values())
        return (name for name in schema if name not in used)


AnyStructure = Annotated[Flat | Nested | Normalized, OneOf("structure")]
"""`flat`, `{nested: {by: [...]}}` or `{normalized: {entities: {...}}}`."""


def check_key(schema: Mapping[str, pl.DataType], key: str, what: str) -> None:
    """Refuse a key that is no column, or whose values have no text."""
    if key not in schema:
        raise FormatError(
            f"{what}: there is no column {key!r} ({did_you_mean(key, schema)})",
            cure="Name columns as they are called after `columns` renamed them.",
        )
    if schema[key].is_nested():
        raise FormatError(
            f"{what}: {key!r} is of type {name_of(schema[key])}, which is no key", cure="Use a column of texts."
        )


def _is_integer(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True
