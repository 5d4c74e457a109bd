"""The text around the records, compact or pretty: the same for the writer, and for the reader, which demands it.

A document is its parts one after the other::

    before  KEY opened record, record closed, KEY opened record closed  end      (grouped)
    before  record, record, record  end                                          (a list, or members of an entity)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from export_pipeline.formats.json.structures import COUNT, METADATA, RELATIONSHIPS, AnyStructure, Nested, Normalized

INDENT = "  "


def text(value: str) -> str:
    """Return a text as JSON."""
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class Part:
    """One list, one group of groups, or the members of one entity."""

    before: str
    """What stands before its first key or record."""
    end: str
    """What stands behind the last; no other text of the part begins with a line end and goes on like this."""
    depth: int
    """Level of indentation of its records."""
    between: str
    """What stands between two records."""
    name: str = ""
    opens: tuple[str, ...] = ()
    """By level: what follows its key."""
    closes: tuple[str, ...] = ()
    """By level: what ends a group of it, and all groups inside."""
    breaks: tuple[str, ...] = ()
    """By level: what stands between the end of a group and the next key."""


@dataclass(frozen=True)
class Spelling:
    """Compact (a record per line) or pretty (a field per line)."""

    pretty: bool = False

    @property
    def colon(self) -> str:
        """What stands between name and value."""
        return ": " if self.pretty else ":"

    def line(self, depth: int) -> str:
        """Return the line end and indentation, if pretty."""
        return "\n" + INDENT * depth if self.pretty else ""

    def start(self, depth: int) -> str:
        """Return what stands before a record or a key: a line end at least."""
        return self.line(depth) or "\n"

    def member(self, depth: int, name: str, bracket: str) -> str:
        """Return the beginning of a list or an object in an object."""
        return f"{self.line(depth)}{text(name)}{self.colon}{bracket}"

    def metadata(self, about: dict[str, object] | None) -> str:
        """Return the member that describes the export; empty without one."""
        if about is None:
            return ""
        shown = json.dumps(about, ensure_ascii=False, indent=len(INDENT) if self.pretty else None,
                           separators=(",", self.colon))  # fmt: skip
        return self.member(1, METADATA, "") + shown.replace("\n", "\n" + INDENT) + ","

    def tail(self, structure: AnyStructure, layout: str, count: str | None) -> str:
        """Return what stands behind the last part; `count` is the number of rows, as text."""
        if layout != "records":
            return "\n" if layout == "array" else ""
        closed = ""
        if isinstance(structure, Normalized):
            opened = "" if structure.relationships else "," + self.member(1, RELATIONSHIPS, "{")
            closed = opened + self.line(1) + "}"
        counted = "" if count is None else f",{self.line(1)}{text(COUNT)}{self.colon}{count}"
        return closed + counted + self.line(0) + "}\n"

    def parts(self, structure: AnyStructure, layout: str) -> list[Part]:
        """Return the parts of a document, without its metadata."""
        if isinstance(structure, Nested):
            return [self._nested(structure)]
        if isinstance(structure, Normalized):
            return list(self._normalized(structure))
        if layout == "records":
            before = "{" + self.member(1, "records", "[") + self.start(2)
            return [Part(before, self.start(1) + "]", 2, "," + self.start(2))]
        return [Part("[" + self.start(1), self.start(0) + "]", 1, "," + self.start(1))]

    def _nested(self, structure: Nested) -> Part:
        levels = structure.by
        last = len(levels) - 1
        opens = [
            f"{self.colon}{{{self.member(2 * n + 3, level.name, '{')}{self.start(2 * n + 4)}"
            for n, level in enumerate(levels[1:])
        ]
        opens.append(f"{self.colon}{{{self.member(2 * last + 3, structure.records, '[')}{self.start(2 * last + 4)}")
        closes = [f"{self.start(2 * last + 3)}]{self.line(2 * last + 2)}}}"]
        for n in reversed(range(last)):
            closes.insert(0, f"{closes[0]}{self.line(2 * n + 3)}}}{self.line(2 * n + 2)}}}")
        return Part(
            "{" + self.member(1, levels[0].name, "{") + self.start(2),
            self.start(1) + "}",
            2 * last + 4,
            "," + self.start(2 * last + 4),
            opens=tuple(opens),
            closes=tuple(closes),
            breaks=tuple("," + self.start(2 * n + 2) for n in range(len(levels))),
        )

    def _normalized(self, structure: Normalized) -> Iterator[Part]:
        lead = "{"
        for name in structure.entities:
            before = lead + self.member(1, name, "{") + self.start(2)
            yield Part(before, self.start(1) + "}", 2, "," + self.start(2), name)
            lead = ","
        lead += self.member(1, RELATIONSHIPS, "{")
        for name in structure.relationships:
            yield Part(
                lead + self.member(2, name, "{") + self.start(3),
                self.start(2) + "}",
                4,
                "," + self.start(4),
                name,
                opens=(f"{self.colon}[{self.start(4)}",),
                closes=(f"{self.start(3)}]",),
                breaks=("," + self.start(3),),
            )
            lead = ","
