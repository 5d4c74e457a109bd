"""Parquet: keeps every type and is read by every engine; written by Polars, proven by Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, ClassVar, Literal

import polars as pl
from pydantic import Field
from pydantic_core import PydanticCustomError

from export_pipeline.errors import FormatError
from export_pipeline.formats.base import About, Format
from export_pipeline.formats.readers import frame_of
from export_pipeline.formats.texts import WIDE, is_wide, refuse_objects
from export_pipeline.options import OneOf, Options
from export_pipeline.schemas import leaves_of
from export_pipeline.verification import Loss

_BATCH = 65_536


def _no_lzo(given: Any) -> Any:
    """Refuse LZO with the reason; everything else is judged by the union."""
    if given == "lzo" or (isinstance(given, dict) and "lzo" in given):
        raise PydanticCustomError("lzo", "no common reader opens LZO pages; lz4 or snappy is as fast")
    return given


class PageZstd(Options):
    """Zstandard: the smallest files at nearly the speed of snappy."""

    tag: ClassVar[str] = "zstd"
    short: ClassVar[str | None] = "level"

    level: Annotated[int, Field(ge=1, le=22)] = 3
    """1 to 22: 1 is a little faster, from 9 on much slower."""


class PageGzip(Options):
    """gzip: for old readers."""

    tag: ClassVar[str] = "gzip"
    short: ClassVar[str | None] = "level"

    level: Annotated[int, Field(ge=1, le=9)] = 6
    """1 to 9: 1 is twice as fast, files a quarter larger."""


class PageBrotli(Options):
    """Brotli."""

    tag: ClassVar[str] = "brotli"
    short: ClassVar[str | None] = "level"

    level: Annotated[int, Field(ge=1, le=11)] = 1
    """1 to 11: from 4 on several times slower."""


class PageSnappy(Options):
    """snappy: fast, larger files, read by the oldest programs."""

    tag: ClassVar[str] = "snappy"


class PageLz4(Options):
    """LZ4 (the specification's `LZ4_RAW`): fast, larger files."""

    tag: ClassVar[str] = "lz4"


class PagePlain(Options):
    """Pages as they are."""

    tag: ClassVar[str] = "none"


Codec = PageZstd | PageSnappy | PageGzip | PageBrotli | PageLz4 | PagePlain
_POLARS: dict[str, Literal["zstd", "snappy", "gzip", "brotli", "lz4", "uncompressed"]] = {
    "zstd": "zstd",
    "snappy": "snappy",
    "gzip": "gzip",
    "brotli": "brotli",
    "lz4": "lz4",
    "none": "uncompressed",
}


class Parquet(Format):
    """Parquet: keeps every type, small, read by every engine."""

    tag: ClassVar[str] = "parquet"
    extension: ClassVar[str] = ".parquet"
    media_type: ClassVar[str] = "application/vnd.apache.parquet"

    compression: Annotated[Codec, OneOf("compression", _no_lzo)] = PageZstd()
    """`zstd`, `snappy`, `gzip`, `brotli`, `lz4` or `none`; three of them also with a level: `{zstd: 9}`."""
    row_group_size: Annotated[int, Field(ge=1)] | None = None
    """Rows per row group: small groups make large files and slow scans. Not given, the writer's 262,144 at most."""
    statistics: bool = True
    """Whether minimum, maximum and number of nulls are written, with which readers skip row groups."""

    def check(self, schema: pl.Schema) -> None:
        """Refuse columns of objects, and structs without fields, which Parquet cannot write."""
        refuse_objects(schema, "Parquet")
        for name, dtype in schema.items():
            if any(isinstance(inner, pl.Struct) and not inner.fields for inner in leaves_of(dtype)):
                raise FormatError(f"column {name!r} holds a struct without fields", cure="Leave it out.")

    def losses(self, schema: pl.Schema) -> list[Loss]:
        """Return which columns change their type."""
        why = "a 128-bit integer becomes a decimal"
        return [Loss(column=name, why=why) for name, dtype in schema.items() if is_wide(dtype)]

    def render(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Cast 128-bit integers, the only type that Parquet lacks."""
        wide = [pl.col(name).cast(WIDE) for name, dtype in rows.collect_schema().items() if is_wide(dtype)]
        return rows.with_columns(wide) if wide else rows

    def encode(self, rows: pl.LazyFrame, sink: BinaryIO, about: About) -> None:  # noqa: ARG002
        """Stream through Polars' Parquet sink."""
        rows.sink_parquet(
            sink,
            compression=_POLARS[self.compression.tag],
            compression_level=getattr(self.compression, "level", None),
            row_group_size=self.row_group_size,
            statistics=self.statistics,
            engine="streaming",
        )

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Read with Arrow."""
        import pyarrow.parquet as arrow

        with arrow.ParquetFile(path, pre_buffer=False) as file:
            if file.schema_arrow.names != schema.names():
                raise FormatError(f"the columns are {file.schema_arrow.names}, not {schema.names()}")
            for group in range(file.num_row_groups):  # one by one: Arrow cannot join nested texts of several
                for batch in file.iter_batches(_BATCH, row_groups=[group]):
                    yield frame_of(batch, schema)
