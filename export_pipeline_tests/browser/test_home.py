"""What `up` serves of a home folder: files that are saved, files that are broken, schedules, the README's commands."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

import export_pipeline
from export_pipeline_tests.browser.homes import CHANGING, MENDED
from export_pipeline_tests.browser.ui import Ui
from export_pipeline_tests.dagster_server import MODULE, Server, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.server]
README = Path(export_pipeline.__file__).parent.parent / "README.md"
STATE = """query($s: ScheduleSelector!) { scheduleOrError(scheduleSelector: $s) {
  ... on Schedule { executionTimezone scheduleState { status } } } }"""


def test_a_saved_export_is_a_job_within_seconds(server: Server) -> None:
    (server.home / "exports" / "brand-new.yaml").write_text(CHANGING, encoding="utf-8")
    saved = time.monotonic()
    wait_for(lambda: "brand_new" in server.jobs(), 30, lambda: str(server.jobs().keys()))
    seconds = time.monotonic() - saved
    print(f"a saved export was a job after {seconds:.1f} s")
    assert seconds < 15  # 5 s on a quiet machine


def test_a_broken_export_says_by_name_and_line_what_is_wrong_until_it_is_mended(ui: Ui, server: Server) -> None:
    ui.open("jobs")
    for job in ("broken", "failed_commands", "partner_feed", "export"):
        expect(ui.page.locator(f"a[href$='/jobs/{job}']")).to_be_visible()
    ui.open_job("broken")
    said = ui.page.get_by_text("broken.yaml, line 4: format.csv: unknown option 'delimeter'")
    expect(said).to_be_visible()
    box = said.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 1400  # nothing of it is cut off
    (server.home / "exports" / "broken.yaml").write_text(MENDED, encoding="utf-8")
    wait_for(lambda: "is broken" not in server.jobs()["broken"], 60, lambda: server.jobs()["broken"])
    ui.open_launchpad("broken")
    assert "delimiter: ;" in ui.text()


def test_schedules_show_zone_and_next_tick_and_can_be_switched(ui: Ui, server: Server) -> None:
    ui.open("automation")
    ui.page.locator("a[href$='/schedules/failed_commands_schedule']").first.click()
    expect(
        ui.page.get_by_text("Runs every day at 06:30, only between 06:00 and 09:00 (Europe/Berlin).")
    ).to_be_visible()
    expect(ui.page.get_by_text("Europe/Berlin", exact=True)).to_be_visible()
    expect(ui.page.get_by_text(re.compile(r"\d, 6:30:00 AM GMT\+[12]"))).to_be_visible()
    assert state(server, "failed_commands") == ("Europe/Berlin", "RUNNING")
    switch = ui.page.locator("label[class*=formatSwitch]")
    for expected in ("STOPPED", "RUNNING"):
        switch.click()
        wait_for(lambda e=expected: state(server, "failed_commands")[1] == e, 30, lambda: "the switch does nothing")  # type: ignore[misc]


def state(server: Server, job: str) -> tuple[str, str]:
    """The zone of a job's schedule, and whether it runs."""
    selector = {"repositoryLocationName": MODULE, "repositoryName": "__repository__", "scheduleName": f"{job}_schedule"}
    found = server.query(STATE, s=selector)["scheduleOrError"]
    return found["executionTimezone"], found["scheduleState"]["status"]


def test_the_readmes_commands_launch_follow_and_cancel(server: Server) -> None:
    section = README.read_text(encoding="utf-8").split("## From elsewhere: GraphQL")[1]
    launch, follow, cancel = section.split("```sh\n")[1].split("```")[0].strip().split("\n\n")

    def answer(command: str, run_id: str = "") -> dict[str, dict[str, str]]:
        assert "http://127.0.0.1:3000" in command
        here = command.replace("http://127.0.0.1:3000", server.url).replace("RUN_ID", run_id)
        done = subprocess.run(["bash", "-c", here], capture_output=True, check=True, timeout=120)
        found: dict[str, dict[str, str]] = json.loads(done.stdout)["data"]
        return found

    launched = answer(launch)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess"
    done = launched["run"]["runId"]  # type: ignore[index]
    assert server.wait(done) == "SUCCESS"
    assert answer(follow, done)["runOrError"]["status"] == "SUCCESS"
    plan = json.loads(server.metadata(done, "plan")["plan"]["jsonString"])
    assert plan["config"]["limit"] == 100
    stopped = server.launch("long")
    assert server.wait(stopped, until=("STARTED",)) == "STARTED"
    assert answer(cancel, stopped)["terminateRun"]["__typename"] == "TerminateRunSuccess"
    assert server.wait(stopped) == "CANCELED"
