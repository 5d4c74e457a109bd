"""Exports through a real Dagster and its GraphQL, as the launchpad and other programs use it."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from export_pipeline import labels, yaml
from export_pipeline_tests.dagster_server import Server, wait_for
from export_pipeline_tests.defs.homes import FAILED, commands

pytestmark = pytest.mark.server


def output(server: Server, run_id: str) -> Path:
    """The file that a run delivered."""
    return Path(server.materialization(run_id)["path"]["path"])


def planned(server: Server, run_id: str) -> dict[str, Any]:
    """The plan that a run stored."""
    plan: dict[str, Any] = json.loads(server.metadata(run_id, "plan")["plan"]["jsonString"])
    return plan


@pytest.fixture(scope="module")
def plain(server: Server) -> str:
    """A run of the file as it is."""
    return server.finished("failed_commands")


def expected(separator: str = ";") -> str:
    rows = commands().filter((pl.col("status") == "failed") & (pl.col("id") < 900)).drop("text")
    return rows.write_csv(separator=separator, line_terminator="\r\n")


def test_each_file_is_a_job_and_a_broken_one_says_what_is_wrong_and_where(server: Server) -> None:
    jobs = server.jobs()
    assert {"export", "failed_commands", "broken", "deep", "big", "blocked"} <= set(jobs)
    assert "Commands that failed." in jobs["failed_commands"]
    assert "broken.yaml" in jobs["broken"]
    assert "line 5" in jobs["broken"]
    assert "did you mean 'delimiter'?" in jobs["broken"]


def test_a_broken_file_fails_by_name_and_line(server: Server) -> None:
    run_id = server.launch("broken")
    assert server.wait(run_id) == "FAILURE"
    (failure,) = (event for event in server.events(run_id) if event["__typename"] == "ExecutionStepFailureEvent")
    assert failure["stepKey"] == "plan"
    said = {entry["label"]: entry.get("text") for entry in failure["failureMetadata"]["metadataEntries"]}
    assert said["cause"].startswith("broken.yaml, line 5: format.csv: unknown option 'delimeter'")


def test_launched_with_nothing_a_job_runs_its_file(server: Server, plain: str) -> None:
    path = output(server, plain)
    assert path.parent == server.home / "out" / "failed"
    assert path.read_bytes().decode("utf-8-sig") == expected()
    assert server.steps(plain) == ["plan", "extract", "filter", "aggregate", "write", "verify", "deliver"]


def test_what_a_run_shows(server: Server, plain: str) -> None:
    run_id = plain
    shown = server.materialization(run_id)
    content = output(server, run_id).read_bytes()
    assert shown["key"] == ["exports", "failed-commands"]
    assert shown["rows"]["intRepr"] == "300"
    assert shown["sha256"]["text"] == hashlib.sha256(content).hexdigest()
    assert shown["bytes"]["intRepr"] == str(len(content))
    assert json.loads(shown["result"]["jsonString"])["files"][0]["rows"] == 300
    plan = server.metadata(run_id, "plan")
    assert {"what", "logical_time", "columns", "config_hash"} <= set(plan)
    assert server.metadata(run_id, "extract")["rows"]["intRepr"]
    write = server.metadata(run_id, "write")
    assert write["preview"]["__typename"] == "TableMetadataEntry"
    assert write["schema"]["__typename"] == "TableSchemaMetadataEntry"
    assert server.metadata(run_id, "verify")["verified"]["text"] == "300 rows, 4 columns"
    assert server.metadata(run_id, "deliver")["receipts"]["__typename"] == "TableMetadataEntry"
    tags = server.tags(run_id)
    assert tags[labels.EXPORT] == "failed-commands"
    assert tags["team"] == "ops"
    assert tags[labels.LOGICAL_TIME] == planned(server, run_id)["logical_time"]
    assert not (server.home / ".staging" / run_id).exists()


def test_the_launchpad_shows_the_files_own_values(server: Server) -> None:
    prefilled = yaml.load(server.default_yaml("failed_commands")).data
    file = yaml.load(FAILED).data
    assert prefilled == file
    assert yaml.load(server.default_yaml("export")).data in (None, {})


def test_one_nested_value_changes_that_value_alone(server: Server, plain: str) -> None:
    run_id = server.finished("failed_commands", {"format": {"csv": {"headers": False}}})
    assert output(server, run_id).read_bytes().decode("utf-8-sig") == expected().split("\r\n", 1)[1]
    original, changed = (planned(server, run)["config"] for run in (plain, run_id))
    assert changed["format"]["csv"].pop("headers") is False
    assert original["format"]["csv"].pop("headers") is True
    assert original == changed


def test_the_prefilled_text_with_one_value_edited_does_the_same(server: Server) -> None:
    text = server.default_yaml("failed_commands")
    edited = text.replace("delimiter: ;", "delimiter: ','")
    assert edited != text
    run_id = server.finished("failed_commands", edited)
    assert output(server, run_id).read_bytes().decode("utf-8-sig") == expected(",")


def test_a_value_is_taken_back_with_null(server: Server) -> None:
    run_id = server.finished("failed_commands", {"filter": None, "columns": None})
    assert server.materialization(run_id)["rows"]["intRepr"] == "1000"


def test_the_same_text_is_a_file_and_an_ad_hoc_run(server: Server, plain: str) -> None:
    run_id = server.finished("export", yaml.load(FAILED).data | {"name": "failed-commands"})
    plans = [planned(server, run) for run in (run_id, plain)]
    assert plans[0]["config_hash"] == plans[1]["config_hash"]
    assert plans[0]["config"] == plans[1]["config"]
    assert output(server, run_id).read_bytes() == output(server, plain).read_bytes()


def test_filters_six_levels_deep_run(server: Server) -> None:
    run_id = server.finished("deep")
    rows = commands().filter(pl.col("status") == "failed").height
    assert server.materialization(run_id)["rows"]["intRepr"] == str(rows)


@pytest.mark.parametrize(
    ("config", "kind", "said"),
    [
        ({"format": {"csv": {"delimeter": ";"}}}, "RunConfigValidationInvalid", "delimeter"),
        ({"limit": 0}, "PythonError", "limit: should be greater than or equal to 1, not 0"),
        ({"timezone": "Europe/Berln"}, "PythonError", "did you mean 'Europe/Berlin'?"),
        ({"file_name": {"env": "HOME"}}, "RunConfigValidationInvalid", "root:file_name"),
        ({"source": {"files": {"env": "HOME"}}}, "PythonError", "source.files: should be a list, not"),
    ],
)
def test_a_wrong_launch_is_refused_with_its_cause_first(
    server: Server, config: dict[str, Any], kind: str, said: str
) -> None:
    answer = server.try_launch("failed_commands", config)
    assert answer["__typename"] == kind, answer
    message = answer["message"] if kind == "PythonError" else answer["errors"][0]["message"]
    assert said in message.splitlines()[0]


def test_what_only_the_rows_can_tell_fails_the_plan_with_cause(server: Server) -> None:
    run_id = server.launch("failed_commands", {"columns": {"exclude": ["txt"]}})
    assert server.wait(run_id) == "FAILURE"
    assert any("did you mean 'text'?" in line for line in server.told(run_id))
    assert server.steps(run_id) == []


def test_an_old_run_runs_its_old_plan_again_whatever_its_file_says_now(server: Server) -> None:
    path = server.home / "exports" / "changing.yaml"
    path.write_text(FAILED.replace("value: 900", "value: 300"), encoding="utf-8")
    server.reload()
    old = server.finished("changing")
    path.write_text(FAILED.replace("value: 900", "value: 600"), encoding="utf-8")
    server.reload()
    again, new = server.reexecute(old), server.finished("changing")
    assert server.wait(again) == "SUCCESS"
    assert planned(server, again) == planned(server, old)
    assert server.tags(again)[labels.LOGICAL_TIME] == server.tags(old)[labels.LOGICAL_TIME]
    rows = [server.materialization(run)["rows"]["intRepr"] for run in (old, again, new)]
    assert rows == ["100", "100", "200"]
    receipts = json.loads(server.materialization(again)["result"]["jsonString"])["receipts"]
    assert receipts[0]["skipped"] is True
    path.write_text("source: [", encoding="utf-8")
    server.reload()
    assert "broken" in server.jobs()["changing"]
    once_more = server.reexecute(old)
    assert server.wait(once_more) == "SUCCESS"
    assert planned(server, once_more) == planned(server, old)


def test_a_failed_delivery_goes_on_from_there(server: Server) -> None:
    block = server.home / "out" / "blocked"
    block.write_text("in the way")
    failed = server.launch("blocked")
    assert server.wait(failed) == "FAILURE"
    assert server.steps(failed)[-1] == "verify"
    assert (server.home / ".staging" / failed).is_dir()
    block.unlink()
    again = server.reexecute(failed, "FROM_FAILURE")
    assert server.wait(again) == "SUCCESS", server.told(again)[-5:]
    assert server.steps(again) == ["deliver"]
    assert pl.read_csv(output(server, again)).height == 1000


def test_a_cancelled_run_stops_and_leaves_nothing(server: Server) -> None:
    rows = commands(2_000_000).with_columns(text=pl.col("id").hash(1).cast(pl.String))
    rows.write_parquet(server.home / "big.parquet")
    run_id = server.launch("big")
    assert server.wait(run_id, ("STARTED",)) == "STARTED"
    wait_for(lambda: "aggregate" in server.steps(run_id), 60, lambda: "the run did not come to write")
    time.sleep(0.5)
    worker = server.worker(run_id)
    assert Path(f"/proc/{worker}").exists()
    started = time.monotonic()
    assert server.terminate(run_id) == "TerminateRunSuccess"
    assert server.wait(run_id) == "CANCELED"
    assert time.monotonic() - started < 5
    wait_for(lambda: not Path(f"/proc/{worker}").exists(), 5, lambda: f"process {worker} is still there")
    assert not (server.home / ".staging" / run_id).exists()
    assert not (server.home / "out" / "big").exists()


def test_the_local_command_lines_rights_need_proof(server: Server, tmp_path: Path) -> None:
    outside = {labels.OUTPUT_ROOT: str(tmp_path)}
    run_id = server.launch("failed_commands", tags=outside)
    assert server.wait(run_id) == "FAILURE"
    assert any("is not in the home folder" in line for line in server.told(run_id))
    forged = server.launch("failed_commands", tags=outside | {labels.TRUST: "0" * 64})
    assert server.wait(forged) == "FAILURE"
    assert not list(tmp_path.iterdir())
