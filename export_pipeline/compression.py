"""Compression of text formats: one table of codecs, each an option model with its level.

The default levels are those that make exports more than 70 % smaller at hundreds of megabytes per CPU second. The same
input gives the same bytes: no clock goes into a header. Only with a password it does not: each file has a salt of its
own, or two files of one password would betray each other. Reading back is done by Arrow's codecs and by Python's and
pyzipper's zip, not by what wrote.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, BinaryIO, ClassVar, Protocol, cast

from pydantic import Field, PrivateAttr

from export_pipeline.errors import ConfigError, not_installed
from export_pipeline.options import OneOf, Options
from export_pipeline.secrets import OwnSecret

if TYPE_CHECKING:
    from export_pipeline.zips.package import Deflated

Threads = Annotated[int, Field(ge=1, le=64)]
_LONGEST = 99
"""Characters of a password of a zip file; 7-Zip takes no more."""


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

    def release(self) -> None:
        """Give back threads and memory; called once, whatever happened."""

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


class _Deflated(Stage):
    """Blocks of deflate, made on one thread or several, into something that frames them."""

    def __init__(self, target: Writable, level: int, threads: int) -> None:
        from export_pipeline.zips.deflate import deflater

        super().__init__(target)
        self._deflater = deflater(level, threads)

    def put(self, data: bytes) -> None:
        for block in self._deflater.put(data):
            self.take(block)

    def finish(self) -> None:
        for block in self._deflater.finish():
            self.take(block)

    def release(self) -> None:
        self._deflater.release()

    def take(self, block: Deflated) -> None:
        """Write the next block."""
        raise NotImplementedError


class _GzipFrame(_Deflated):
    """A gzip file (RFC 1952) without name and time."""

    _HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"

    def __init__(self, target: Writable, level: int, threads: int) -> None:
        super().__init__(target, level, threads)
        self._crc = self._raw = 0
        target.write(self._HEAD)

    def take(self, block: Deflated) -> None:
        from export_pipeline.zips.crc import combined

        self._crc, self._raw = combined(self._crc, block.crc, block.raw), self._raw + block.raw
        self.target.write(block.data)

    def finish(self) -> None:
        from export_pipeline.zips.package import LAST_BLOCK

        super().finish()
        self.target.write(LAST_BLOCK + struct.pack("<II", self._crc, self._raw & 0xFFFF_FFFF))


class _ZipFrame(_Deflated):
    """A zip file with one part."""

    def __init__(self, target: Writable, level: int, threads: int, name: str, password: bytes | None) -> None:
        from export_pipeline.zips.aes import Cipher
        from export_pipeline.zips.package import Package

        super().__init__(target, level, threads)
        self._package = Package(cast("BinaryIO", target))
        self._package.begin(name, Cipher(password) if password is not None else None)

    def take(self, block: Deflated) -> None:
        self._package.append(block)

    def finish(self) -> None:
        super().finish()
        self._package.end()
        self._package.close()


class Compression(Options):
    """How the bytes of a file are packed."""

    extension: ClassVar[str] = ""
    """Appended to the file's name."""
    media_type: ClassVar[str | None] = None
    """The media type of the packed file; None: that of its content."""
    arrow: ClassVar[str | None] = None
    """The name of the codec in Arrow, which reads back."""

    def stage(self, target: Writable) -> Stage:
        """Return the byte filter that packs what is written to it."""
        return Stage(target)

    @property
    def confidential(self) -> bool:
        """Whether only those who have a password can read the file."""
        return False

    def ready(self) -> None:
        """Refuse before anything is read what is missing on this machine, a library or a secret: ConfigError."""

    def named(self, name: str) -> Compression:  # noqa: ARG002
        """Return what packs a file of this name, where the name matters."""
        return self

    @contextlib.contextmanager
    def compressing(self, target: Writable) -> Iterator[Stage]:
        """Give a stage to write to; the stream is ended when the block ends without an exception."""
        stage = self.stage(target)
        try:
            yield stage
            stage.finish()
        finally:
            stage.release()

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
    threads: Threads = 1
    """Processors that compress; more pay from level 4 on. The bytes differ between one and several, not otherwise."""

    def stage(self, target: Writable) -> Stage:
        """Pack with ISA-L or zlib."""
        if self.threads > 1:
            return _GzipFrame(target, self.level, self.threads)
        from export_pipeline.zips.deflate import compressor

        packer = compressor(self.level, 31)
        return _Codec(target, packer.compress, packer.flush)


