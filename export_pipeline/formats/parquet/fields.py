"""A declared schema: columns get the type, name, nullability and notes that somebody else expects of the file.

A declared type is reached by a cast that keeps every value; one that would not is refused with column, row and value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import polars as pl
from pydantic import Field, field_validator, model_validator

from export_pipeline.errors import ConfigError, FormatError, did_you_mean
from export_pipeline.formats.parquet.casts import can_cast, cast
from export_pipeline.options import Options
from export_pipeline.schemas import dtype_of, name_of

_PLAIN: Mapping[str, pl.DataType] = {
    "boolean": pl.Boolean(), "bool": pl.Boolean(), "int8": pl.Int8(), "int16": pl.Int16(), "int32": pl.Int32(),
    "int64": pl.Int64(), "uint8": pl.UInt8(), "uint16": pl.UInt16(), "uint32": pl.UInt32(), "uint64": pl.UInt64(),
    "float32": pl.Float32(), "float": pl.Float32(), "float64": pl.Float64(), "double": pl.Float64(),
    "string": pl.String(), "utf8": pl.String(), "binary": pl.Binary(), "date": pl.Date(), "time": pl.Time(),
    "timestamp": pl.Datetime("us"), "datetime": pl.Datetime("us"), "integer": pl.Int64(), "text": pl.String(),
}  # fmt: skip
_DECIMAL = re.compile(r"decimal\((\d+)(?:,\s*(\d+))?\)")
_TIMESTAMP = re.compile(r"(?:timestamp|datetime)[\[(](ms|us|ns)(?:,\s*([\w/+-]+))?[\])]", re.IGNORECASE)
RESERVED = ("ARROW:schema",)
"""Keys of file metadata that writers use themselves."""
_EXTENSION = "ARROW:extension:"
"""Begin of the notes by which readers take a column for another type than it has."""


def type_of(text: str) -> pl.DataType:
    """Return the type of `int64`, `string`, `decimal(10,2)`, `timestamp[ms, UTC]`, or of Polars' text for it.

    >>> type_of("timestamp[ms, UTC]")
    Datetime(time_unit='ms', time_zone='UTC')
    """
    plain = text.strip()
    if plain.lower() in _PLAIN:
        return _PLAIN[plain.lower()]
    if match := _DECIMAL.fullmatch(plain.lower()):
        precision, scale = int(match[1]), int(match[2] or 0)
        if not 0 < precision <= 38 or scale > precision:
            raise ConfigError(f"the type {text!r}: precision is 1 to 38, and scale at most as large")
        return pl.Decimal(precision, scale)
    if match := _TIMESTAMP.fullmatch(plain):
        return pl.Datetime(match[1].lower(), match[2])  # type: ignore[arg-type]
    try:
        return dtype_of(plain)
    except ValueError as error:
        raise ConfigError(
            f"unknown type {text!r} ({did_you_mean(text, (*_PLAIN, 'decimal(10,2)', 'timestamp[us, UTC]'))})"
        ) from error


class ParquetField(Options):
    """What one column is in the file."""

    name: str
    """The column, as the export calls it."""
    type: str | None = None
    """Its type in the file: `int64`, `string`, `decimal(10,2)`, `timestamp[ms, UTC]`, `date`, or a type's name as
    Dagster shows it. A value that the type cannot hold is refused."""
    nullable: bool = True
    """Whether it may be empty; where not, the file says so, and an empty value is refused."""
    rename: str | None = None
    """Its name in the file."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Notes on the column, such as its unit; readers find them in the Arrow schema."""

    @field_validator("type")
    @classmethod
    def _known(cls, text: str | None) -> str | None:
        if text is not None:
            type_of(text)
        return text

    @field_validator("metadata")
    @classmethod
    def _notes(cls, notes: dict[str, str]) -> dict[str, str]:
        if key := next((key for key in notes if key.startswith(_EXTENSION)), None):
            raise ValueError(f"the key {key!r} would make another type of the column; choose another")
        return notes

    @property
    def dtype(self) -> pl.DataType | None:
        """The declared type."""
        return None if self.type is None else type_of(self.type)

    @property
    def called(self) -> str:
        """The name in the file."""
        return self.rename if self.rename is not None else self.name


class ParquetSchema(Options):
    """What the columns are in the file; a column that is not listed stays as it is, where it is."""

    fields: list[ParquetField] = Field(default_factory=list)
    """The columns."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Notes on the whole file, as `metadata` of the format."""

    @model_validator(mode="after")
    def _once(self) -> ParquetSchema:
        names = [field.name for field in self.fields]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the schema lists {twice[0]!r} twice")
        return self

    def check(self, schema: pl.Schema) -> None:
        """Refuse unknown columns, two columns of one name, and casts that no value survives."""
        for field in self.fields:
            if field.name not in schema:
                raise ConfigError(
                    f"the schema lists {field.name!r}, which is no column ({did_you_mean(field.name, schema)})"
                )
            wanted, given = field.dtype, schema[field.name]
            if wanted is not None and wanted != given and (wanted.is_nested() or given.is_nested()):
                raise ConfigError(
                    f"column {field.name!r} is {name_of(given)}; it cannot become {field.type}",
                    cure="Leave its type out.",
                )
            if wanted is not None and wanted != given and not can_cast(given, wanted):
                raise ConfigError(f"column {field.name!r} is {name_of(given)}; it cannot become {field.type}")
            if isinstance(wanted or given, pl.Null) and not field.nullable:
                raise ConfigError(
                    f"column {field.name!r} holds nothing but empty values; it cannot be declared not to be empty",
                    cure="Say nullable: true, or give it a type.",
                )
        called = {field.name: field.called for field in self.fields}
        names = [called.get(name, name) for name in schema]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"two columns would be called {twice[0]!r} in the file", cure="Rename one of them.")

    def casts(self, schema: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
        """Return the columns whose type changes, with the new type."""
        declared = {field.name: field.dtype for field in self.fields}
        return {n: to for n, given in schema.items() if (to := declared.get(n)) is not None and to != given}

    def apply(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the rows with declared types and names."""
        schema = rows.collect_schema()
        casts = self.casts(schema)
        names = {field.name: field.called for field in self.fields}
        return rows.select(
            (cast(pl.col(name), given, casts[name]) if name in casts else pl.col(name)).alias(names.get(name, name))
            for name, given in schema.items()
        )


def refuse_nulls(frame: pl.DataFrame, start: int, names: Iterable[str]) -> None:
    """Refuse empty values in columns that are declared never to be empty."""
    for name in names:
        empty = frame[name].is_null()
        if empty.any():
            raise FormatError(
                f"column {name!r}, row {start + (empty.arg_max() or 0) + 1:,}: it is empty, and declared not to be",
                cure="Filter these rows out, or say nullable: true.",
            )
