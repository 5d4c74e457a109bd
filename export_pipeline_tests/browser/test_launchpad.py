"""An export launched from the launchpad: what is filled in, what one changed line changes, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from export_pipeline import yaml
from export_pipeline.config import ExportConfig
from export_pipeline.parsing import parse, read
from export_pipeline_tests.browser.ui import Ui
from export_pipeline_tests.dagster_server import Server

pytestmark = [pytest.mark.browser, pytest.mark.server]


def planned(server: Server, run_id: str) -> Any:
    """The export that a run did, whole."""
    return json.loads(server.metadata(run_id, "plan")["plan"]["jsonString"])["config"]


def written(server: Server, name: str) -> Any:
    """The export that a file describes, whole."""
    return file_config(server, name).dump(defaults=True)


def file_config(server: Server, name: str) -> ExportConfig:
    return parse(ExportConfig, {"name": name} | read(server.home / "exports" / f"{name}.yaml").data)


def differences(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield where two values differ: path, the one, the other."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differences(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{path}[{number}]")
    elif one != other:
        yield path, one, other


def test_the_launchpad_is_filled_with_the_files_values_and_a_changed_one_changes_alone(ui: Ui, server: Server) -> None:
    ui.open("jobs")
    ui.page.locator("a[href$='/jobs/failed_commands']").click()
    ui.page.get_by_text("Launchpad", exact=True).first.click()
    expect(ui.page.get_by_text("No errors")).to_be_visible()
    shown = parse(ExportConfig, {"name": "failed-commands"} | yaml.load(ui.text()).data)
    assert shown == file_config(server, "failed-commands").replace(schedule=None)

    ui.change("    delimiter: ;", ";", "'|'")
    expect(ui.page.get_by_text("No errors")).to_be_visible()
    ui.picture("launchpad")
    run_id = ui.launch()
    ui.await_status("Success")
    assert list(differences(written(server, "failed-commands"), planned(server, run_id))) == [
        (".format.csv.delimiter", ";", "|")
    ]
    header = Path(server.materialization(run_id)["path"]["path"]).read_text("utf-8-sig").splitlines()[0]
    assert header.startswith("id|agent|command|status|")


def test_a_value_six_levels_deep_changes_alone(ui: Ui, server: Server) -> None:
    ui.open_launchpad("deep")
    ui.change("              value: failed", "failed", "timeout")
    run_id = ui.launch()
    ui.await_status("Success")
    (found,) = differences(written(server, "deep"), planned(server, run_id))
    assert found == (".filter.and[0].not.and[0].not.and[0].where.value", "failed", "timeout")


def test_an_unknown_option_is_named_before_anything_is_launched(ui: Ui) -> None:
    ui.open_launchpad("failed_commands")
    ui.change("    delimiter: ;", "delimiter: ;", "delimeter: x")
    expect(ui.page.get_by_text('Received unexpected config entry "delimeter" at path root:format:csv')).to_be_visible()
    expect(ui.launch_button).to_be_disabled()


def test_a_wrong_value_is_refused_with_its_cause_first(ui: Ui) -> None:
    ui.open_launchpad("failed_commands")
    ui.change("      last: 7 days", "7 days", "7 dogs")
    expect(ui.page.get_by_text("No errors")).to_be_visible()
    ui.launch_button.click()
    said = ui.page.get_by_role("dialog").or_(ui.page.locator("[class*=Dialog]")).first
    expect(said).to_contain_text("filter.and[0].time_range: unknown unit 'dogs' in '7 dogs'")
    assert "/runs/" not in ui.page.url
