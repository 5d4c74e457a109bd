"""Text files as streams of UTF-8, whatever they are compressed with and encoded in."""

from __future__ import annotations

import codecs
from encodings.aliases import aliases
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from pydantic import AfterValidator

from export_pipeline.errors import SourceError, did_you_mean

_COMPRESSED = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_UTF8 = "utf-8"


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise ValueError(f"unknown encoding {name!r} ({did_you_mean(name, {*aliases, 'utf-8', 'latin-1'})})") from None


Encoding = Annotated[str, AfterValidator(_codec)]
"""The name of a text encoding that Python knows."""


def open_text(path: Path, encoding: str = _UTF8) -> Any:
    """Return a stream of the file's text as UTF-8 bytes without a byte order mark.

    A byte order mark tells UTF-8 and UTF-16, whatever `encoding` says. Raises `SourceError`.
    """
    mark, marked = _mark(path) or (b"", encoding)
    stream = _unpacked(path)
    if marked == _UTF8:
        stream.read(len(mark))
        return stream
    return pa.transcoding_input_stream(stream, marked, _UTF8)


def has_mark(path: Path) -> bool:
    """Return whether the file's text begins with a byte order mark."""
    return _mark(path) is not None


def _mark(path: Path) -> tuple[bytes, str] | None:
    """Return the byte order mark that the text begins with, and the encoding that it tells."""
    try:
        stream = _unpacked(path)
        head = stream.read(4)
        stream.close()
    except OSError as error:
        raise unreadable(path, error) from error
    return next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), None)


def compression_of(path: Path) -> str | None:
    """Return what the file is compressed with, told by its first bytes: gzip, zstd or None."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise unreadable(path, error) from error
    return next((name for magic, name in _COMPRESSED if head.startswith(magic)), None)


def unreadable(path: Path, error: Exception) -> SourceError:
    """Return our error for one of a stream: missing, truncated, in another encoding."""
    text = str(error).strip().split("\n", 1)[0]
    if isinstance(error, UnicodeError) or "invalid UTF8" in text:
        return SourceError(
            f"{path} is not text in the encoding that was expected",
            cure="Say which one it is:  format: {csv: {encoding: windows-1252}}",
        )
    return SourceError(f"{path} cannot be read: {text}")


def _unpacked(path: Path) -> Any:
    packed = compression_of(path)
    file = pa.OSFile(str(path), "rb")
    return pa.CompressedInputStream(file, packed) if packed else file
