"""Reading any JSON structure back: the text around the records is compared, the records are parsed by Arrow."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import polars as pl

from export_pipeline.compression import Compression, Uncompressed
from export_pipeline.formats.json.bodies import Compacted, Document, Parts
from export_pipeline.formats.json.filters import Filtered, Replaced
from export_pipeline.formats.json.groups import Groups
from export_pipeline.formats.json.lines import lines, of_file
from export_pipeline.formats.json.listed import Members, Records
from export_pipeline.formats.json.records import NON_FINITE, Style
from export_pipeline.formats.json.sizes import Sizes
from export_pipeline.formats.json.spelling import Part, Spelling, text
from export_pipeline.formats.json.structures import RELATIONSHIPS, AnyStructure, Flat, Nested, Normalized
from export_pipeline.formats.json.writing import beside

_COUNT = "\0"
"""Stands for the number of rows in the tail of a document."""


@dataclass(frozen=True)
class Reader:
    """Reads the files of these options."""

    path: Path
    compression: Compression
    structure: AnyStructure
    layout: str
    style: Style
    metadata: bool

    def frames(self, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows as the file holds them, in its order."""
        if self.layout == "lines":
            with closing(self._lines(schema)) as found:
                yield from found
            return
        parts = self.style.spelling.parts(self.structure, self.layout)
        said: list[int] = []
        count = 0
        opened = lambda: self.compression.decompressing(self.path)  # noqa: E731
        described = self.style.spelling if self.metadata else None
        with closing(Parts(opened, parts, described=described, end=lambda end: self._end(end, said))) as document:
            match self.structure:
                case Flat():
                    found = self._flat(document, parts[0], schema)
                case Nested():
                    found = self._nested(document, parts[0], schema)
                case Normalized():
                    found = self._normalized(document, parts, schema)
            with closing(found):
                for frame in found:
                    count += frame.height
                    yield frame
        # Of a normalized document it is the number of rows that it was made of, which is not in it otherwise.
        if said and said[-1] != count and not isinstance(self.structure, Normalized):
            raise ValueError(f"the document says that it has {said[-1]:,} rows, and has {count:,}")

    def told(self) -> dict[str, object]:
        """Return the metadata of a document that has some."""
        first, *_ = self.style.spelling.parts(self.structure, self.layout)
        with closing(Document(self.compression.decompressing(self.path))) as document:
            return document.described(first.before, self.style.spelling)

    def _flat(self, document: Parts, part: Part, schema: pl.Schema) -> Generator[pl.DataFrame]:
        opened = lambda: self._opened(document, 0, part, schema)  # noqa: E731
        listed = Records(_indent(part))
        return lines(opened, schema, Sizes(self.style, part.depth, around=listed.around), listed)

    def _lines(self, schema: pl.Schema) -> Generator[pl.DataFrame]:
        sizes = Sizes(self.style)
        if self.style.plain and isinstance(self.compression, Uncompressed):
            return of_file(self.path, schema, sizes)
        return lines(lambda: self._replaced(self.compression.decompressing(self.path), schema), schema, sizes)

    def _opened(
        self,
        document: Parts,
        at: int,
        part: Part,
        schema: Mapping[str, pl.DataType],
        stack: Callable[[Filtered], Filtered] = lambda body: body,
    ) -> IO[bytes]:
        """Open a part as lines."""
        body: Filtered = document.body(at)
        if self.style.spelling.pretty:
            body = Compacted(body, part.depth)
        return self._replaced(cast("IO[bytes]", stack(body)), schema, part.depth)

    def _end(self, document: Document, said: list[int]) -> None:
        """Compare what is behind the last part."""
        tail = self.style.spelling.tail(self.structure, self.layout, _COUNT if self.metadata else None)
        before, _, after = map(re.escape, tail.partition(_COUNT))
        pattern = f"{before}([0-9]+){after}" if self.metadata else before
        found = re.fullmatch(pattern, rest := document.rest())
        if not found:
            raise ValueError(f"the document does not end with {tail!r}, but with {rest[:60]!r}")
        if self.metadata:
            said.append(int(found[1]))

    def _replaced(self, file: IO[bytes], schema: Mapping[str, pl.DataType], depth: int = 0) -> IO[bytes]:
        """Return the lines with values that Arrow takes for those that are texts in place of others."""
        texts: dict[str, str] = {}
        space = " " * len(self.style.spelling.line(depth + 1))
        for name, dtype in schema.items():
            for lead in "{,":  # before a name, never inside of one: the quote of a text is escaped there
                begin = f"{lead}{space}{text(name)}{self.style.spelling.colon}"
                if self.style.words and dtype.is_float():
                    texts |= {f'{begin}"{word}"': f"{begin}{word}" for word in NON_FINITE}
                if self.style.nulls == "empty" and not isinstance(dtype, pl.String):
                    texts[f'{begin}""'] = f"{begin}null"
        if not texts:
            return file
        replaced = {old.encode(): new.encode() for old, new in texts.items()}
        ends = {f"{self.style.spelling.colon}{word}".encode() for word in (*NON_FINITE, "null")}
        return cast("IO[bytes]", Replaced(file, replaced, ends))

    def _nested(self, document: Parts, part: Part, schema: pl.Schema) -> Generator[pl.DataFrame]:
        structure = cast("Nested", self.structure)
        names = schema.names()[: -len(structure.by)]
        keys = {name: schema[name] for name in schema.names()[-len(structure.by) :]}
        fields = pl.Schema({name: schema[name] for name in names})
        yield from (
            frame.select(schema.names())
            for frame in self._grouped(
                document, 0, part, fields, keys, (b"", b""), structure.missing, Sizes(self.style, part.depth)
            )
        )

    def _grouped(
        self,
        document: Parts,
        at: int,
        part: Part,
        fields: pl.Schema,
        keys: Mapping[str, pl.DataType],
        wrapped: tuple[bytes, bytes],
        missing: str | None,
        sizes: Sizes,
    ) -> Generator[pl.DataFrame]:
        """Yield the records of groups with their keys as further columns."""
        ranks = [_by_number(missing) if dtype.is_integer() else str for dtype in keys.values()]
        passes: list[Groups] = []

        def stack(body: Filtered) -> Filtered:
            passes.append(Groups(body, part, ranks, wrapped))
            return passes[-1]

        done = 0
        current: Groups | None = None
        current_keys: tuple[str, ...] = ()
        opened = lambda: self._opened(document, at, part, fields, stack)  # noqa: E731
        with closing(lines(opened, fields, sizes)) as frames:
            for frame in frames:
                if current is not passes[-1]:
                    current, current_keys = passes[-1], ()
                end = done + frame.height
                runs: list[tuple[tuple[str, ...], int]] = []
                place = done
                while current.begins and current.begins[0][0] < end:
                    begin, following = current.begins.popleft()
                    if begin > place:
                        runs.append((current_keys, begin - place))
                        place = begin
                    current_keys = following
                runs.append((current_keys, end - place))
                yield frame.with_columns(_columns(runs, keys, missing))
                done = end

    def _normalized(self, document: Parts, parts: Sequence[Part], schema: pl.Schema) -> Generator[pl.DataFrame]:
        structure = cast("Normalized", self.structure)
        for at, name in enumerate(structure.entities):
            lead = f"{name}."
            names = {one.removeprefix(lead): one for one in schema if one.startswith(lead)}
            key = "key"
            while key in names:
                key += "_"
            fields = pl.Schema({key: pl.String()} | {short: schema[full] for short, full in names.items()})

            opened = lambda at=at, fields=fields: self._opened(document, at, parts[at], fields)  # noqa: E731
            members = Members(_indent(parts[at]), colon=self.style.spelling.colon, field=key)
            sizes = Sizes(self.style, parts[at].depth, lead=key, around=members.around)
            last: Any = None
            with closing(lines(opened, fields, sizes, members)) as frames:
                for frame in frames:
                    last = _ascending(frame[key].cast(schema[name]), last, name)
                    yield beside(frame, {key: name} | names, schema)
        plain = Sizes(Style(Spelling()))
        for at, name in enumerate(structure.relationships, len(structure.entities)):
            ends = {end: schema[f"{RELATIONSHIPS}.{name}.{end}"] for end in ("from", "to")}
            found = self._grouped(
                document,
                at,
                parts[at],
                pl.Schema({"to": pl.String()}),
                {"from": ends["from"]},
                (b'{"to":', b"}"),
                None,
                plain,
            )
            for frame in found:
                yield beside(frame, {end: f"{RELATIONSHIPS}.{name}.{end}" for end in ends}, schema)


