"""A document taken apart into the bytes of its parts; ValueError where the text around them is not as it must be.

The filters here are stacked on one another, and Arrow's parser on them: what is between the records is compared with
what must be there, byte by byte, and what is in them is parsed.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import IO, Any, cast

from export_pipeline.formats.json.filters import Filtered
from export_pipeline.formats.json.spelling import INDENT, Part, Spelling
from export_pipeline.formats.json.structures import METADATA

_SOME = 1 << 16
_TAIL = 1 << 12
"""Bytes that may stand behind the last part."""
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

    def described(self, text: str, spelling: Spelling) -> dict[str, object]:
        """Go past the metadata and this text, which begins with the brace of the document; return the metadata."""
        wanted = text[1:].encode()
        while wanted not in self._held and self.more():
            pass
        head, found, rest = self._held.partition(wanted)
        if not found or head[-1:] != b",":
            raise ValueError(f"the document has no metadata before {wanted[:40]!r}")
        about = json.loads(head[:-1] + b"}", object_pairs_hook=_once)
        if list(about) != [METADATA] or not isinstance(about[METADATA], dict):
            raise ValueError("the document does not begin with its metadata")
        if "{" + spelling.metadata(about[METADATA]) != head.decode():
            raise ValueError("the metadata is spelled in another way than the document")
        self._held = rest
        return cast("dict[str, object]", about[METADATA])

    def rest(self) -> str:
        """Return all that is left."""
        while self.more():
            pass
        return self._held.decode()

    def until(self, end: bytes, following: bytes, size: int) -> tuple[bytes, bool]:
        """Return some bytes before `end` and what follows it, and whether it was reached: then it is gone past.

        Both are looked for: a longer text is found faster.
        """
        wanted = end + following
        while (at := self._held.find(wanted)) < 0:
            keep = len(wanted) - 1
            if len(self._held) > keep:
                body, self._held = self._held[:-keep], self._held[-keep:]
                return body, False
            if not self.more(size):
                raise ValueError(f"the document ends before {wanted!r}, which must be in it")
        body, self._held = self._held[:at], self._held[at + len(end) :]
        return body, True

    def until_last(self, end: bytes, size: int) -> tuple[bytes, bool]:
        """Do the same for an `end` that only a short text stands behind: nothing before is searched."""
        while data := b"" if self._ended else self._file.read(size):
            before, self._held = self._held, data[-_TAIL:]
            if len(data) > _TAIL:
                return b"".join((before, memoryview(data)[:-_TAIL])), False
            self._held = before + data
        self._ended = True
        body, found, self._held = self._held.partition(end)
        if not found:
            raise ValueError(f"the document does not end with {end!r}")
        return body, True

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Body(Filtered):
    """The bytes of one part, which `following` stands behind; without it, it is the last. The document stays open.

    `after` is called when the end is reached.
    """

    def __init__(self, document: Document, part: Part, following: str | None, after: Callable[[], None]) -> None:
        super().__init__(cast("IO[bytes]", document))
        self._document, self._end, self._after = document, part.end.encode(), after
        self._following = None if following is None else following.encode()
        self._reached = False

    def read(self, size: int) -> bytes:
        """Return some more bytes."""
        while not self._reached:
            size = max(size, _SOME)
            if self._following is None:
                body, self._reached = self._document.until_last(self._end, size)
            else:
                body, self._reached = self._document.until(self._end, self._following, size)
            if self._reached:
                self._after()
            if body:
                return body
        return b""

    def close(self) -> None:
        """Leave the document to the next part."""
        self.closed = True


class Parts:
    """A document whose parts are read one after the other; where one is left before its end, all is opened again."""

    def __init__(
        self,
        opened: Callable[[], IO[bytes]],
        parts: Sequence[Part],
        *,
        described: Spelling | None,
        end: Callable[[Document], None],
    ) -> None:
        """`described` is how the metadata is spelled, where there is some."""
        self._opened, self._parts, self._described, self._end = opened, parts, described, end
        self._document: Document | None = None
        self._at = -1
        """The part that the document stands before; -1: it stands in one."""

    def body(self, at: int) -> Body:
        """Return the bytes of a part; `end` is called behind the last."""
        if self._document is None or self._at != at:
            self.close()
            self._document, self._at = Document(self._opened()), 0
            for n in range(at):
                skipped = self._begin(self._document, n)
                while skipped.read(_SOME):
                    pass
        return self._begin(self._document, at)

    def _begin(self, document: Document, at: int) -> Body:
        part, self._at = self._parts[at], -1
        if at == 0 and self._described:
            document.described(part.before, self._described)
        else:
            document.expect(part.before)
        following = self._parts[at + 1].before if at + 1 < len(self._parts) else None

        def reached() -> None:
            self._at = at + 1
            if following is None:
                self._end(document)

        return Body(document, part, following, reached)

    def close(self) -> None:
        """Close the file."""
        if self._document is not None:
            self._document.close()


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
        close = b"\n" + INDENT.encode() * depth + b"}"
        field = close[:-1] + INDENT.encode()
        self._spaces = {text: text.replace(b"\n", b" ") for text in (field, close)}

    def cut(self, data: bytes) -> int:
        """Cut before the last line."""
        return max(0, data.rfind(b"\n"))

    def filter(self, data: bytes, *, last: bool) -> bytes:  # noqa: ARG002
        """Put spaces in place of the line ends inside of records, which stay as long as they were."""
        for old, new in self._spaces.items():
            data = data.replace(old, new)
        return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; ValueError where a key is there twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key is twice in the metadata: {[key for key, _ in pairs]}")
    return found


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
