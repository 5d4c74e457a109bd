from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

COMMANDS = """
description: Commands that went wrong
timezone: Europe/Berlin
source: {files: commands.parquet, time: at, status: status}
filter: {status: [failed, timeout]}
sort: [-id]
format: {csv: {delimiter: ";"}}
file_name: "{name}"
deliver: [{local: {folder: reports}}]
"""
WAITING = """
source: {store: locked, dataset: rows}
retry: {attempts: 5, delay: 60s}
"""
SLOW = """
source: {files: big.parquet}
sort: [-text, id]
format: csv
file_name: slow
"""


def make_home(folder: Path, rows: int = 500, big: int = 0) -> Path:
    """Write a home folder with a few exports, and a table that takes a while if `big` says how long it is."""
    (folder / "exports").mkdir(parents=True)
    states = pl.Series(["success", "failed", "timeout", "cancelled", "success"])
    pl.DataFrame({"id": range(rows)}).with_columns(
        status=states.gather(pl.Series([i % 5 for i in range(rows)])),
        at=pl.datetime(2026, 11, 1, time_zone="UTC") + pl.duration(minutes=pl.col("id")),
        cost=pl.col("id") / 7,
    ).write_parquet(folder / "commands.parquet")
    if big:
        pl.select(id=pl.int_range(big)).with_columns(text=pl.col("id").hash(3).cast(pl.String)).write_parquet(
            folder / "big.parquet", row_group_size=30_000
        )
        (folder / "exports" / "slow.yaml").write_text(SLOW)
    (folder / "exports" / "failed-commands.yaml").write_text(COMMANDS)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder of one's own."""
    return make_home(tmp_path / "home")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder that all tests run exports in; its history grows.

    The export `waiting` reads a store that this process keeps locked: its run waits for its next attempt.
    """
    folder = make_home(tmp_path_factory.mktemp("shared") / "home", big=4_000_000)
    (folder / "exports" / "waiting.yaml").write_text(WAITING)
    (folder / "stores.yaml").write_text("stores: {locked: {duckdb: locked.duckdb}}")
    with duckdb.connect(folder / "locked.duckdb") as held:
        held.execute("create table rows as select 1 as id")
        yield folder
