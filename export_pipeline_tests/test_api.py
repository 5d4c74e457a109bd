"""The package's public surface."""

from __future__ import annotations

import subprocess
import sys

import export_pipeline


def test_all_that_is_named_is_there_and_sorted() -> None:
    assert export_pipeline.__all__ == sorted(export_pipeline.__all__)
    assert all(getattr(export_pipeline, name).__name__ == name for name in export_pipeline.__all__)
    assert set(export_pipeline.__all__) == set(export_pipeline._MODULES)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, export_pipeline.cli; print([m for m in ('dagster', 'duckdb', 'openpyxl') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