class Zstd(Compression):
    """Zstandard: the smallest and fastest; not every program opens it."""

    tag: ClassVar[str] = "zstd"
    extension: ClassVar[str] = ".zst"
    arrow: ClassVar[str | None] = "zstd"
    short: ClassVar[str | None] = "level"

    level: Annotated[int, Field(ge=1, le=19)] = 1
    """1 to 19: from 3 on much slower and hardly smaller."""
    threads: Threads = 1
    """Processors that compress; more pay from level 3 on. The bytes differ between one and several, not otherwise."""

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
            zstd.CompressionParameter.nb_workers: self.threads if self.threads > 1 else 0,
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


class Zip(Compression):
    """A zip file with one file in it: opens on every desktop; with a password, encrypted (AES-256, WinZip's AE-2)."""

    tag: ClassVar[str] = "zip"
    extension: ClassVar[str] = ".zip"
    media_type: ClassVar[str | None] = "application/zip"
    short: ClassVar[str | None] = "level"

    level: Annotated[int, Field(ge=1, le=9)] = 2
    """1 to 9: 1 to 3 are many times faster, 4 and more a little smaller."""
    threads: Threads = 1
    """Processors that compress; more pay from level 4 on. The bytes differ between one and several, not otherwise."""
    password: OwnSecret | None = None
    """The password that opens the file: `{env: EXPORT_ZIP_PASSWORD}`; null: none. It encrypts with AES-256, which 7-Zip
    and WinZip open, and the Explorer of Windows does not. The name and the size of what is inside stay readable. The
    same rows never make the same file, for each has a salt of chance. Needs `pip install "export_pipeline[zip]"`."""
    _name: str = PrivateAttr("data")

    @property
    def confidential(self) -> bool:
        """Whether there is a password."""
        return self.password is not None

    def ready(self) -> None:
        """Refuse a password that cannot be had or used, and one without the library that reads the file back."""
        if self.password is not None:
            self._secret()
            for module in ("pyzipper", "Cryptodome"):
                if importlib.util.find_spec(module) is None:
                    raise not_installed("compression: zip: password", module, "zip")

    def named(self, name: str) -> Zip:
        """Return what packs a file that is delivered under this name: the one inside has it without ``.zip``."""
        last = name.rpartition("/")[2]
        packs = self.model_copy()
        packs._name = (last[:-4] if last.lower().endswith(self.extension) else last) or "data"
        return packs

    def stage(self, target: Writable) -> Stage:
        """Write a zip file in one pass, with ZIP64 where it is needed and 1980-01-01 for a time."""
        self.ready()
        return _ZipFrame(target, self.level, self.threads, self._name, self._secret())

    def decompressing(self, path: Path) -> IO[bytes]:
        """Open the one file inside with Python's reader, or with pyzipper's where it is encrypted."""
        import pyarrow as pa

        from export_pipeline.zips.reading import Member

        file = pa.PythonFile(io.BufferedReader(Member(path, self._secret()), 1 << 18), mode="r")
        return pa.BufferedInputStream(file, 1 << 18)  # type: ignore[no-any-return]

    def _secret(self) -> bytes | None:
        """Return the password; ConfigError, which does not show it, for one that not every program can type."""
        if self.password is None:
            return None
        word = self.password.resolve().get_secret_value()
        if not (word.isascii() and word.isprintable() and len(word) <= _LONGEST):
            raise ConfigError(
                f"compression: zip: the password in {self.password.env} is not of printable ASCII characters, at most "
                f"{_LONGEST}",
                cure="Programs disagree about any other: choose another password, without a line break at its end.",
            )
        return word.encode("ascii")


AnyCompression = Annotated[Uncompressed | Gzip | Zstd | Brotli | Zip, OneOf("compression")]
"""`none`, `gzip`, `zstd`, `brotli`, `zip`, or with a level: `{gzip: 6}`."""
