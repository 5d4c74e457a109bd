"""The table of the ledger on SQLite and PostgreSQL.

Every change is insert-if-absent, or an update that names the state it expects; those of many deliveries are made in one
transaction, which lasts no longer than its statements. Rows are always locked in the order of their keys, so two that
want the same ones wait for each other in one direction only. Connections are opened for each use: a few per batch of
deliveries, and none is ever shared with a forked process or left stale by a server that was restarted.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool

from export_pipeline.errors import ConfigError, StorageError
from export_pipeline.files import storage_error

VERSION = 1
"""Version of the tables; raised, with a migration in `_create`, when they change."""

BUSY_SECONDS = 30.0
"""How long a statement waits for the lock of the database before it gives up."""

_metadata = sa.MetaData()

deliveries = sa.Table(
    "deliveries",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("token", sa.String(255), nullable=False),
    sa.Column("export", sa.Text, nullable=False),
    sa.Column("logical_time", sa.String(32), nullable=False),
    sa.Column("output", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("config_hash", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("run_id", sa.Text),
    sa.Column("lease_until", sa.Double),
    sa.Column("claims", sa.Integer, nullable=False),
    sa.Column("reserved", sa.JSON(none_as_null=True)),
    sa.Column("receipt", sa.JSON(none_as_null=True)),
    sa.Column("error", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    # one redelivery per request, however often the request is repeated
    sa.UniqueConstraint("key", "token", name="deliveries_key_token"),
    sa.Index("deliveries_export", "export", "updated_at"),
    sa.Index("deliveries_run", "run_id"),
)

ledger_version = sa.Table(
    "ledger_version",
    _metadata,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
)


class clock(sa.sql.functions.FunctionElement[float]):
    """The database's own clock, in seconds since 1970: the one clock that all owners of leases share."""

    inherit_cache = True
    type = sa.Double()


@compiles(clock, "sqlite")
def _clock_sqlite(*_: object, **__: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(clock, "postgresql")
def _clock_postgresql(*_: object, **__: object) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


class Database:
    """The two tables behind a URL; made when they are not there."""

    def __init__(self, url: str, *, busy: float = BUSY_SECONDS) -> None:
        self.url, self.busy = _url(url), busy
        self.shown = self.url.render_as_string(hide_password=True)
        """The URL without its password."""
        self._engine = self._make_engine()
        with self._errors():
            self._create()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection whose changes are all made when the block ends well, else none. StorageError if locked."""
        with self._errors(), self._engine.connect() as connection:
            # a writer of SQLite that begins as a reader cannot wait for others
            connection.exec_driver_sql("BEGIN IMMEDIATE" if self._is_sqlite else "BEGIN")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    def insert_if_absent(self, connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert deliveries, except those whose attempts, or whose tokens, are there."""
        dialect = sqlite.insert if self._is_sqlite else postgresql.insert
        statement = dialect(deliveries).values(created_at=clock(), updated_at=clock()).on_conflict_do_nothing()
        if rows:
            connection.execute(statement, rows)

    def select(self, statement: sa.Select[Any]) -> list[Mapping[str, Any]]:
        """Return the rows of a query."""
        with self._errors(), self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Keep a connection while the block runs: SQLite tidies its log up whenever the last one is closed, which costs
        more than the statements do. Nothing is locked by it."""
        if not self._is_sqlite:
            yield
            return
        connection = None
        try:
            with self._errors():
                connection = self._engine.connect()
                connection.execute(sa.select(ledger_version)).first()
            yield
        finally:
            if connection is not None:
                connection.close()

    @property
    def _is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def _make_engine(self) -> Engine:
        options: dict[str, Any] = {"poolclass": NullPool, "isolation_level": "AUTOCOMMIT"}
        if not self._is_sqlite:
            wait = {"connect_timeout": 10, "options": f"-c lock_timeout={int(self.busy * 1000)}"}
            try:
                return sa.create_engine(self.url, connect_args=wait, **options)
            except ImportError as error:
                raise ConfigError(
                    "the ledger is in PostgreSQL, but its driver is not installed",
                    cure="Install it: pip install 'export_pipeline[postgres]'",
                ) from error
        engine = sa.create_engine(self.url, connect_args={"timeout": self.busy}, **options)
        # a receipt must survive a power cut: a file that is there without its row would be sent again
        sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=FULL").close())
        return engine

    def _create(self) -> None:
        if self._is_sqlite:
            with self._engine.connect() as connection:
                if connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
                    _switch_to_wal(connection, self.busy)
                if sa.inspect(connection).has_table(ledger_version.name):
                    return self._check(connection)
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # one process makes the tables, the others wait
                self._make_tables(connection)
                connection.exec_driver_sql("COMMIT")
                return self._check(connection)
        with self._engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
            if not sa.inspect(connection).has_table(ledger_version.name):
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(0x6578706F7274)))
                self._make_tables(connection)
                connection.commit()
            return self._check(connection)

    @staticmethod
    def _make_tables(connection: Connection) -> None:
        _metadata.create_all(connection)
        if connection.execute(sa.select(ledger_version)).first() is None:
            connection.execute(ledger_version.insert().values(one=1, version=VERSION))

    def _check(self, connection: Connection) -> None:
        version = connection.execute(sa.select(ledger_version.c.version)).scalar()
        if version != VERSION:
            raise ConfigError(
                f"the ledger {self.shown} has version {version}; this program knows version {VERSION}",
                cure="Use the release of export_pipeline that wrote it, or a newer one.",
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what the driver says into an error that tells whether trying again helps."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            text = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
            if isinstance(error.orig, sqlite3.DatabaseError) and not isinstance(
                error.orig, (sqlite3.OperationalError, sqlite3.IntegrityError)
            ):
                raise ConfigError(f"{self.shown} is not a ledger: {text}") from error
            raise StorageError(f"the ledger {self.shown} cannot be used now: {text}", cure=_cure(text)) from error


def _switch_to_wal(connection: Connection, patience: float) -> None:
    """Make readers and the writer independent; SQLite does not wait for others here, so we do."""
    end = time.monotonic() + patience
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        except sa.exc.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


_CURES = {
    "locked": "Another program holds it for long. A ledger on a network folder belongs in PostgreSQL.",
    "unable to open": "Its folder must exist and be writable.",
    "readonly": "Give this user the right to write the ledger and its folder.",
    "full": "Free some space on the disk of the ledger.",
}


def _cure(text: str) -> str | None:
    return next((cure for word, cure in _CURES.items() if word in text), None)


def _url(url: str) -> URL:
    """Return the URL of a database that can hold the ledger, with the driver that is used."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigError(f"the ledger's URL cannot be read: {error}") from error
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigError(f"the ledger cannot be in {backend!r}; valid: sqlite, postgresql")
    if parsed.database in (None, "", ":memory:"):
        raise ConfigError("a ledger in memory would forget what was sent; give a file: sqlite:///ledger.sqlite")
    folder = Path(str(parsed.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    return parsed
