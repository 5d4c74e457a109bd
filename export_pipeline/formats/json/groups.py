"""The records of groups in groups, and their keys, taken out of the bytes of a nested document."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from export_pipeline.formats.json.bodies import STRING, Whole, parted
from export_pipeline.formats.json.filters import Filtered
from export_pipeline.formats.json.spelling import Part


class Groups(Whole):
    """The records of groups in groups as lines; their keys are kept aside."""

    def __init__(
        self,
        file: Filtered,
        part: Part,
        ranks: Sequence[Callable[[str], Any]],
        wrapped: tuple[bytes, bytes] = (b"", b""),
    ) -> None:
        super().__init__(file)
        self.begins: deque[tuple[int, tuple[str, ...]]] = deque()
        """Number of the first record of each group, and its keys by level. Appended by the thread that parses."""
        self._keys: tuple[str, ...] = ()
        self._count = 0
        self._part, self._ranks, self._wrapped = part, ranks, wrapped
        self._ends = (b'"', b'"') if wrapped[0] else (b"{", b"}")
        self._between, self._opened = part.between.encode(), part.opens[-1].encode()
        self._closed = part.closes[-1].encode()
        self._new = re.compile(self._pattern(part), re.DOTALL)
        # As if a group had been there before: its end and the begin of the first look like all others.
        self._before = (part.closes[0] + part.breaks[0]).encode()
        self._held = self._before

    @staticmethod
    def _pattern(part: Part) -> bytes:
        """Return what stands between the last record of a group and the first of the next: by outermost new level."""
        levels = range(len(part.opens))
        choices = []
        for n in levels:
            outer = re.escape((part.closes[n][len(part.closes[-1]) :] + part.breaks[n]).encode())
            keys = b"".join(b"(" + STRING + b")" + re.escape(part.opens[m].encode()) for m in levels[n:])
            choices.append(outer + keys)
        return re.escape(part.closes[-1].encode()) + b"(?:" + b"|".join(choices) + b")"

    def cut(self, data: bytes) -> int:
        """Cut before the end of the last group, or before a comma in it, or behind its begin."""
        begin = data.rfind(self._opened)
        begin = begin + len(self._opened) if begin >= 0 else 0
        closed = data.rfind(self._closed, begin)
        if closed >= 0:
            return closed
        comma = data.rfind(self._between, begin)
        return comma if comma > begin else begin

    def filter(self, data: bytes, *, last: bool) -> bytes:
        """Take the keys away."""
        if last:
            if data == self._before:
                return b""
            closing = self._part.closes[0].encode()
            if not data.endswith(closing):
                raise ValueError(f"the last group does not end with {closing!r}")
            data = data[: -len(closing)]
        out = []
        found = self._new.split(data)
        width = 1 + self._new.groups
        # The keys are parsed at once: there may be one for each record.
        keys = [key for n, key in enumerate(found) if n % width and key is not None]
        given = (b"[" + b",".join(keys) + b"]").decode()
        parsed = json.loads(given)
        if json.dumps(parsed, ensure_ascii=False, separators=(",", ":")) != given:
            raise ValueError("keys are spelled in another way than texts are")
        texts = iter(parsed)
        for at in range(0, len(found), width):
            if at:
                self._enter([next(texts) for key in found[at - width + 1 : at] if key is not None])
            if body := found[at]:
                out.append(self._list(body))
        return b"".join(out)

    def _enter(self, given: Sequence[str]) -> None:
        """Begin a group; its key must come after that of the one before, which also means that it is a new one."""
        level = len(self._part.opens) - len(given)
        if self._keys:
            rank, before = self._ranks[level], self._keys[level]
            if not rank(before) < rank(given[0]):
                raise ValueError(f"the key {given[0]!r} comes after {before!r}: twice, or out of order")
        self._keys = (*self._keys[:level], *given)
        self.begins.append((self._count, self._keys))

    def _list(self, body: bytes) -> bytes:
        """Return the records of one group as lines."""
        if body.startswith(self._between):
            body = body[len(self._between) :]
        elif not self._keys:
            raise ValueError("there is a record before the first group")
        plain = parted(body, self._between, self._ends)
        self._count += plain.count(b"\n") + 1
        left, right = self._wrapped
        if left:
            plain = left + plain.replace(b"\n", right + b"\n" + left) + right
        return plain + b"\n"
