from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from export_pipeline_tests.dagster_server import Server, dagster_server
from export_pipeline_tests.defs.homes import BROKEN, FAILED, deep, home

BIG = """
source: {files: big.parquet}
sort: [-text, id]
format: csv
deliver: [{local: {folder: big}}]
"""
BLOCKED = """
source: {files: commands.parquet}
file_name: "{name}"
deliver: [{local: {folder: blocked/here}}]
retry: {attempts: 0}
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Dagster for all tests of the session, on a home with a few exports; one of them is broken."""
    folder: Path = tmp_path_factory.mktemp("served")
    made = home(
        folder / "home",
        {"failed-commands": FAILED, "broken": BROKEN, "deep": deep(6), "big": BIG, "blocked": BLOCKED},
    )
    made.stores.write_text(
        "stores:\n  locked:\n    duckdb:\n      path: locked.duckdb\n      datasets: {rows: {table: rows}}\n"
    )
    with dagster_server(made.root, folder / "dagster") as running:
        yield running
