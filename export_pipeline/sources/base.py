"""What every source is, and what it gives: one consistent read of rows as Arrow batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import polars as pl
import pyarrow as pa
from pydantic import Field

from export_pipeline.errors import ConfigError, SourceError, did_you_mean
from export_pipeline.filters import Filter, Roles
from export_pipeline.options import Options
from export_pipeline.schemas import refuse_patterns
from export_pipeline.snapshots import Pin
from export_pipeline.sources.types import ColumnType

if TYPE_CHECKING:
    from export_pipeline.sources.stores import Stores

BATCH = 30_000
"""Rows that readers aim at in a batch: one row group of a snapshot."""


class Closable(Protocol):
    """Something to be closed at the end."""

    def close(self) -> None:
        """End it."""


class Opened(ABC):
    """An opened source: its columns, and its rows in one consistent read. Use it in a `with` block."""

    what: str
    """What is read, in words: ``store dashboard, dataset commands``."""
    schema: pl.Schema
    """Columns and their types, in order. A source without rows has them, too."""
    roles: Roles
    """Which column is the time, the agent, the command type, the status."""
    version: str
    """Identity of the rows: which store or files, in which state."""
    pins: tuple[Pin, ...] | None = None
    """The Parquet files that may be read in place, as they were when opened; None where rows must be staged."""
    owned: Closable | None = None
    """A connection that is this source's alone; it is closed with it."""
    still: bool = False
    """Whether the same version must be met again: files stand still, live stores move on."""

    @property
    def files(self) -> list[Path] | None:
        """The Parquet files that may be read in place; None where rows must be staged."""
        return None if self.pins is None else [pin.path for pin in self.pins]

    @abstractmethod
    def batches(
        self,
        columns: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002
    ) -> Iterator[pa.RecordBatch]:
        """Stream the rows with these columns (None: all), in their order.

        `filter` must be bound to real columns. It may be applied in part or not at all: what comes is a superset of
        what it keeps. Batches have exactly the Arrow types that belong to `schema`. Raises `SourceError`.
        """

    def pushed(self, filter: Filter | None) -> str | None:  # noqa: A002, ARG002
        """Return the condition that the store applies itself, as text; None where all rows come."""
        return None

    def count(self) -> int | None:
        """Return the number of rows before any filter where it is known without a scan."""
        return None

    def interrupt(self) -> None:
        """End a read that is going on in another thread; it raises `SourceError` there. Harmless else."""
        return

    def close(self) -> None:
        """Give back connections and files."""
        if self.owned is not None:
            self.owned.close()

    def expect(self, version: str) -> None:
        """Raise `SourceError` where the source stands still and is not the one that a plan was made for."""
        if self.still and version != self.version:
            raise SourceError(
                f"{self.what} was changed after the export was planned",
                cure="Run the export again: it will plan for the new files.",
            )

    def wanted(self, columns: Sequence[str] | None) -> list[str]:
        """Return the names of the columns to read. Raises `ConfigError` for one that is not there."""
        if columns is None:
            return self.schema.names()
        for name in columns:
            if name not in self.schema:
                raise ConfigError(f"{self.what} has no column {name!r} ({did_you_mean(name, self.schema)})")
        return list(columns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Source(Options):
    """What every source may say about its columns."""

    types: dict[str, ColumnType] = Field(default_factory=dict, alias="schema")
    """Types of columns, where they shall not be found out: text, integer, decimal(18,2), float, boolean, date, time,
    datetime, datetime with zone, binary. A value that does not fit is refused by row and column."""
    time: str | None = None
    """The column that `time_range` means."""
    agent: str | None = None
    """The column that `agent_ids` means."""
    command_type: str | None = None
    """The column that `command_types` means."""
    status: str | None = None
    """The column that `status` means."""

    @abstractmethod
    def open(
        self, stores: Stores | None = None, roots: Sequence[Path] | None = None, *, folder: Path | None = None
    ) -> Opened:
        """Open the source for one consistent read.

        `stores` are the named stores, `roots` the folders that files must be in (None: anywhere), `folder` is where
        relative files stand (None: the current folder). Raises `NotFoundError`, `ConfigError`, `SourceError`.
        """

    @property
    def roles(self) -> Roles:
        """The columns that this source names for the common questions."""
        return Roles(**{role: getattr(self, role) for role in Roles.model_fields})


def check_columns(names: Collection[str], types: Mapping[str, object], roles: Roles, what: str) -> None:
    """Raise `ConfigError` where `schema` or a role names a column that is not there, or a column cannot be named."""
    refuse_patterns(names, what)
    asked = [(name, "schema") for name in types]
    asked += [(name, role) for role, name in roles.model_dump(exclude_none=True).items()]
    for name, option in asked:
        if name not in names:
            raise ConfigError(f"{what} has no column {name!r} for '{option}' ({did_you_mean(name, names)})")
