"""An interrupt is acted on wherever it arrives: where Python drops exceptions, where a library makes its own of it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from export_pipeline.home import Home
from export_pipeline.service import ExportService
from export_pipeline_tests.cli.conftest import make_home
from export_pipeline_tests.cli.terminal import environment

DRIVER = """
import os, signal, sys, weakref
from export_pipeline.catalog import Catalog
from export_pipeline.cli import main

class Held: pass
class Ended:
    def __del__(self): press()
class PanicException(BaseException): pass  # as of libraries in Rust

def press():
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(100): pass  # the interpreter looks for signals between its steps

def load(self, name, real=Catalog.load):
{place}
    return real(self, name)

Catalog.load = load
sys.argv = ["export-pipeline", *sys.argv[1:]]
main()
"""
PLACES = {
    "as it is": "press()",
    "dropped in a callback": "held = Held(); seen = weakref.ref(held, lambda _: press()); del held",
    "dropped in a finalizer": "Ended()",
    "an error of the library": """
        try: press()
        except KeyboardInterrupt: raise RuntimeError("could not be loaded") from None
        """,
    "a panic": """
        try: press()
        except KeyboardInterrupt: raise PanicException("called `Result::unwrap()` on an `Err` value") from None
        """,
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_what_was_stopped_does_not_begin(place: str, tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER.format(place=textwrap.indent(textwrap.dedent(place), "    ")))
    done = subprocess.run(
        [sys.executable, str(driver), "--home", str(home), "run", "failed-commands"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[0] == "cancelled: nothing half-written is left"
    assert len(done.stderr.splitlines()) == 3
    assert ExportService(Home(home)).get_export_history() == []
    assert not any((home / "out").rglob("*"))
