"""Compression of text formats: one table of codecs, each an option model with its level.

The default levels are those that make exports more than 70 % smaller at hundreds of megabytes per CPU second. The same
input gives the same bytes: no name and no clock goes into a header. Reading back is done by Arrow's codecs, not by the
libraries that wrote.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any, ClassVar, Protocol

from pydantic import Field

from export_pipeline.options import OneOf, Options


class Writable(Protocol):
    """What bytes are written to: a file, a `Sink`, a socket."""

    def write(self, data: Any, /) -> Any:
        """Take all of the bytes."""
        ...

    def flush(self) -> Any:
        """Hand on what is held back."""
        ...


class Stage:
    """A byte filter before a sink. `write` takes everything and returns the length of its input, as Polars demands."""

    def __init__(self, target: Writable) -> None:
        self.target = target

    def put(self, data: bytes) -> None:
        """Filter some bytes."""
        self.target.write(data)

    def finish(self) -> None:
        """Write what is still held back; called once, at the end, if nothing failed."""

    def write(self, data: bytes) -> int:
        """Filter all of the bytes."""
        self.put(data)
        return len(data)

    def writable(self) -> bool:
        """Say that this is written to."""
        return True

    def flush(self) -> None:
        """Do nothing: a flushed block would make the result larger."""

    def close(self) -> None:
        """Do nothing: Polars closes what it wrote to, but only `finish` ends the stream."""


class _Codec(Stage):
    """A compressor object (`compress`, `flush`) as a stage."""

    def __init__(self, target: Writable, compress: Any, end: Any) -> None:
        super().__init__(target)
        self._compress, self._end = compress, end

    def put(self, data: bytes) -> None:
        if packed := self._compress(data):
            self.target.write(packed)

    def finish(self) -> None:
        self.target.write(self._end())


class Compression(Options):
    """How the bytes of a file are packed."""

    extension: ClassVar[str] = ""
    """Appended to the file's name."""
    arrow: ClassVar[str | None] = None
    """The name of the codec in Arrow, which reads back."""

    def stage(self, target: Writable) -> Stage:
        """Return the byte filter that packs what is written to it."""
        return Stage(target)

    @contextlib.contextmanager
    def compressing(self, target: Writable) -> Iterator[Stage]:
        """Give a stage to write to; the stream is ended when the block ends without an exception."""
        stage = self.stage(target)
        yield stage
        stage.finish()

    def decompressing(self, path: Path) -> IO[bytes]:
        """Open a file for reading its plain bytes; truncated or corrupt data is an OSError while reading."""
        import pyarrow as pa

        return pa.input_stream(str(path), compression=self.arrow)  # type: ignore[no-any-return]


class Uncompressed(Compression):
    """Plain bytes."""

    tag: ClassVar[str] = "none"


class Gzip(Compression):
    """gzip: opens everywhere."""

    tag: ClassVar[str] = "gzip"
    extension: ClassVar[str] = ".gz"
    arrow: ClassVar[str | None] = "gzip"
    short: ClassVar[str | None] = "level"

    level: Annotated[int, Field(ge=1, le=9)] = 2
    """1 to 9: 1 to 3 are many times faster, 4 and more a little smaller."""

    def stage(self, target: Writable) -> Stage:
        """Levels up to 3 are ISA-L's, three times as fast as zlib at the same size; ISA-L has no others."""
        if self.level > 3:
            import zlib

            packer: Any = zlib.compressobj(self.level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        else:
            from isal import isal_zlib

            packer = isal_zlib.compressobj(self.level, isal_zlib.DEFLATED, 16 + isal_zlib.MAX_WBITS)
        return _Codec(target, packer.compress, packer.flush)


class Zstd(Compression):
    """Zstandard: the smallest and fastest; not every program opens it."""

    tag: ClassVar[str] = "zstd"
    extension: ClassVar[str] = ".zst"
    arrow: ClassVar[str | None] = "zstd"
    short: ClassVar[str | None] = "level"

    level: Annotated[int, Field(ge=1, le=19)] = 1
    """1 to 19: from 3 on much slower and hardly smaller."""

    def stage(self, target: Writable) -> Stage:
        """Each file carries a checksum of its content, which readers check."""
        import sys

        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: self.level,
            zstd.CompressionParameter.checksum_flag: 1,
        }
        packer = zstd.ZstdCompressor(options=options)
        return _Codec(target, packer.compress, packer.flush)


class Brotli(Compression):
    """Brotli: for web servers and browsers."""

    tag: ClassVar[str] = "brotli"
    extension: ClassVar[str] = ".br"
    arrow: ClassVar[str | None] = "brotli"
    short: ClassVar[str | None] = "level"

    level: Annotated[int, Field(ge=1, le=11)] = 1
    """1 to 11: from 4 on several times slower, hardly smaller."""

    def stage(self, target: Writable) -> Stage:
        """Pack with Google's library."""
        import brotli

        packer = brotli.Compressor(quality=self.level)
        return _Codec(target, packer.process, packer.finish)


AnyCompression = Annotated[Uncompressed | Gzip | Zstd | Brotli, OneOf("compression")]
"""`none`, `gzip`, `zstd`, `brotli`, or with a level: `{gzip: 6}`."""
