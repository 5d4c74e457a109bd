"""The codecs of Parquet pages, one option model each."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from export_pipeline.options import OneOf, Options


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


class PageLzo(Options):
    """LZO, for Hadoop's programs with an LZO codec; neither Arrow, pandas, DuckDB nor Polars reads it. It needs
    `pip install 'export_pipeline[lzo]'`."""

    tag: ClassVar[str] = "lzo"


class PagePlain(Options):
    """Pages as they are."""

    tag: ClassVar[str] = "none"


Codec = PageZstd | PageSnappy | PageGzip | PageBrotli | PageLz4 | PageLzo | PagePlain
AnyCodec = Annotated[Codec, OneOf("compression")]
"""`zstd`, `snappy`, `gzip`, `brotli`, `lz4`, `lzo`, `none`, or with a level: `{zstd: 9}`."""

POLARS: dict[str, Literal["zstd", "snappy", "gzip", "brotli", "lz4", "uncompressed"]] = {
    "zstd": "zstd",
    "snappy": "snappy",
    "gzip": "gzip",
    "brotli": "brotli",
    "lz4": "lz4",
    "none": "uncompressed",
    "lzo": "uncompressed",
}
"""Tag -> what Polars calls it; LZO pages are made of uncompressed ones."""