def _indent(part: Part) -> int:
    """Return the spaces before a record."""
    return len(part.between) - len(",\n")


def _by_number(missing: str | None) -> Callable[[str], tuple[bool, int]]:
    """Return what orders keys that are numbers; the text that stands for no key is the last."""
    return lambda key: (True, 0) if key == missing else (False, int(key))


def _columns(
    runs: list[tuple[tuple[str, ...], int]], keys: Mapping[str, pl.DataType], missing: str | None
) -> list[pl.Series]:
    """Return the keys of rows as columns."""
    made = []
    counts = pl.Series("n", [count for _, count in runs], dtype=pl.UInt32)
    for level, (name, dtype) in enumerate(keys.items()):
        values = pl.Series("k", [given[level] for given, _ in runs], dtype=pl.String)
        if dtype.is_integer():
            values = pl.select(pl.when(values != missing).then(values)).to_series() if missing is not None else values
            values = values.cast(dtype)
        column = pl.DataFrame([values.alias("k"), counts]).select(pl.col("k").repeat_by("n").explode())
        made.append(column.to_series().alias(name))
    return made


def _ascending(keys: pl.Series, last: Any, name: str) -> Any:
    """Refuse keys that are not each after the one before: they would be there twice, or out of order."""
    if len(keys) and ((last is not None and keys[0] <= last) or bool((keys <= keys.shift(1)).any())):
        raise ValueError(f"the keys of {name!r} are twice there, or out of order")
    return keys[-1] if len(keys) else last
