"""Encodings of text files: UTF-8, UTF-16 (little-endian), ASCII; with or without a byte order mark."""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Iterator
from typing import IO, Any, Literal

import polars as pl

from export_pipeline.compression import Stage, Writable
from export_pipeline.errors import FormatError

Encoding = Literal["utf-8", "utf-16", "ascii"]
AsciiPolicy = Literal["replace", "escape", "refuse"]

MARKS: dict[Encoding, bytes] = {"utf-8": codecs.BOM_UTF8, "utf-16": codecs.BOM_UTF16_LE}
_BEYOND = r"[^\x00-\x7F]"


class Utf16(Stage):
    """Turns UTF-8 into UTF-16, little-endian; the pieces may be cut anywhere."""

    def __init__(self, target: Writable) -> None:
        super().__init__(target)
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def put(self, data: bytes) -> None:
        """Recode some bytes."""
        self.target.write(self._decoder.decode(data).encode("utf-16-le"))


@contextlib.contextmanager
def decoded(file: IO[bytes], encoding: Encoding, *, bom: bool) -> Iterator[IO[bytes]]:
    """Give the UTF-8 bytes of a file, after its byte order mark; FormatError where that is missing."""
    import pyarrow as pa

    if bom and file.read(len(MARKS[encoding])) != MARKS[encoding]:
        raise FormatError("the byte order mark is missing")
    if encoding == "utf-16":
        with pa.transcoding_input_stream(file, "utf-16-le", "utf-8") as text:
            yield text
    else:
        yield file


def ascii_text(text: str, policy: AsciiPolicy) -> str:
    r"""Return a text as ASCII: ``?`` for each other character, or escaped as in JSON (``\u00e9``)."""
    if policy == "replace":
        return text.encode("ascii", "replace").decode()
    return "".join(character if character.isascii() else _escaped(character) for character in text)


def ascii_column(column: pl.Expr, policy: AsciiPolicy) -> pl.Expr:
    """Return a text column as ASCII; what is ASCII already, in whole batches, costs almost nothing."""

    def converted(texts: pl.Series) -> pl.Series:
        if (texts.str.len_bytes() == texts.str.len_chars()).all():
            return texts
        if policy == "replace":
            return texts.str.replace_all(_BEYOND, "?")
        found = texts.str.extract_all(_BEYOND).explode().drop_nulls().unique().sort().to_list()
        return texts.str.replace_many(found, [_escaped(character) for character in found])

    return column.map_batches(converted, return_dtype=pl.String, is_elementwise=True)


def beyond_ascii(texts: pl.Series) -> pl.Series:
    """Return which texts hold more than ASCII."""
    return (texts.str.len_bytes() != texts.str.len_chars()).fill_null(value=False)


def _escaped(character: str) -> str:
    """Return the escape of a character: two for those beyond 16 bits, as in JSON."""
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2))


def encoding_stage(target: Any, encoding: Encoding, *, bom: bool) -> Any:
    """Return where to write UTF-8 so that the target gets this encoding; its byte order mark is written."""
    if bom:
        target.write(MARKS[encoding])
    return Utf16(target) if encoding == "utf-16" else target
