"""A home folder with a former good file, and runs that must fail without touching it."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import yaml

from export_pipeline.catalog import load_file
from export_pipeline.config import ExportConfig
from export_pipeline.errors import ExportError
from export_pipeline.home import Home
from export_pipeline.ledger import Ledger, State
from export_pipeline.pipeline import Context, Progress, Result, run

FORMER = b"the former good file\n"
FORMER_TIME = 1_700_000_000_000_000_000
STORES = "stores: {live: {sqlite: live.sqlite}, archive: {duckdb: archive.duckdb}}"
LIVE, ARCHIVE = {"store": "live", "dataset": "commands"}, {"store": "archive", "dataset": "commands"}
WHEN = datetime(2026, 11, 5, 9, 30, tzinfo=UTC)


def rows(count: int = 2000) -> pl.DataFrame:
    """Return commands with a column of every common type; two of three texts differ, so that they do not compress."""
    return pl.DataFrame(
        {
            "id": range(1, count + 1),
            "agent": [f"agent-{n % 7}" for n in range(count)],
            "status": ["failed" if n % 10 == 0 else "success" for n in range(count)],
            "cost": [n / 7 for n in range(count)],
            "at": [datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=n % 5000) for n in range(count)],
            "digest": [hashlib.sha256(str(n).encode()).hexdigest() for n in range(count)],
        }
    )


@dataclass
class Desk:
    """A home folder in which exports are run."""

    home: Home
    seen: list[Progress] = field(default_factory=list)
    """What the last run told of its progress: nothing where nothing was read."""

    @property
    def out(self) -> Path:
        return self.home.out

    def config(self, **changes: Any) -> ExportConfig:
        """Return an export of ``commands.parquet`` with these changes (None: without it); it goes through a file."""
        source = {"files": "commands.parquet", "time": "at", "status": "status", "agent": "agent"}
        body = {"name": "report", "source": source, "file_name": "report"} | changes
        return self.yaml(
            yaml.safe_dump({key: given for key, given in body.items() if given is not None}, sort_keys=False)
        )

    def yaml(self, text: str) -> ExportConfig:
        path = self.home.exports / "report.yaml"
        path.write_text(text, "utf-8")
        return load_file(path)

    def run(self, config: ExportConfig, **context: Any) -> Result:
        """Run an export; nothing is staged afterwards, however it ends."""
        self.seen.clear()
        context.setdefault("progress", self.seen.append)
        try:
            return run(config, Context(self.home, **context), logical_time=WHEN)
        finally:
            assert list(self.home.staging.iterdir()) == [], "left in staging"

    def refused(self, kind: type[ExportError], *words: str, nothing_read: bool = False, **changes: Any) -> ExportError:
        """Make and run an export that must fail with exactly this class; `words` are patterns of its text."""
        before = self.snapshot()
        with pytest.raises(ExportError) as caught:
            self.run(self.config(**changes))
        self.check(caught.value, kind, *words)
        assert self.snapshot() == before, "the output folder was changed"
        if nothing_read:
            assert self.seen == []
        return caught.value

    def check(self, error: ExportError, kind: type[ExportError], *words: str) -> None:
        """Check that an error is of this class, names what is wrong, and that the ledger has no receipt."""
        assert type(error) is kind, repr(error)
        for word in words:
            assert re.search(word, str(error)), f"{word!r} is not in: {error}"
        assert self.verified() == 0

    def verified(self) -> int:
        """Return how many deliveries have a receipt."""
        return len(Ledger(self.home.ledger_url).entries(state=State.VERIFIED))

    def snapshot(self) -> dict[str, tuple[bytes, int]]:
        """Return everything below the output folder, hidden files too: bytes and time of the last change."""
        return {
            str(path.relative_to(self.out)): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in sorted(self.out.rglob("*"))
            if path.is_file()
        }

    def former(self, ending: str = ".csv") -> Path:
        """Put a former good file under the name that the export will deliver to."""
        path = self.out / f"report{ending}"
        path.write_bytes(FORMER)
        os.utime(path, ns=(FORMER_TIME, FORMER_TIME))
        return path


def desk_in(folder: Path, count: int = 2000) -> Desk:
    """Return a desk with ``commands.parquet`` of so many rows, and a former good CSV file."""
    home = Home(folder / "home").create()
    rows(count).write_parquet(home.root / "commands.parquet", row_group_size=500)
    made = Desk(home)
    made.former()
    return made


def with_stores(desk: Desk) -> Desk:
    """Add a SQLite file and a DuckDB file with a table of commands."""
    root = desk.home.root
    (root / "stores.yaml").write_text(STORES)
    some = rows(500).select("id", "agent", "status", "cost")
    with closing(sqlite3.connect(root / "live.sqlite")) as live, live:
        live.execute("create table commands (id integer, agent text, status text, cost real)")
        live.executemany("insert into commands values (?, ?, ?, ?)", some.rows())
    with duckdb.connect(str(root / "archive.duckdb")) as archive:
        archive.register("given", some.to_arrow())
        archive.execute("create table commands as select * from given")
    return desk


@contextmanager
def small_disk(folder: Path, size: str = "2m") -> Iterator[Path]:
    """Mount a small disk over a folder; skips where that is not allowed."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
