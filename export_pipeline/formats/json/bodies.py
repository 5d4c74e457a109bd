"""A document taken apart into the bytes of its parts; ValueError where the text around them is not as it must be.

The filters here are stacked on one another, and Arrow's parser on them: what is between the records is compared with
what must be there, byte by byte, and what is in them is parsed.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable
from typing import IO, cast

from export_pipeline.formats.json.arrow import Filtered
from export_pipeline.formats.json.spelling import INDENT, Part
from export_pipeline.formats.json.structures import METADATA

_SOME = 1 << 16
STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'


class Document:
    """A file that is read from its begin to its end, part by part."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._held = b""
        self._ended = False

    def more(self, size: int = _SOME) -> bool:
        """Read on; False at the end of the file."""
        if not self._ended:
            data = self._file.read(size)
            self._ended = not data
            self._held = self._held + data if self._held else data
        return not self._ended

    def expect(self, text: str) -> None:
        """Go past this text."""
        wanted = text.encode()
        while len(self._held) < len(wanted) and self.more():
            pass
        if not self._held.startswith(wanted):
            raise ValueError(f"the document has {self._held[:40]!r} where {wanted[:40]!r} must be")
        self._held = self._held[len(wanted) :]

    def described(self, text: str) -> None:
        """Go past the metadata and this text, which begins with the brace of the document."""
        wanted = text[1:].encode()
        while wanted not in self._held and self.more():
            pass
        head, found, rest = self._held.partition(wanted)
        if not found or head[-1:] != b",":
            raise ValueError(f"the document has no metadata before {wanted[:40]!r}")
        about = json.loads(head[:-1] + b"}")
        if list(about) != [METADATA] or not isinstance(about[METADATA], dict):
            raise ValueError("the document does not begin with its metadata")
        self._held = rest

    def rest(self) -> str:
        """Return all that is left."""
        while self.more():
            pass
        return self._held.decode()

    def until(self, end: bytes, size: int) -> tuple[bytes, bool]:
        """Return some bytes before `end`, and whether it was reached: then it is gone past."""
        at = self._held.find(end)
        while at < 0 and len(self._held) <= len(end) + 1:
            if not self.more(size):
                raise ValueError(f"the document ends before {end!r}")
            at = self._held.find(end)
        if at >= 0:
            body, self._held = self._held[:at], self._held[at + len(end) :]
            return body, True
        cut = len(self._held) - len(end)
        body, self._held = self._held[:cut], self._held[cut:]
        return body, False

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Body(Filtered):
    """The bytes of one part; `after` is called when its end is reached."""

    def __init__(self, document: Document, part: Part, after: Callable[[], None] = lambda: None) -> None:
        super().__init__(cast("IO[bytes]", document))
        self._document, self._end, self._after = document, part.end.encode(), after
        self._reached = False

    def read(self, size: int) -> bytes:
        """Return some more bytes."""
        while not self._reached:
            body, self._reached = self._document.until(self._end, max(size, _SOME))
            if self._reached:
                self._after()
            if body:
                return body
        return b""


class Whole(Filtered):
    """A filter that looks at whole pieces: what is behind the last place to cut waits for more."""

    def __init__(self, file: Filtered) -> None:
        super().__init__(file)
        self._held = b""
        self._ended = False

    @abstractmethod
    def cut(self, data: bytes) -> int:
        """Return where the part that can be looked at ends; 0 where it is too short."""

    @abstractmethod
    def filter(self, data: bytes, *, last: bool) -> bytes:
        """Return what becomes of a piece."""

    def read(self, size: int) -> bytes:
        """Return some more bytes."""
        while not self._ended:
            data = self._file.read(size)
            if data:
                self._held = self._held + data if self._held else data
                at = self.cut(self._held)
                if not at:
                    continue
                piece, self._held = self._held[:at], self._held[at:]
            else:
                self._ended = True
                piece, self._held = self._held, b""
            if made := self.filter(piece, last=self._ended):
                return made
        return b""


class Compacted(Whole):
    """Pretty records, each on one line: a line end never stands inside of a text."""

    def __init__(self, file: Filtered, depth: int) -> None:
        super().__init__(file)
        start = b"\n" + INDENT.encode() * depth
        self._field, self._close = start + INDENT.encode(), start + b"}"

    def cut(self, data: bytes) -> int:
        """Cut before the last line."""
        return max(0, data.rfind(b"\n"))

    def filter(self, data: bytes, *, last: bool) -> bytes:  # noqa: ARG002
        """Take away the line ends inside of records."""
        return data.replace(self._field, b"").replace(self._close, b"}")


def parted(data: bytes, between: bytes, ends: tuple[bytes, bytes]) -> bytes:
    """Return whole records as lines; `ends` are what each begins and ends with.

    Arrow's parser does not mind where a record's line ends: that each comma stands between two records is seen here.
    """
    first, last = ends
    made = data.replace(last + between + first, last + b"\n" + first)
    if made.count(b"\n") * (len(between) - 1) != len(data) - len(made):
        raise ValueError("there is no comma between two records, or a line end where none must be")
    if data and not (data.startswith(first) and data.endswith(last)):
        raise ValueError(f"records do not begin with {first!r} and end with {last!r}")
    return made


class Lines(Whole):
    """Records with commas between them as lines."""

    ends = (b"{", b"}")

    def __init__(self, file: Filtered, part: Part) -> None:
        super().__init__(file)
        self._between = part.between.encode()
        self._next = self.ends[1] + self._between + self.ends[0]
        self._first = True

    def cut(self, data: bytes) -> int:
        """Cut before the last comma between two records."""
        return data.rfind(self._next) + 1

    def filter(self, data: bytes, *, last: bool) -> bytes:  # noqa: ARG002
        """Take the commas away."""
        if not self._first and data.startswith(self._between):
            data = data[len(self._between) :]
        self._first = False
        return parted(data, self._between, self.ends) + b"\n" if data else data


class Members(Lines):
    """The members of an entity as lines that have the key as their first field, called `name`."""

    ends = (b'"', b"}")

    def __init__(self, file: Filtered, part: Part, colon: str, name: str) -> None:
        super().__init__(file, part)
        # Each begins with a line end, which is found fast; what is behind the brace, the parser looks at.
        member = rb"\n(" + STRING + rb")" + re.escape(colon.encode())
        self._some = re.compile(member + rb"\{(?=\")")
        self._none = re.compile(member + rb"\{\}(?=\n|$)")
        self._lead = b"\n{" + json.dumps(name).encode() + b":"

    def filter(self, data: bytes, *, last: bool) -> bytes:
        """Put the key of each line into its record."""
        given = super().filter(data, last=last)
        if not given:
            return given
        given = b"\n" + given[:-1]
        made, some = self._keyed(self._some, given, b",")
        lines = given.count(b"\n")
        if some < lines:
            made, none = self._keyed(self._none, made, b"}")
            if some + none < lines:
                raise ValueError(f"{lines - some - none} of {lines} lines are no members of an entity")
        return made[1:] + b"\n"

    def _keyed(self, pattern: re.Pattern[bytes], data: bytes, after: bytes) -> tuple[bytes, int]:
        """Return the bytes with each key found as the first field, and their number.

        A join of slices, not a substitution: that runs Python for each line.
        """
        found = pattern.split(data)
        count = len(found) // 2
        if not count:
            return data, 0
        out = [b""] * (1 + 4 * count)
        out[0], out[1::4], out[2::4] = found[0], [self._lead] * count, found[1::2]
        out[3::4], out[4::4] = [after] * count, found[2::2]
        return b"".join(out), count
