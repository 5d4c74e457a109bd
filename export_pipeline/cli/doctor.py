"""What could keep exports from running here, each with its cure."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.markup import escape

from export_pipeline import files
from export_pipeline.catalog import Catalog
from export_pipeline.cli.screen import size
from export_pipeline.errors import ExportError
from export_pipeline.home import Home
from export_pipeline.instance import Instance
from export_pipeline.ledger import Ledger
from export_pipeline.pipeline import Context, plan
from export_pipeline.sources import Stores
from export_pipeline.sources.stores import AnyStore

LITTLE = 1_000_000_000
"""Free bytes below which a run may fill the disk."""


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
        yield _look(f"store {name}", lambda store=store, name=name: _tables(store, name))  # type: ignore[misc]
    for entry in Catalog(home).entries():
        if entry.config is None:
            yield Finding(escape(str(entry.problem)), good=False, cure=f"Mend {entry.path}.")
            continue
        config = entry.config
        yield _look(f"export {entry.name}", lambda config=config: plan(Context(home), config, datetime.now(UTC)))  # type: ignore[misc]
    instance = Instance.find(home)
    yield Finding(
        f"Dagster is up at {instance.url}" if instance else "Dagster is not up (export-pipeline up starts it)"
    )


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
        return Finding(escape(f"{what}: {error.message}"), good=False, cure=error.cure)
    return Finding(escape(what))
