"""What could keep exports from running here, each with its cure."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

from rich.markup import escape

from export_pipeline import files
from export_pipeline.catalog import Catalog
from export_pipeline.cli import failures
from export_pipeline.cli.screen import size
from export_pipeline.config import ExportConfig
from export_pipeline.errors import ExportError, SourceUnavailableError
from export_pipeline.home import Home
from export_pipeline.instance import Instance
from export_pipeline.ledger import Ledger
from export_pipeline.pipeline import Context, plan
from export_pipeline.secrets import Secret
from export_pipeline.sources import Stores
from export_pipeline.sources.stores import AnyStore

LITTLE = 1_000_000_000
"""Free bytes below which a run may fill the disk."""
REPORT = "If this is no mistake of yours, please report it; export-pipeline --debug shows more."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool = True
    cure: str | None = None


def findings(home: Home) -> Iterator[Finding]:
    """Look at everything that a run needs."""
    yield _look(f"home folder {home.root} can be written", lambda: _writable(home))
    free = shutil.disk_usage(home.root if home.root.exists() else "/").free
    yield Finding(
        f"{size(free)} free", free > LITTLE, None if free > LITTLE else "Free some space: runs stage their rows."
    )
    yield _look(
        f"ledger of deliveries (SQLite {sqlite3.sqlite_version})", lambda: Ledger(home.ledger_url).entries(limit=1)
    )
    try:
        stores = Stores.load(home.stores)
    except ExportError as error:
        yield Finding(escape(error.message), good=False, cure=error.cure)
        stores = Stores()
    for name, store in stores.stores.items():
        yield _look(f"store {name}", partial(_tables, store, name))
    for entry in Catalog(home).entries():
        if entry.config is None:
            told = failures.one_line(entry.problem.message if entry.problem else f"{entry.path.name} holds no export")
            yield Finding(escape(told), good=False, cure=f"Mend {entry.path}.")
        else:
            yield _look(f"export {entry.name}", partial(_planned, home, entry.config))
            yield from _notified(entry.name, entry.config, stores)
    instance = Instance.find(home)
    yield Finding(
        f"Dagster is up at {instance.url}" if instance else "Dagster is not up (export-pipeline up starts it)"
    )


def _planned(home: Home, config: ExportConfig) -> None:
    plan(Context(home), config, datetime.now(UTC))


def _notified(export: str, config: ExportConfig, stores: Stores) -> Iterator[Finding]:
    """Look at the secrets and the servers of those who are told how runs ended."""
    for told in config.notify:
        secrets = [value for _, value in told if isinstance(value, Secret)]
        for secret in secrets:
            yield _look(f"export {export}: secret {secret.env}", partial(secret.resolve, stores.environment))
        url = getattr(told, "url", None)
        if isinstance(url, str):
            yield _look(f"export {export}: server {urlsplit(url).hostname}", partial(_reach, url))


def _reach(url: str) -> None:
    """Connect to a server, and say nothing to it."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=3).close()
    except OSError as error:
        raise SourceUnavailableError(
            f"port {port} does not answer: {error.strerror or error}",
            cure="Is the address right, and is the server up? A proxy or firewall may be between.",
        ) from None


def _writable(home: Home) -> None:
    home.create()
    path = home.staging / ".doctor"
    files.write_text(path, "")
    path.unlink()


def _tables(store: AnyStore, name: str) -> list[str]:
    session = store.connect(name)
    try:
        return session.tables()
    finally:
        session.close()


def _look(what: str, look: Callable[[], object]) -> Finding:
    try:
        look()
    except ExportError as error:
        told = failures.one_line(error.message)
        return Finding(escape(f"{what}: {told}"), good=False, cure=error.cure or error.usual_cure)
    except Exception as error:  # a library's own words, about a file that is no database, for example
        return Finding(escape(f"{what}: {failures.one_line(str(error))}"), good=False, cure=REPORT)
    return Finding(escape(what))
