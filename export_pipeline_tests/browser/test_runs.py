"""A run's page: what it shows, running again, cancelling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from export_pipeline_tests.browser.homes import CHANGING
from export_pipeline_tests.browser.ui import ENDING, SECOND, Ui
from export_pipeline_tests.dagster_server import Server, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.server]
STAGES = ["plan", "extract", "filter", "aggregate", "write", "verify", "deliver"]


def plan(server: Server, run_id: str) -> Any:
    return json.loads(server.metadata(run_id, "plan")["plan"]["jsonString"])


def test_a_run_and_its_asset_show_what_was_done(ui: Ui, server: Server) -> None:
    run_id = server.finished("failed_commands")
    shown = server.materialization(run_id)
    ui.open(f"runs/{run_id}")
    ui.await_status("Success")
    for stage in STAGES:
        expect(ui.page.locator(f"[data-tooltip='{stage}']").first).to_be_visible()
    grip = ui.page.get_by_placeholder("Filter…").bounding_box()
    assert grip is not None
    ui.page.mouse.move(700, grip["y"] - 13)  # the line between timeline and events: down, all stages are seen
    ui.page.mouse.down()
    ui.page.mouse.move(700, grip["y"] + 90, steps=5)
    ui.page.mouse.up()
    ui.filter_events("step:write")
    expect(ui.page.get_by_text("View full message")).to_have_count(1)
    ui.picture("run")
    ui.page.get_by_text("View full message").click()
    dialog = ui.page.get_by_role("dialog").or_(ui.page.locator("[class*=Dialog]")).first
    expect(dialog.get_by_text(shown["sha256"]["text"])).to_be_visible()
    expect(dialog.locator("table th", has_text="duration_ms")).to_be_visible()
    assert dialog.locator("table table tbody tr, table table tr").count() >= 20
    ui.picture("metadata")

    ui.open("assets/exports/failed-commands?view=events")
    for label in ("what", "rows", "path", "sha256", "schema", "receipts"):
        expect(ui.page.get_by_text(label, exact=True).first).to_be_visible()
    expect(ui.page.get_by_text(shown["path"]["path"]).first).to_be_visible()
    ui.picture("asset")


def test_only_the_failed_stage_runs_again(ui: Ui, server: Server) -> None:
    ui.open_launchpad("blocked")
    first = ui.launch()
    ui.await_status("Failure")
    expect(ui.page.get_by_text("out/blocked cannot be written").first).to_be_visible()
    (server.home / "out" / "blocked").unlink()
    second = ui.reexecute("From failure")
    ui.await_status("Success")
    assert server.steps(first) == STAGES[:-1]
    assert server.steps(second) == STAGES[-1:]
    assert (server.home / "out" / "blocked" / "blocked.csv").is_file()
    assert server.run(second)["parentRunId"] == first


def test_an_old_run_runs_its_old_plan_again_whatever_its_file_says_now(ui: Ui, server: Server) -> None:
    first = server.finished("changing")
    (server.home / "exports" / "changing.yaml").write_text(CHANGING.replace('";"', '"|"'), encoding="utf-8")
    wait_for(lambda: "'|'" in server.default_yaml("changing"), 60, lambda: server.default_yaml("changing"))
    ui.open(f"runs/{first}")
    ui.await_status("Success")
    second = ui.reexecute()
    ui.await_status("Success")
    assert server.steps(second) == STAGES
    assert plan(server, second) == plan(server, first)
    assert plan(server, second)["config"]["format"]["csv"]["delimiter"] == ";"
    assert any(f"repeats the plan of run {first}" in line for line in server.told(second))


def test_a_long_run_is_cancelled(ui: Ui, server: Server) -> None:
    ui.open_launchpad("long")
    run_id = ui.launch()
    expect(ui.page.get_by_text('Started execution of step "write".')).to_be_visible(timeout=ENDING)
    staged = server.home / ".staging" / run_id
    worker = Path("/proc", str(server.worker(run_id)))
    assert staged.is_dir()
    assert worker.is_dir()
    ui.page.get_by_role("button", name="Terminate").click()
    ui.page.get_by_role("button", name="Terminate 1 run").click()
    ui.await_status("Canceled")
    assert server.run(run_id)["status"] == "CANCELED"
    wait_for(lambda: not worker.exists(), 20, lambda: f"{worker} lives on")
    assert not staged.exists()
    assert not list((server.home / "out").glob("long/**/*"))
    ui.page.wait_for_timeout(SECOND)  # whatever was to come has come
    assert not list((server.home / "out").glob("long/**/*"))
