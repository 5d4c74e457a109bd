"""Formats of plain text, which can be compressed as a whole."""

from __future__ import annotations

from typing import BinaryIO, cast

import polars as pl

from export_pipeline.compression import AnyCompression, Uncompressed
from export_pipeline.formats.about import About
from export_pipeline.formats.base import Format
from export_pipeline.formats.sink import Sink


class TextFormat(Format):
    """A format of plain text, which can be compressed as a whole."""

    compression: AnyCompression = Uncompressed()
    """`none`, `gzip`, `zstd`, `brotli` or `zip`, or with a level: `{gzip: 6}`, or with all of their options:
    `{zip: {level: 6, password: {env: EXPORT_ZIP_PASSWORD}}}`. The file's name ends accordingly. With a password the
    same rows never make the same file; else they always do."""

    @property
    def suffix(self) -> str:
        """The extension and that of the compression: ``.csv.gz``."""
        return self.extension + self.compression.extension

    @property
    def confidential(self) -> bool:
        """Whether the file is sealed, or packed with a password."""
        return super().confidential or self.compression.confidential

    def ready(self, schema: pl.Schema, about: About) -> None:
        """Refuse what the seal or the compression lacks."""
        super().ready(schema, about)
        self.compression.ready()

    @property
    def content_type(self) -> str:
        """The media type of the text, or of what it is packed into."""
        return self.compression.media_type or self.media_type

    def _stream(self, rows: pl.LazyFrame, sink: Sink, about: About) -> None:
        """Encode through the codec into the sink."""
        with self.compression.named(about.file).compressing(sink) as stage:
            self.encode(rows, cast("BinaryIO", stage), about)
