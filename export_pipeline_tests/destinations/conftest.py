"""What a delivery needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from export_pipeline.destinations import Request
from export_pipeline.ledger import Ledger
from export_pipeline.manifest import Written
from export_pipeline_tests.destinations.local_files import DATA, NOON, staged


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    """A request whose root is ``out`` in the temporary folder."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    return Request("orders", "run-1", NOON, "csv", "c0ffee", ledger, tmp_path / "out")


@pytest.fixture
def file(tmp_path: Path) -> Written:
    """A finished file."""
    return staged(tmp_path, DATA)
