"""Fixtures for every test."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from export_pipeline.ledger import Ledger
from export_pipeline_tests.servers import postgres

__all__ = ["postgres"]

# A test beside another may take its time; how fast things are, the benchmarks measure.
settings.register_profile("beside others", deadline=None)
settings.load_profile("beside others")


def pytest_configure() -> None:
    """Undo what whoever started the tests in the background passes on to every process that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty ledger, once in each database that can hold one."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    url: str = request.getfixturevalue("postgres").fresh()
    return url


@pytest.fixture
def ledger(ledger_url: str) -> Ledger:
    """An empty ledger, once in each database that can hold one."""
    return Ledger(ledger_url)
