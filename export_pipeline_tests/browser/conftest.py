"""One `export-pipeline up` and one Chromium for all tests of this folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from export_pipeline.home import VARIABLE
from export_pipeline_tests.browser.homes import make_home
from export_pipeline_tests.browser.ui import SECOND, Ui
from export_pipeline_tests.dagster_server import Server, free_port, wait_for
from export_pipeline_tests.servers import absent

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 60 * SECOND


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Chromium; closed after this folder's tests: as long as it is open there is an event loop in this thread."""
    program = shutil.which("chromium")
    if program is None:
        absent("chromium")
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """What `up` serves, ended with Ctrl-C."""
    folder: Path = tmp_path_factory.mktemp("browser")
    home = make_home(folder / "home")
    port = free_port()
    said = folder / "up.txt"
    command = [sys.executable, "-m", "export_pipeline", "up", "--port", str(port)]
    with said.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=os.environ | {VARIABLE: str(home.root)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    try:

        def answers() -> bool:
            assert process.poll() is None, said.read_text()
            return "Dagster UI" in said.read_text()

        wait_for(answers, 180, said.read_text)
        yield Server(f"http://127.0.0.1:{port}", home.root, home.dagster, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, said.read_text()
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def ui(chromium: Browser, server: Server) -> Iterator[Ui]:
    """A new window of somebody who has not been here before."""
    with chromium.new_context(viewport={"width": 1400, "height": 850}) as context:
        context.set_default_timeout(PATIENCE)
        yield Ui(context.new_page(), server.url)
