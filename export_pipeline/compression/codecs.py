"""The codecs: each an option model that packs and unpacks."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, ClassVar

from pydantic import Field, PrivateAttr

from export_pipeline.compression.filters import GzipFrame, Packed, Stage, Writable, ZipFrame
from export_pipeline.errors import ConfigError, not_installed
from export_pipeline.options import OneOf, Options
from export_pipeline.secrets import OwnSecret

Threads = Annotated[int, Field(ge=1, le=64)]
_LONGEST = 99
"""Characters of a password of a zip file; 7-Zip takes no more."""


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


class Deflate(Compression):
    """What gzip and zip are made of."""

    short: ClassVar[str | None] = "level"

    level: Annotated[int, Field(ge=1, le=9)] = 2
    """1 to 9: 1 to 3 are many times faster, 4 and more a little smaller."""
    threads: Threads = 1
    """Processors that compress; more pay from level 4 on. The bytes differ between one and several, not otherwise."""


class Gzip(Deflate):
    """gzip: opens everywhere."""

    tag: ClassVar[str] = "gzip"
    extension: ClassVar[str] = ".gz"
    arrow: ClassVar[str | None] = "gzip"

    def stage(self, target: Writable) -> Stage:
        """Pack with ISA-L or zlib."""
        if self.threads > 1:
            return GzipFrame(target, self.level, self.threads)
        from export_pipeline.zips.deflate import compressor

        packer = compressor(self.level, 31)
        return Packed(target, packer.compress, packer.flush)


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
        return Packed(target, packer.compress, packer.flush)


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
        return Packed(target, packer.process, packer.finish)


class Zip(Deflate):
    """A zip file with one file in it: opens on every desktop; with a password, encrypted (AES-256, WinZip's AE-2)."""

    tag: ClassVar[str] = "zip"
    extension: ClassVar[str] = ".zip"
    media_type: ClassVar[str | None] = "application/zip"

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
        return ZipFrame(target, self.level, self.threads, self._name, self._secret())

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
