"""Files that are read through filters, stacked on one another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import IO, Self


class Filtered:
    """A file that is read through a filter, as Arrow wants it."""

    def __init__(self, file: IO[bytes] | Filtered) -> None:
        self._file = file
        self._held, self._ended = b"", False
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def readable(self) -> bool:
        """Say that this is read from."""
        return True

    def read(self, size: int) -> bytes:
        """Return some more bytes, about `size`; none at the end."""
        return self._file.read(size)

    def close(self) -> None:
        """Close the file below."""
        self._file.close()
        self.closed = True


class Replaced(Filtered):
    """Lines with some texts replaced; no text may hold a line end, and none may be there as what replaces it."""

    def __init__(self, file: IO[bytes], texts: Mapping[bytes, bytes], ends: Collection[bytes]) -> None:
        """`ends` are what the replacements end with: that they are not there is seen faster by fewer texts."""
        super().__init__(file)
        self._texts, self._ends = texts, ends

    def read(self, size: int) -> bytes:
        """Return some more whole lines."""
        while not self._ended:
            data = self._file.read(size)
            self._ended = not data
            cut = data.rfind(b"\n") + 1
            if not cut and data:
                self._held += data
                continue
            whole, self._held = self._held + data[:cut], data[cut:]
            if any(end in whole for end in self._ends):
                for text, other in self._texts.items():
                    if other in whole:
                        raise ValueError(f"there is {other.decode()} where {text.decode()} must be")
            for text, other in self._texts.items():
                whole = whole.replace(text, other)
            if whole:
                return whole
        return b""
