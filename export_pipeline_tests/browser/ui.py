"""Dagster's pages as a person uses them: the launchpad's editor, a run's buttons, what is visible."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from export_pipeline_tests.dagster_server import MODULE

PICTURES = "EXPORT_PIPELINE_PICTURES"
"""Environment variable: a folder to save the pictures of the documentation in."""
SECOND = 1000.0
ENDING = 180 * SECOND
"""How long a run may take on a busy machine."""


@dataclass(frozen=True)
class Ui:
    """A page of Dagster's UI."""

    page: Page
    url: str

    def open(self, path: str) -> None:
        self.page.goto(f"{self.url}/{path}")

    def open_job(self, job: str, tab: str = "") -> None:
        self.open(f"locations/{MODULE}/jobs/{job}/{tab}")

    def open_launchpad(self, job: str) -> None:
        """Open a job's launchpad; it is ready when its text was checked."""
        self.open_job(job)
        self.page.get_by_text("Launchpad", exact=True).first.click()
        expect(self.page.get_by_text("No errors")).to_be_visible()

    def text(self) -> str:
        """What the editor holds."""
        found: str = self.page.evaluate("document.querySelector('.CodeMirror').CodeMirror.getValue()")
        return found

    def change(self, line: str, old: str, new: str) -> None:
        """Type `new` in place of `old`, with which that line of the editor ends."""
        before = self.text()
        assert before.count(f"{line}\n") == 1
        assert line.endswith(old)
        self.page.locator(".CodeMirror-line", has_text=line).click()
        self.page.keyboard.press("End")
        for _ in old:
            self.page.keyboard.press("Backspace")
        self.page.keyboard.type(new, delay=30)
        self.page.keyboard.press("Escape")  # away with completions
        assert self.text() == before.replace(f"{line}\n", f"{line.removesuffix(old)}{new}\n")

    @property
    def launch_button(self) -> Locator:
        return self.page.get_by_role("button", name="Launch Run")

    def launch(self) -> str:
        """Press the button; return the id of the run whose page opens."""
        expect(self.launch_button).to_be_enabled()
        self.launch_button.click()
        return self.run_id()

    def run_id(self, other: str = "") -> str:
        """Wait for the page of a run, other than that one; return the run's id."""
        self.page.wait_for_url(lambda url: "/runs/" in url and not url.endswith(f"/{other}"))
        found = re.search(r"/runs/([0-9a-f-]{36})", self.page.url)
        assert found is not None, self.page.url
        return found[1]

    def await_status(self, status: str) -> None:
        """Wait until the page says that the run is so."""
        expect(self.page.get_by_text(status, exact=True).first).to_be_visible(timeout=ENDING)

    def reexecute(self, choice: str | None = None) -> str:
        """Run again as a whole, or by a choice of the menu beside the button; return the new run's id."""
        old = self.run_id()
        button = self.page.get_by_role("button", name="Re-execute")
        if choice is None:
            button.click()
        else:
            button.locator("xpath=following::button[1]").click()
            self.page.get_by_role("menuitem", name=choice).click()
        return self.run_id(other=old)

    def filter_events(self, text: str) -> None:
        """Show only these events of a run."""
        self.page.get_by_placeholder("Filter…").fill(text)

    def picture(self, name: str) -> None:
        """Save what is visible for the documentation, if that is wanted."""
        if folder := os.environ.get(PICTURES):
            self.page.wait_for_timeout(2 * SECOND)  # pages fade in
            self.page.screenshot(path=Path(folder) / f"{name}.png")
