"""A quoted value that is never closed swallows the rest of its file; Arrow's reader takes that for a value."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa

from export_pipeline.errors import SourceError

_TAIL = 1 << 16


class QuoteCounter(io.RawIOBase):
    """Passes a stream on, counts its quotes and keeps its end."""

    def __init__(self, stream: Any, quote: str) -> None:
        self._stream, self._quote = stream, quote.encode()
        self._count, self._tail = 0, b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        data: bytes = self._stream.read(size) if size >= 0 else self._stream.read()
        self._count += data.count(self._quote)
        self._tail = (self._tail + data[-_TAIL:])[-_TAIL:]
        return data

    def check_closed(self, last: pa.RecordBatch, path: Path) -> None:
        """Raise `SourceError` where the last value of the last row was still open at the end of the file."""
        value = next((v for v in reversed(list(last.slice(last.num_rows - 1).to_pylist()[0].values())) if v), "")
        raw = value.encode().replace(self._quote, self._quote * 2)
        if self._count % 2 and (len(raw) >= _TAIL or self._tail.endswith(self._quote + raw)):
            raise SourceError(
                f"{path}: a quoted value is not closed; it begins with {value[:40]!r}",
                cure="Close the quotes; quotes inside of a quoted value are written twice.",
            )
