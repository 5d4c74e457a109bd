"""What Dagster's daemon does by itself: schedules that tick, sensors that tell, queues and workers that die."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from export_pipeline import labels
from export_pipeline_tests.dagster_server import Server, wait_for
from export_pipeline_tests.defs.homes import FAILED, commands
from export_pipeline_tests.receiver import Receiver

pytestmark = pytest.mark.server

ALARMED = """
source: {{files: missing.parquet}}
file_name: "{{name}}"
notify:
  - webhook: {{url: "{url}", on: [failure, recovery]}}
"""


@pytest.fixture
def listening() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    yield receiver
    receiver.shutdown()
    receiver.server_close()
    thread.join()


def told(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(body) for _, _, body in receiver.got]


def test_a_failure_is_told_once_and_its_end_too(server: Server, listening: Receiver) -> None:
    path = server.home / "exports" / "alarmed.yaml"
    path.write_text(ALARMED.format(url=listening.url), encoding="utf-8")
    server.reload()
    failed = [server.launch("alarmed"), server.launch("alarmed")]
    assert [server.wait(run_id) for run_id in failed] == ["FAILURE", "FAILURE"]
    wait_for(lambda: bool(listening.got), 60, lambda: "nobody was told")
    commands(10).write_parquet(server.home / "missing.parquet")
    server.finished("alarmed")
    wait_for(lambda: len(listening.got) > 1, 60, lambda: f"nobody was told of the recovery: {told(listening)}")
    failure, recovery = told(listening)
    assert failure["type"] == "export.failure"
    assert failure["data"]["export"] == "alarmed"
    assert failure["data"]["run_id"] in failed
    assert "missing.parquet" in failure["data"]["message"]
    assert failure["data"]["stage"] == "plan"
    assert recovery["type"] == "export.recovery"
    path.unlink()
    server.reload()


def test_a_worker_that_is_killed_is_started_again_once_and_delivers_once(server: Server) -> None:
    server.home.joinpath("big.parquet").unlink(missing_ok=True)
    commands(1_000_000).write_parquet(server.home / "big.parquet")
    run_id = server.launch("big", {"deliver": [{"local": {"folder": "killed"}}]})
    wait_for(lambda: "aggregate" in server.steps(run_id), 60, lambda: "the run did not come to write")
    os.kill(server.worker(run_id), signal.SIGKILL)
    assert server.wait(run_id) == "FAILURE"
    query = "query($f: RunsFilter!) { runsOrError(filter: $f) { ... on Runs { results { runId status } } } }"
    tag = {"tags": [{"key": "dagster/parent_run_id", "value": run_id}]}

    def again() -> list[str]:
        return [run["runId"] for run in server.query(query, f=tag)["runsOrError"]["results"]]

    wait_for(lambda: bool(again()), 60, lambda: "the run was not started again")
    (second,) = again()
    assert server.wait(second) == "SUCCESS", server.told(second)[-5:]
    assert server.steps(second)[-1] == "deliver"
    assert "extract" not in server.steps(second)
    delivered = list((server.home / "out" / "killed").iterdir())
    assert len(delivered) == 1


def test_a_cancel_is_heard_between_two_attempts(server: Server) -> None:
    store = {"source": {"store": "locked", "dataset": "rows"}, "retry": {"attempts": 5, "delay": "2m"}}
    with duckdb.connect(server.home / "locked.duckdb") as held:
        held.execute("create table rows as select 1 as id")
        run_id = server.launch("export", store)
        said = "Retry 1 of 5 in 120 s"
        wait_for(lambda: any(said in line for line in server.told(run_id)), 60, lambda: str(server.told(run_id)))
    time.sleep(1)
    started = time.monotonic()
    assert server.terminate(run_id) == "TerminateRunSuccess"
    assert server.wait(run_id) == "CANCELED"
    assert time.monotonic() - started < 5
    wait_for(lambda: not (server.home / ".staging" / run_id).exists(), 10, lambda: "its folder is still there")


@pytest.mark.slow
def test_a_new_schedule_ticks_within_two_minutes_of_its_file(server: Server) -> None:
    path = server.home / "exports" / "minutely.yaml"
    path.write_text(FAILED + "schedule: {cron: '* * * * *'}\n", encoding="utf-8")
    server.reload()
    started = datetime.now(UTC)
    query = """query($f: RunsFilter!) { runsOrError(filter: $f) { ... on Runs { results {
      runId status tags { key value } } } } }"""
    only = {"pipelineName": "minutely"}

    def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = server.query(query, f=only)["runsOrError"]["results"]
        return found

    wait_for(lambda: bool(runs()), 125, lambda: "the schedule did not tick")
    run = runs()[-1]
    assert server.wait(run["runId"]) == "SUCCESS"
    path.unlink()
    server.reload()
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert tags[labels.TRIGGER] == "schedule"
    due = datetime.fromisoformat(tags[labels.LOGICAL_TIME])
    assert due > started.replace(second=0, microsecond=0)
    assert (due.second, due.microsecond) == (0, 0)
