"""JSON: strict at every setting, streamed. Flat lists of records, groups in groups, or entities by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal, Self, cast

import polars as pl
from pydantic import model_validator

from export_pipeline.compression import Stage
from export_pipeline.errors import ConfigError, FormatError
from export_pipeline.formats import iso
from export_pipeline.formats.about import About
from export_pipeline.formats.guards import Look
from export_pipeline.formats.json.columns import Columns
from export_pipeline.formats.json.entities import Rows
from export_pipeline.formats.json.reading import Reader
from export_pipeline.formats.json.records import Style
from export_pipeline.formats.json.spelling import Part, Spelling
from export_pipeline.formats.json.stamps import AnyStamp, Iso
from export_pipeline.formats.json.structures import RELATIONSHIPS, AnyStructure, Flat, Nested, Normalized
from export_pipeline.formats.json.writing import Between, Commas, write_entities, write_groups, write_texts
from export_pipeline.formats.plain import TextFormat
from export_pipeline.formats.sink import Sink
from export_pipeline.formats.texts import refuse_non_finite, refuse_non_finite_inside, refuse_years
from export_pipeline.schemas import names_of, unused
from export_pipeline.tables import Table
from export_pipeline.verification import Loss, Meter, Proof


class Json(TextFormat):
    """JSON: keeps texts, numbers, lists and structs; dates and decimals are text."""

    tag: ClassVar[str] = "json"
    extension: ClassVar[str] = ".json"
    media_type: ClassVar[str] = "application/json"
    never: ClassVar[Mapping[str, str]] = {
        "indent": "pretty_print: true indents by two spaces",
        "split": "only CSV is split; a document is one file, and limit makes it shorter",
    }

    structure: AnyStructure = Flat()
    """What a document looks like: `flat` (one list of records), `{nested: {by: [{key, name}]}}` (groups in groups) or
    `{normalized: {entities: {...}}}` (entities by key, and relationships between them)."""
    layout: Literal["records", "array", "lines"] = "records"
    """Of a flat structure: a document `{"records": [...]}`, a bare array, or a record per line (NDJSON, `.ndjson`)."""
    pretty_print: bool = False
    """Whether each field has a line of its own, indented by two spaces; lists and structs stay on theirs."""
    include_metadata: bool = False
    """Whether a document says what it is: a member `metadata` before the records (name, logical time, zone, filter,
    snapshot, types of the columns by their plain names), and `row_count` as the last one."""
    date_format: AnyStamp = Iso()
    """How dates and times are written, nested ones too: `iso`, `unix` (seconds), `{unix: ms}`, or
    `{custom: "DD.MM.YYYY"}`, a moment.js pattern."""
    null_handling: Literal["include", "exclude", "empty"] = "include"
    """What a field that is null becomes: null, no field at all, or the empty text. Inside of lists and structs null
    stays null."""
    array_handling: Literal["expand", "stringify"] = "expand"
    """Whether lists are JSON arrays, or texts that hold one."""
    non_finite: Literal["null", "string", "error"] = "null"
    """What NaN and the infinities become, which JSON cannot write: null, the texts `NaN`, `Infinity`, `-Infinity`, or
    an error that names the row."""
    integers: Literal["number", "text"] = "number"
    """How 64-bit integers are written: JavaScript keeps numbers only up to 2^53, text is safe for every reader."""
    decimals: Literal["text", "number"] = "text"
    """How decimals are written: as exact text, or as numbers (columns of up to 15 digits only)."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        """Refuse what has no place in a layout."""
        if self.layout != "records" and not isinstance(self.structure, Flat):
            raise ValueError(
                f"layout: {self.layout} is one of a flat structure; a {self.structure.tag} one is a document"
            )
        if self.layout == "lines" and self.pretty_print:
            raise ValueError("pretty_print: a record of `layout: lines` is one line; use layout: records or array")
        if self.layout != "records" and self.include_metadata:
            raise ValueError(f"include_metadata: `layout: {self.layout}` has no place for it; use layout: records")
        return self

    @property
    def suffix(self) -> str:
        """``.json`` or ``.ndjson``, and that of the compression."""
        return (".ndjson" if self.layout == "lines" else self.extension) + self.compression.extension

    @property
    def content_type(self) -> str:
        """The media type of documents or of lines."""
        content = "application/x-ndjson" if self.layout == "lines" else self.media_type
        return self.compression.media_type or content

    def tables(self) -> dict[str, Table]:
        """Return the rows of the entities that have their own."""
        return self.structure.tables() if isinstance(self.structure, Normalized) else {}

    def check(self, schema: pl.Schema) -> None:
        """Refuse unknown keys, decimals that a number would round, texts that mix up, and columns of objects."""
        self._columns.check(schema)
        self._held().check(schema)

    def check_tables(self, schema: pl.Schema, tables: Mapping[str, pl.Schema]) -> None:  # noqa: ARG002
        """Refuse the same of entities with rows of their own, by their names."""
        for name, own in tables.items():
            try:
                self._columns.check(own)
                self._held(name).check(own)
            except (ConfigError, FormatError) as error:
                raise type(error)(f"rows of {name!r}: {error.message}", cure=error.cure) from error

    def losses(self, schema: pl.Schema) -> list[Loss]:
        """Return what JSON, with these options, cannot hold of these columns."""
        return list(self._columns.losses(schema, self._held()))

    def table_losses(self, tables: Mapping[str, pl.Schema]) -> list[Loss]:
        """Return the same of entities with rows of their own."""
        return [
            loss.replace(why=f"rows of {name!r}: {loss.why}")
            for name, own in tables.items()
            for loss in self._columns.losses(own, self._held(name))
        ]

    def render(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Cast what JSON has no form for to text, and apply the policies.

        A nested structure has the keys of its levels as last columns, a normalized one the columns of its entities.
        """
        return rows.select(self._columns.rendered(rows.collect_schema(), self._held()))

    def guard(self, schema: pl.Schema, table: str | None = None) -> Look | None:
        """Return what refuses numbers that are not finite where `inspect` does not see them, if asked to."""
        names = self._columns.floats(schema, self._held(table)) if self.non_finite == "error" else []
        return (lambda frame, start: refuse_non_finite_inside(frame, start, names)) if names else None

    def inspect(self, frame: pl.DataFrame, start: int) -> None:
        """Refuse years beyond four digits and, if asked to, non-finite numbers."""
        refuse_years(frame, start)
        if self.non_finite == "error":
            refuse_non_finite(frame, start)

    def encode(self, rows: pl.LazyFrame, sink: BinaryIO, about: About) -> None:  # noqa: ARG002
        """Stream the records of a flat structure, without the document around them."""
        dated = iso.spelled(rows)
        written = dated.with_columns(self._columns.spelled(dated.collect_schema()))
        style = self._style(written.collect_schema())
        stage = cast("Stage", sink)
        if self.layout == "lines":
            if style.plain:
                written.sink_ndjson(sink, engine="streaming")
            else:
                write_texts(written, stage, style, 0, "\n")
            return
        (part,) = self._spelling.parts(self.structure, self.layout)
        if style.plain:
            written.sink_ndjson(cast("BinaryIO", Commas(stage)), engine="streaming")
        else:
            between = Between(stage, part.between)
            write_texts(written, between, style, part.depth, part.between)
            between.finish()

    def _fill(
        self,
        rows: pl.LazyFrame,
        rendered: pl.LazyFrame,
        meter: Meter,
        tables: Mapping[str, pl.LazyFrame],
        sink: Sink,
        about: About,
    ) -> tuple[Meter, tuple[Proof, ...]]:
        """Write the document; groups and entities are sorted by their keys first.

        All entities have one proof, whichever rows they are of.
        """
        with self.compression.named(about.file).compressing(sink) as stage:
            if self.layout == "lines":
                self.encode(meter.tap(rendered), cast("BinaryIO", stage), about)
                return meter, ()
            schema = rows.collect_schema()
            first, *others = self._spelling.parts(self.structure, self.layout)
            if self.include_metadata:
                told = self.told(schema, about)
                first = replace(first, before="{" + self._spelling.metadata(told) + first.before[1:])
            folder = sink.path.parent
            match self.structure:
                case Flat():
                    stage.write(first.before.encode())
                    self.encode(meter.tap(rendered), cast("BinaryIO", stage), about)
                    stage.write(first.end.encode())
                    filed = meter
                case Nested() as nested:
                    stage.write(first.before.encode())
                    filed = self._nested(rows, nested, meter, stage, first, folder)
                    stage.write(first.end.encode())
                case Normalized():
                    filed = self._normalized({None: rows} | dict(tables), meter, stage, [first, *others], folder)
            count = str(meter.rows) if self.include_metadata else None
            stage.write(self._spelling.tail(self.structure, self.layout, count).encode())
        return filed, ()

    def told(self, schema: pl.Schema, about: About) -> dict[str, object] | None:
        """Return the metadata of a document that has some."""
        return about.told() | {"schema": names_of(schema)} if self.include_metadata else None

    def read_told(self, path: Path) -> dict[str, object] | None:
        """Return the metadata as the document has it."""
        return self._reader(path, {}).told() if self.include_metadata else None

    def _held(self, table: str | None = None) -> AnyStructure:
        """Return the structure, as far as it is made of the rows of this table; None for those of the export."""
        return self.structure.held_by(table) if isinstance(self.structure, Normalized) else self.structure

    def _nested(
        self, rows: pl.LazyFrame, structure: Nested, meter: Meter, stage: Stage, part: Part, folder: Path
    ) -> Meter:
        schema = rows.collect_schema()
        columns, hidden = self._columns.hidden(schema, structure, unused("#", [*schema, *meter.schema]))
        wide = rows.select(*self._columns.rendered(schema, structure), *columns).with_row_index(hidden.position)
        fields = structure.fields(schema)
        changed = self._columns.spelled({name: meter.schema[name] for name in fields}, frugal=True)
        return write_groups(
            wide,
            hidden,
            meter,
            stage,
            part,
            spelled=lambda frame: frame.select(fields).with_columns(changed),
            style=self._style(meter.schema),
            missing=structure.missing,
            folder=folder,
        )

    def _normalized(
        self,
        tables: Mapping[str | None, pl.LazyFrame],
        meter: Meter,
        stage: Stage,
        parts: list[Part],
        folder: Path,
    ) -> Meter:
        structure = cast("Normalized", self.structure)
        given: list[Rows] = []
        rendered: dict[str, pl.DataType] = {}
        filed: dict[str, pl.DataType] = {}
        for table, rows in tables.items():
            held, schema = structure.held_by(table), rows.collect_schema()
            hidden, sections = self._columns.sections(schema, held, unused("#", schema))
            shown = self._columns.rendered(schema, held)
            kinds = meter.schema if table is None else rows.select(shown).collect_schema()
            own = meter if table is None else meter.beside(kinds)
            given.append(Rows(rows.select(*shown, *hidden), own, sections))
            filed |= self._columns.filed(schema, kinds, held)
            rendered |= {f"{table}.{name}": dtype for name, dtype in kinds.items()}
        return write_entities(
            given,
            [*structure.entities, *(f"{RELATIONSHIPS}.{name}" for name in structure.relationships)],
            stage,
            parts,
            filed,
            spelled=lambda frame: frame.with_columns(self._columns.spelled(frame.schema, frugal=True)),
            style=self._style(rendered),
            duplicates=structure.duplicates,
            folder=folder,
        )

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Read with DuckDB where it can, with Arrow else, after taking away the text around the records."""
        return self._reader(path, schema).frames(schema)

    def _reader(self, path: Path, schema: Mapping[str, pl.DataType]) -> Reader:
        return Reader(
            path=path,
            compression=self.compression,
            structure=self.structure,
            layout=self.layout,
            style=self._style(schema),
            metadata=self.include_metadata,
        )

    @property
    def _spelling(self) -> Spelling:
        return Spelling(self.pretty_print)

    @property
    def _columns(self) -> Columns:
        return Columns(
            stamp=self.date_format,
            nulls=self.null_handling,
            arrays=self.array_handling,
            non_finite=self.non_finite,
            integers=self.integers,
            decimals=self.decimals,
        )

    def _style(self, schema: Mapping[str, pl.DataType]) -> Style:
        words = self.non_finite == "string" and any(dtype.is_float() for dtype in schema.values())
        return Style(self._spelling, self.null_handling, words, numbers=self.decimals == "number")
