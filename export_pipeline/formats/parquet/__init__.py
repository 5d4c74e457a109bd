"""Parquet: keeps every type and is read by every engine; written by Polars, proven by Arrow, or the other way round."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, ClassVar, Literal, Self

import polars as pl
from pydantic import Field, PrivateAttr, model_validator

from export_pipeline.errors import ConfigError, FormatError, did_you_mean
from export_pipeline.formats.about import About
from export_pipeline.formats.base import Format
from export_pipeline.formats.guards import Look
from export_pipeline.formats.parquet import hive, lzo
from export_pipeline.formats.parquet.casts import refuse_lossy
from export_pipeline.formats.parquet.codecs import AnyCodec, PageZstd
from export_pipeline.formats.parquet.fields import RESERVED, ParquetField, ParquetSchema, refuse_nulls
from export_pipeline.formats.parquet.keys import Encryption
from export_pipeline.formats.parquet.order import SortedBy
from export_pipeline.formats.parquet.partitions import write_partitions
from export_pipeline.formats.parquet.readers import open_arrow, read_arrow, read_lzo, read_partitions, read_polars
from export_pipeline.formats.parquet.sections import write_sections
from export_pipeline.formats.parquet.writers import LARGE, MOST, polars_options, write_arrow
from export_pipeline.formats.parts import MARKER, PartFolder
from export_pipeline.formats.piped import piped
from export_pipeline.formats.texts import is_wide, narrowed, refuse_objects
from export_pipeline.lists import Names
from export_pipeline.schemas import leaves_of, name_of
from export_pipeline.verification import Loss

__all__ = ["Encryption", "Parquet", "ParquetField", "ParquetSchema", "SortedBy"]


class Parquet(Format):
    """Parquet: keeps every type, small, read by every engine."""

    tag: ClassVar[str] = "parquet"
    extension: ClassVar[str] = ".parquet"
    media_type: ClassVar[str] = "application/vnd.apache.parquet"

    compression: AnyCodec = PageZstd()
    """`zstd`, `snappy`, `gzip`, `brotli`, `lz4`, `lzo` or `none`; three of them also with a level: `{zstd: 9}`. `lzo`
    needs the extra `lzo`, and few programs read it."""
    row_group_size: Annotated[int, Field(ge=1, le=MOST)] | Literal["auto"] = 5000
    """Rows per row group. Small groups let readers skip more and need little memory, but make larger files and slower
    scans; for more than some 100,000 rows, `auto` (262,144 at most) is better: files a tenth smaller, scans twice as
    fast."""
    page_size: Annotated[int, Field(ge=1024, le=1 << 30)] = 1 << 20
    """Bytes per data page, before compression, at most: the least that a reader unpacks at a time."""
    statistics: bool = True
    """Whether minimum, maximum and number of nulls are written, with which readers skip row groups and pages."""
    declared: ParquetSchema = Field(default=ParquetSchema(), alias="schema")
    """What single columns are in the file, `{fields: [{name, type, nullable, rename, metadata}], metadata: {...}}`."""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Notes on the file, key and text, that readers find in its footer."""
    bloom_filters: Names = Field(default_factory=list)
    """Columns with a bloom filter, with which readers skip row groups when they look for one value of many. Such a file
    is written by Arrow, which takes about twice as long and makes larger files."""
    sorting_columns: list[SortedBy] = Field(default_factory=list)
    """Columns by which the rows are sorted, noted for readers: `[at, {column: id, descending: true}]`. The rows are
    checked, not sorted. Such a file is written by Arrow, too."""
    partition_by: Names = Field(default_factory=list)
    """Columns whose values become folders in Hive layout, `agent=a-1/part-0.parquet`; the output is then a folder."""
    partition_values: dict[str, str | int | bool] = Field(default_factory=dict)
    """Constant keys before those of the columns: `{dt: 2026-11-23}`."""
    commit_marker: bool = False
    """Whether an empty file `_SUCCESS` follows when all parts are there. Only where the output is a folder."""
    encryption: Encryption | None = None
    """Encrypt the file with a key from the environment: `{key: {env: EXPORT_KEY}}`. With small row groups Arrow writes
    such a file, in flat memory but with one core; with `auto` it takes half of the time."""

    _environment: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _fits(self) -> Parquet:
        """Refuse what excludes each other."""
        both = {key for key, text in self.metadata.items() if self.declared.metadata.get(key, text) != text}
        if both:
            raise ValueError(f"metadata and schema.metadata differ in {sorted(both)[0]!r}; give it once")
        if reserved := [key for key in RESERVED if key in self.notes]:
            raise ValueError(f"the key {reserved[0]!r} of metadata is the writer's own; choose another")
        arrow = [name for name in ("bloom_filters", "sorting_columns") if getattr(self, name)]
        if self.bloom_filters and self.encryption:
            raise ValueError(
                "bloom_filters cannot be used with encryption: the writer that has them does not encrypt them"
            )
        if arrow and self.is_folder:
            raise ValueError(f"{arrow[0]} cannot be used with partition_by or partition_values; leave one of them out")
        others = ["encryption", "bloom_filters", "sorting_columns", "partition_by", "partition_values"]
        if self._is_lzo and (other := next((name for name in others if getattr(self, name)), None)):
            raise ValueError(
                f"compression: lzo cannot be used with {other}; use lz4 or snappy, as fast, or leave it out"
            )
        for name, given in (("bloom_filters", self.bloom_filters), ("partition_by", self.partition_by)):
            if len(set(given)) < len(given):
                raise ValueError(f"{name} names a column twice")
        if self.commit_marker and not self.is_folder:
            raise ValueError("commit_marker is for folders: use it with partition_by or partition_values")
        return self

    @property
    def is_folder(self) -> bool:
        """Whether the output is a folder of parts."""
        return bool(self.partition_by or self.partition_values)

    @property
    def suffix(self) -> str:
        """The extension; a folder has none."""
        return "" if self.is_folder else self.extension

    @property
    def keeps_order(self) -> bool:
        """Partitions scatter the rows; inside each, they stay in order."""
        return not self.partition_by

    @property
    def confidential(self) -> bool:
        """Whether the rows must not be shown elsewhere."""
        return super().confidential or self.encryption is not None

    @property
    def notes(self) -> dict[str, str]:
        """The file's metadata, sorted."""
        return dict(sorted({**self.declared.metadata, **self.metadata}.items()))

    @property
    def constants(self) -> dict[str, str]:
        """The constant keys as text."""
        return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in self.partition_values.items()}

    @property
    def secret_key(self) -> bytes | None:
        """The key, read from the environment now; None where the file is not encrypted."""
        return None if self.encryption is None else self.encryption.resolve(self._environment)

    @property
    def _by_arrow(self) -> bool:
        return bool(self.bloom_filters or self.sorting_columns) or (self.encryption is not None and self._many_groups)

    @property
    def _many_groups(self) -> bool:
        return self.row_group_size != "auto" and self.row_group_size < LARGE

    @property
    def is_sectioned(self) -> bool:
        """Whether a file is written in sections: it may have many row groups, and nothing binds them to their place."""
        return self._many_groups and self.encryption is None

    @property
    def _is_lzo(self) -> bool:
        return self.compression.tag == "lzo"

    def using(self, environment: Collection[str]) -> Self:
        """Return a copy that may read these environment variables as secrets."""
        copy = self.model_copy()
        copy._environment = tuple(environment)
        return copy

    def check(self, schema: pl.Schema) -> None:
        """Refuse columns that Parquet cannot write, options that name no column, keys that are not there."""
        refuse_objects(schema, "Parquet")
        if self._is_lzo:
            lzo.check_installed()
        for name, dtype in schema.items():
            if any(isinstance(inner, pl.Struct) and not inner.fields for inner in leaves_of(dtype)):
                raise FormatError(f"column {name!r} holds a struct without fields", cure="Leave it out.")
        self.declared.check(schema)
        there = self.render(pl.LazyFrame(schema=schema)).collect_schema()
        named = {
            "bloom_filters": self.bloom_filters,
            "sorting_columns": [by.column for by in self.sorting_columns],
            "partition_by": self.partition_by,
        }
        for option, names in named.items():
            for name in names:
                if name not in there:
                    falling = option == "sorting_columns" and name.startswith("-") and name[1:] in there
                    raise ConfigError(
                        f"{option} names {name!r}, which is no column ({did_you_mean(name, there)})",
                        cure=f"Falling order is {{column: {name[1:]}, descending: true}}." if falling else None,
                    )
                if there[name].is_nested() or (option == "bloom_filters" and there[name] in (pl.Boolean, pl.Null)):
                    raise ConfigError(
                        f"{option}: column {name!r} is {name_of(there[name])}, which it cannot be used with"
                    )
        if self.is_folder:
            hive.check(self.partition_by, self.constants, there)
        _ = self.secret_key

    def losses(self, schema: pl.Schema) -> list[Loss]:
        """Return which columns change their type without being asked to, and who cannot read the file."""
        why = "a 128-bit integer becomes a decimal"
        casts = self.declared.casts(schema)
        found = [Loss(why=lzo.WHO)] if self._is_lzo else []
        return found + [
            Loss(column=name, why=why)
            for name, dtype in schema.items()
            if any(map(is_wide, leaves_of(dtype))) and name not in casts
        ]

    def guard(self, schema: pl.Schema, table: str | None = None) -> Look | None:  # noqa: ARG002
        """Return what refuses values that a declared type would change."""
        casts = self.declared.casts(schema)
        written = {field.name: str(field.type) for field in self.declared.fields}
        return (lambda frame, start: refuse_lossy(frame, start, casts, written)) if casts else None

    def render(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Apply what is declared, and cast 128-bit integers, the only type that Parquet lacks."""
        rows = self.declared.apply(rows) if self.declared.fields else rows
        wide = [
            pl.col(name).cast(narrowed(dtype))
            for name, dtype in rows.collect_schema().items()
            if any(map(is_wide, leaves_of(dtype)))
        ]
        return rows.with_columns(wide) if wide else rows

    def inspect(self, frame: pl.DataFrame, start: int) -> None:
        """Refuse empty values where they are declared not to be, and keys that no folder can be called after."""
        hive.refuse(frame, start, self.partition_by)
        refuse_nulls(frame, start, [field.called for field in self.declared.fields if not field.nullable])

    def encode(self, rows: pl.LazyFrame, sink: BinaryIO, about: About) -> None:  # noqa: ARG002
        """Stream through Polars' Parquet sink, or batches through Arrow's writer where only that one can do it."""
        if self._by_arrow:
            write_arrow(self, rows, sink)
        elif self._is_lzo:
            with lzo.packing(sink) as pages:
                rows.sink_parquet(pages, **polars_options(self, rows.collect_schema()))
        else:
            options = polars_options(self, rows.collect_schema())
            if self.is_sectioned:
                write_sections(rows, sink, options)
            else:
                with piped(sink) as file:
                    rows.sink_parquet(file, **options)

    def encode_parts(self, rows: pl.LazyFrame, folder: PartFolder, about: About, name: str) -> None:  # noqa: ARG002
        """Stream every partition into files of its own, side by side, with bounded memory and open files."""
        write_partitions(self, rows, folder)
        for part in folder.sinks.values():
            folder.check()
            with open_arrow(self, part.path) as file:
                part.rows = file.metadata.num_rows
        if self.commit_marker:
            folder.part(MARKER)

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Read with Arrow what Polars wrote, with Polars what Arrow wrote; a folder part by part."""
        if self.is_folder:
            return read_partitions(self, path, schema)
        if self._is_lzo:
            return read_lzo(self, path, schema)
        return (read_polars if self._by_arrow else read_arrow)(self, path, schema)
