from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl
import pytest

from export_pipeline.defs.instance import settings
from export_pipeline.home import Home
from export_pipeline.instance import Instance
from export_pipeline_tests.cli.terminal import PROGRAM, environment, living
from export_pipeline_tests.dagster_server import wait_for

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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder that all tests of a file run exports in; its history grows.

    The export `waiting` reads a store that this process keeps locked: its run waits for its next attempt.
    """
    folder = make_home(tmp_path_factory.mktemp("shared") / "home", big=4_000_000)
    (folder / "exports" / "waiting.yaml").write_text(WAITING)
    (folder / "stores.yaml").write_text("stores: {locked: {duckdb: locked.duckdb}}")
    with duckdb.connect(folder / "locked.duckdb") as held:
        held.execute("create table rows as select 1 as id")
        yield folder


@dataclass(frozen=True)
class Up:
    """A running `up`, started in the background of a shell that turned signals off."""

    home: Path
    pid: int
    busy: int
    """The port that it was asked for, which somebody else has."""
    log: Path

    @property
    def text(self) -> str:
        """What it wrote."""
        return self.log.read_text()

    @property
    def instance(self) -> Instance:
        """Where it answers."""
        found = Instance.find(Home(self.home))
        assert found is not None, self.text
        return found


@contextlib.contextmanager
def started(home: Path, port: int) -> Iterator[Up]:
    """Start `up` as a script does, and wait until it says where it answers."""
    log = home.parent / "up.txt"
    line = f"{shlex.join([*PROGRAM, '--home', str(home), 'up', '--port', str(port)])} > {log} 2>&1 & echo $!"
    pid = int(subprocess.run(["sh", "-c", line], env=environment(), stdout=subprocess.PIPE, check=True).stdout)
    try:
        wait_for(lambda: "Ctrl-C stops it" in log.read_text(), 120, log.read_text)
        yield Up(home, pid, port, log)
    finally:
        if living(pid):
            os.kill(pid, signal.SIGTERM)
            wait_for(lambda: not living(pid), 60, log.read_text)


@pytest.fixture(scope="module")
def up(shared: Path) -> Iterator[Up]:
    """One `up` for all tests of a file; it runs one export at a time, as the home's own settings say."""
    (shared / ".dagster").mkdir(exist_ok=True)
    own = settings().replace("max_concurrent_runs: 8", "max_concurrent_runs: 1")
    (shared / ".dagster" / "dagster.yaml").write_text(own)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with started(shared, taken.getsockname()[1]) as running:
            yield running
