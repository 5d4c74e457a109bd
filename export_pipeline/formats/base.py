"""The base of every format: options and behaviour in one model; adding a format is one file and one name in a union.

::

    rows --render--> rows as the format holds them --meter--> checksums --encode--> bytes --compress--> Sink
    Artifact = path, rows, sha256, checksums, losses;   verify: path --read--> rows --meter--> the same checksums?
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, ClassVar, Self, cast

import polars as pl
from pydantic import model_validator

from export_pipeline.engines.tuning import tune
from export_pipeline.errors import ExportError, FormatError
from export_pipeline.formats.about import About
from export_pipeline.formats.guards import Guard, Look
from export_pipeline.formats.parts import PartFolder
from export_pipeline.formats.sealing import AnySeal
from export_pipeline.formats.sink import Sink
from export_pipeline.options import Options
from export_pipeline.parts import digest_of_parts
from export_pipeline.schemas import texts_of
from export_pipeline.tables import Table
from export_pipeline.verification import Artifact, Loss, Meter, Progress, Proof


class Format(Options):
    """How rows become a file.

    A format overrides `encode` and `read`, and where it needs to: `render`, `check`, `losses`, `inspect`, `guard`. One
    whose output may be several files also has `is_folder` and `encode_parts`; one whose parts may have rows of their
    own `tables`, `check_tables`, `_fill` and `read_table`.
    """

    extension: ClassVar[str]
    """With the dot."""
    media_type: ClassVar[str]

    seal: AnySeal | None = None
    """Encrypt the finished file, after it was verified: `{pgp: [partner.asc]}`, for the owners of the public keys in
    these files; null: not. Its name ends with `.pgp`. The same rows never make the same file, for each has a key of
    chance. Needs `pip install "export_pipeline[pgp]"`."""

    @model_validator(mode="after")
    def _one_file_is_sealed(self) -> Self:
        if self.seal is not None and self.is_folder:
            raise ValueError(
                "seal: a folder of several files is not sealed: write one file, or use encryption (Parquet)"
            )
        return self

    @property
    def suffix(self) -> str:
        """The end of the file's name: the extension, and that of the compression where there is one."""
        return self.extension

    @property
    def full_suffix(self) -> str:
        """The end of the name that the file is delivered under: ``.xlsx.pgp``."""
        return self.suffix + (self.seal.extension if self.seal is not None else "")

    @property
    def confidential(self) -> bool:
        """Whether the rows must not be shown anywhere else: the file is encrypted."""
        return self.seal is not None

    def ready(self, schema: pl.Schema, about: About) -> None:  # noqa: ARG002
        """Refuse before anything is read what is missing on this machine or wrong: libraries, secrets, keys, files that
        options name. ConfigError. `schema` is that of the export's rows."""
        if self.seal is not None:
            self.seal.ready(about)

    @property
    def content_type(self) -> str:
        """The media type that these options give the file."""
        return self.media_type

    @property
    def is_folder(self) -> bool:
        """Whether these options make a folder of several files."""
        return False

    @property
    def keeps_order(self) -> bool:
        """Whether the file is read back in the order of the rows; else the rows are proven, but not their order."""
        return True

    def using(self, environment: Collection[str]) -> Self:  # noqa: ARG002
        """Return this format, allowed to read these environment variables as secrets."""
        return self

    def check(self, schema: pl.Schema) -> None:
        """Refuse before anything is read what these options cannot do with these columns: ConfigError, FormatError."""

    def tables(self) -> dict[str, Table]:
        """Return the parts of the file that have rows of their own, by name; all else holds the export's rows."""
        return {}

    def check_tables(self, schema: pl.Schema, tables: Mapping[str, pl.Schema]) -> None:
        """Refuse what these options cannot do with the columns of `tables`; `schema` is that of the export's rows."""

    def losses(self, schema: pl.Schema) -> list[Loss]:  # noqa: ARG002
        """Return what this format cannot hold of these columns, by column and why."""
        return []

    def table_losses(self, tables: Mapping[str, pl.Schema]) -> list[Loss]:  # noqa: ARG002
        """Return the same of the parts that have rows of their own."""
        return []

    def render(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the rows as the format holds them: same order, lossy columns cast; the checksums are of these."""
        return rows

    def guard(self, schema: pl.Schema, table: str | None = None) -> Look | None:  # noqa: ARG002
        """Return what looks at the rows before they are rendered, to refuse values; None where nothing does.

        They are those of a part that has its own, or (None) the export's.
        """
        return None

    def inspect(self, frame: pl.DataFrame, start: int) -> None:
        """Refuse values (FormatError naming column and row). Called with batches of rendered rows, in any order, from
        several threads; `start` is the position of the batch's first row."""

    @abstractmethod
    def encode(self, rows: pl.LazyFrame, sink: BinaryIO, about: About) -> None:
        """Stream rendered rows as bytes into the sink.

        `rows` must be run exactly once (it is metered), with the streaming engine, and nothing else than bytes written
        to the sink may depend on it. The sink has `write` (returns the length of its input) and `flush`.
        """

    def encode_parts(
        self,
        rows: pl.LazyFrame,  # noqa: ARG002
        folder: PartFolder,  # noqa: ARG002
        about: About,  # noqa: ARG002
        name: str,  # noqa: ARG002
    ) -> None:
        """Stream rendered rows into the parts of a folder, as `encode` does into one file; set the rows of each part.

        `name` is that of the folder, for formats whose parts are called after it.
        """
        raise TypeError(f"{self.tag} is never a folder")

    @abstractmethod
    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows of a file in batches, in order, with exactly the rendered schema: the same names and types.

        The reader must not be the library that wrote. Whatever it raises means: the file is broken.
        """

    def told(self, schema: pl.Schema, about: About) -> dict[str, object] | None:  # noqa: ARG002
        """Return what the file says of itself, if that is read back; `schema` is that of the export's rows."""
        return None

    def read_told(self, path: Path) -> dict[str, object] | None:  # noqa: ARG002
        """Return what a file says of itself, as it is in the file."""
        return None

    def read_table(self, path: Path, part: str, schema: pl.Schema) -> Iterator[pl.DataFrame]:  # noqa: ARG002
        """Yield the rows of one part that has its own, as `read` does."""
        raise TypeError(f"{self.tag} has no part {part!r} with rows of its own")

    def write(
        self,
        rows: pl.LazyFrame,
        path: Path,
        *,
        tables: Mapping[str, pl.LazyFrame] | None = None,
        about: About | None = None,
        name: str | None = None,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
    ) -> Artifact:
        """Write the rows to `path`, streaming, in one pass, and return what verification needs.

        `tables` are the rows of the parts that `tables()` names; each is read once, too.
        `path` appears complete or not at all. `stop`, once set, ends it with Cancelled within a batch; a blocking sort
        before the first batch does not hear it (see `engines.polars.run_native`).
        """
        began = time.perf_counter()
        tune()
        source = rows.collect_schema()
        if not source:
            raise FormatError("there is no column to write", cure="Keep at least one column.")
        self.check(source)
        others = {part: rows.collect_schema() for part, rows in (tables or {}).items()}
        self.check_tables(source, others)
        guards: list[Guard] = []

        def watched(rows: pl.LazyFrame, table: str | None = None) -> pl.LazyFrame:
            look = self.guard(rows.collect_schema(), table)
            if look is None:
                return rows
            guards.append(Guard(look))
            return guards[-1].tap(rows)

        guarded = watched(rows)
        apart = {part: watched(rows, part) for part, rows in (tables or {}).items()}
        rendered = self.render(guarded)
        meter = Meter(
            rendered.collect_schema(), inspect=self.inspect, progress=progress, stop=stop, ordered=self.keeps_order
        )
        called = name or path.name
        about = (about or About()).replace(file=self.seal.stripped(called) if self.seal is not None else called)
        target = PartFolder(path, stop=stop) if self.is_folder else Sink(path, stop=stop)
        filed = meter
        proofs: tuple[Proof, ...] = ()
        with target:
            try:
                if isinstance(target, Sink):
                    filed, proofs = self._fill(guarded, rendered, meter, apart, target, about)
                else:
                    self.encode_parts(meter.tap(rendered), target, about, called)
            except Exception as error:
                # Polars wraps an exception of a callback into an error of its own
                failure = next((guard.failure for guard in guards if guard.failure is not None), meter.failure)
                if isinstance(error, ExportError) or failure is None:
                    raise
                raise failure from error
        parts = target.parts if isinstance(target, PartFolder) else ()
        return Artifact(
            path=path,
            name=name or path.name,
            format=self.tag,
            media_type=self.content_type,
            rows=meter.rows,
            entries=filed.rows if filed.rows != meter.rows else None,
            columns=texts_of(filed.schema),
            bytes=target.bytes if isinstance(target, Sink) else sum(part.bytes for part in parts),
            sha256=target.sha256 if isinstance(target, Sink) else digest_of_parts(parts),
            checksums=filed.checksums,
            is_folder=self.is_folder,
            parts=parts,
            ordered=self.keeps_order,
            tables=proofs,
            told=self.told(source, about),
            losses=(*self.losses(source), *self.table_losses(others)),
            seconds=round(time.perf_counter() - began, 3),
        )

    def _fill(
        self,
        rows: pl.LazyFrame,  # noqa: ARG002
        rendered: pl.LazyFrame,
        meter: Meter,
        tables: Mapping[str, pl.LazyFrame],
        sink: Sink,
        about: About,
    ) -> tuple[Meter, tuple[Proof, ...]]:
        """Write the rows, and those of further tables; return what the file holds of both, in the file's order.

        That is `meter`, which the rendered rows pass in the order of the source, unless a format arranges them anew.
        """
        if tables:
            raise TypeError(f"{self.tag} has no parts with rows of their own, such as {', '.join(tables)}")
        self._stream(meter.tap(rendered), sink, about)
        return meter, ()

    def _stream(self, rows: pl.LazyFrame, sink: Sink, about: About) -> None:
        """Encode into the sink, through the codec where the format has one."""
        self.encode(rows, cast("BinaryIO", sink), about)
