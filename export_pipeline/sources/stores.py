"""``stores.yaml``: the stores by name, and what their tables mean.

::

    stores:
      dashboard:
        duckdb:
          path: dashboard.duckdb            # relative to this file
          datasets:
            commands: {time: started_at, agent: agent_id, command_type: command, status: status}
            agents: {table: main.agents, agent: id}
    roots: [data]                           # folders that exports launched from afar may read files in
    environment: [OPS_HOOK]                 # environment variables that exports may use as secrets
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field

from export_pipeline.errors import ConfigError, NotFoundError, did_you_mean
from export_pipeline.filters import Roles
from export_pipeline.options import OneOf, Options
from export_pipeline.parsing import parse_file

if TYPE_CHECKING:
    from export_pipeline.sources.base import Opened


class Dataset(Roles):
    """A table or view of a store, and which of its columns is the time, the agent, the command type, the status."""

    table: str | None = None
    """Name of the table or view, also ``schema.table``; the name of the data set where it is left out."""


class Session(ABC):
    """A connection to a store in one read transaction: all that is read through it is of the same moment."""

    @abstractmethod
    def tables(self) -> list[str]:
        """Return the names of tables and views, for messages and for guessing."""

    @abstractmethod
    def open_table(self, table: str, request: Request) -> Opened:
        """Open a table or view. Raises `NotFoundError` where there is none."""

    @abstractmethod
    def open_query(self, query: str, request: Request) -> Opened:
        """Open the rows of a query. Raises `ConfigError` for one that is wrong or writes."""

    @abstractmethod
    def close(self) -> None:
        """End the transaction and the connection."""


class Request(Options):
    """What to open, as far as every kind of store needs it."""

    what: str
    """What is read, in words."""
    types: dict[str, str] = Field(default_factory=dict)
    """Column -> type that the export wants."""
    roles: Roles = Field(default_factory=Roles)
    """Roles as the source and the data set name them; columns may not exist yet."""


class Store(Options):
    """A place with tables."""

    kind: ClassVar[str]
    """What it is, in words."""
    datasets: dict[str, Dataset] = Field(default_factory=dict)
    """Names that exports use -> tables. Where there is none, every table and view may be used by its own name."""

    @abstractmethod
    def connect(self, name: str) -> Session:
        """Connect and begin to read. `name` is the store's, for messages.

        Raises `SourceUnavailableError` where it is locked, `SourceError` where it cannot be read.
        """

    @abstractmethod
    def within(self, folder: Path) -> Self:
        """Return this store with relative paths standing in a folder."""


class FileStore(Store):
    """A store that is one file."""

    short = "path"

    path: Path
    """The database file; a relative path stands in the folder of ``stores.yaml``."""

    def within(self, folder: Path) -> Self:
        """Return this store with its path standing in a folder."""
        return self.replace(path=folder / self.path.expanduser())


class DuckDb(FileStore):
    """A DuckDB database file, opened for reading only."""

    tag = "duckdb"
    kind = "DuckDB file"

    def connect(self, name: str) -> Session:
        """Connect for reading and begin a transaction."""
        from export_pipeline.sources.duckdb_store import DuckDbSession

        return DuckDbSession(self.path, name)


class Sqlite(FileStore):
    """A SQLite database file, read in one transaction; with WAL its writers are not disturbed."""

    tag = "sqlite"
    kind = "SQLite file"

    def connect(self, name: str) -> Session:
        """Connect for reading and begin a transaction."""
        from export_pipeline.sources.sqlite_store import SqliteSession

        return SqliteSession(self.path, name)


AnyStore = Annotated[DuckDb | Sqlite, OneOf("store")]


class Stores(Options):
    """The named stores, and what exports that were launched from afar may use of this machine."""

    stores: dict[str, AnyStore] = Field(default_factory=dict)
    """The stores by name."""
    roots: list[Path] = Field(default_factory=list)
    """Folders, beside the home folder, that files may be read in by exports not launched on the local command line."""
    environment: list[str] = Field(default_factory=list)
    """Environment variables that exports may use as secrets, beside those that begin with ``EXPORT_``."""

    @classmethod
    def load(cls, path: Path) -> Stores:
        """Read ``stores.yaml``; where there is no such file there are no stores. Raises `ConfigError`."""
        return parse_file(cls, path).within(path.parent) if path.exists() else cls()

    def within(self, folder: Path) -> Stores:
        """Return these stores with relative paths standing in a folder."""
        return Stores(
            stores={name: store.within(folder) for name, store in self.stores.items()},
            roots=[folder / root.expanduser() for root in self.roots],
            environment=self.environment,
        )

    def store(self, name: str) -> Store:
        """Return a store. Raises `NotFoundError` that names the nearest one."""
        if name not in self.stores:
            raise NotFoundError(
                f"there is no store {name!r} ({did_you_mean(name, self.stores)})",
                cure="Stores are named in stores.yaml of the home folder.",
            )
        found: Store = self.stores[name]
        return found

    def dataset(self, store: str, name: str) -> Dataset:
        """Return a data set of a store. Raises `NotFoundError` that names the nearest one."""
        known = self.store(store).datasets
        if name not in known and known:
            raise NotFoundError(f"store {store!r} has no data set {name!r} ({did_you_mean(name, known)})")
        return known.get(name, Dataset(table=name))


def check_unique(names: Sequence[str], what: str) -> None:
    """Raise `ConfigError` where two columns have one name."""
    twice: dict[str, Any] = {name: None for name in names if names.count(name) > 1}
    if twice:
        raise ConfigError(
            f"{what} has two columns named {', '.join(map(repr, twice))}", cure="Give one of them another name with AS."
        )
