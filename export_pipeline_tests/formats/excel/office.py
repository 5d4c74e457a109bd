"""LibreOffice opens workbooks, computes them, and says what it sees."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ASKED = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed"),
]
"""The marks of a module of tests that need it."""
_KINDS = {"csv": "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"}


def asked(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs it."""
    for mark in ASKED:
        test = mark(test)
    return test


def converted(path: Path, kind: str) -> Path:
    """Return a folder with the workbook in another form, computed anew; of csv each sheet is a file."""
    folder = path.parent / "office"
    subprocess.run(
        [
            "soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to",
            _KINDS.get(kind, kind), "--outdir", str(folder), str(path),
        ],
        check=True, capture_output=True, timeout=180,
    )  # fmt: skip
    return folder


def sheets(path: Path, *names: str) -> list[list[list[str]]]:
    """Return the cells of these sheets of a workbook as LibreOffice shows them."""
    folder, read = converted(path, "csv"), []
    for name in names:
        with (folder / f"{path.stem}-{name}.csv").open(encoding="utf-8", newline="") as file:
            read.append(list(csv.reader(file)))
    return read
