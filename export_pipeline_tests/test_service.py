"""The service without an instance: histories with runs that lost their process, and the worker's protocol."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from export_pipeline import labels
from export_pipeline.defs.instance import open_instance
from export_pipeline.defs.lives import alive, bury, bury_abandoned, end, lives
from export_pipeline.errors import ConfigError, ExportError, NotFoundError
from export_pipeline.home import Home
from export_pipeline.launches import Launch
from export_pipeline.service import ExportService
from export_pipeline.workers import MODULE, Worker

STATUS = dg.DagsterRunStatus
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("export_pipeline.definitions"), "__repository__"), "rows"
)
"""What runs of an instance have."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home").create()
    (made.root / "rows.csv").write_text("id,name\n1,a\n2,b\n")
    (made.exports / "rows.yaml").write_text('source: {files: rows.csv}\nformat: parquet\nfile_name: "{name}"\n')
    return made


@pytest.fixture
def dagster(home: Home) -> Iterator[dg.DagsterInstance]:
    with open_instance(home) as instance:
        yield instance


def _run(dagster: dg.DagsterInstance, status: STATUS, *, worker: bool = True) -> str:
    """Write a run into the history; return its id."""
    tags = {labels.EXPORT: "rows"} | ({labels.WORKER: "1"} if worker else {})
    run = dg.DagsterRun(job_name="rows", run_id=str(uuid4()), status=status, tags=tags, remote_job_origin=ORIGIN)
    dagster.add_run(run)
    return run.run_id


def _status(dagster: dg.DagsterInstance, run_id: str) -> STATUS:
    run = dagster.get_run_by_id(run_id)
    assert run is not None
    return run.status


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (STATUS.NOT_STARTED, STATUS.FAILURE),
        (STATUS.STARTED, STATUS.FAILURE),
        (STATUS.CANCELING, STATUS.CANCELED),
        (STATUS.SUCCESS, STATUS.SUCCESS),
        (STATUS.QUEUED, STATUS.QUEUED),
    ],
)
def test_runs_without_a_process_end(dagster: dg.DagsterInstance, home: Home, before: STATUS, after: STATUS) -> None:
    run_id, other = _run(dagster, before), _run(dagster, before, worker=False)
    with alive(home.dagster, run_id):
        assert lives(home.dagster, run_id)
        assert bury(dagster, home) == []
        assert _status(dagster, run_id) is before
    assert not lives(home.dagster, run_id)
    assert bury(dagster, home) == ([run_id] if before is not after else [])
    assert (_status(dagster, run_id), _status(dagster, other)) == (after, before)
    assert bury_abandoned(dagster, home) == ([other] if before is not after else [])
    assert _status(dagster, other) is after
    assert list((home.dagster / "workers").iterdir()) == []


def test_a_run_that_was_over_when_it_was_cancelled_stays_what_it_was(dagster: dg.DagsterInstance) -> None:
    run_id = _run(dagster, STATUS.STARTED)
    run = dagster.get_run_by_id(run_id)
    assert run is not None
    dagster.report_dagster_event(
        dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_SUCCESS.value, job_name="rows"), run_id
    )
    dagster.report_run_canceling(run)
    cancelling = dagster.get_run_by_id(run_id)
    assert cancelling is not None
    assert cancelling.status is STATUS.CANCELING
    end(dagster, cancelling)
    assert _status(dagster, run_id) is STATUS.SUCCESS


def test_ids_may_be_short(dagster: dg.DagsterInstance, home: Home) -> None:
    run_id = _run(dagster, STATUS.SUCCESS)
    service = ExportService(home)
    assert service.get_export_status(run_id[:8])[0].run_id == run_id
    with pytest.raises(NotFoundError, match="there is no run 'zzz'"):
        service.get_export_status("zzz")
    with pytest.raises(NotFoundError, match="there is no run ''"):
        service.get_export_status("")
    with pytest.raises(ConfigError, match="is over: done"):
        service.cancel_export(run_id[:8])


def test_cancel_where_nobody_works(dagster: dg.DagsterInstance, home: Home) -> None:
    service = ExportService(home)
    queued, lost = _run(dagster, STATUS.QUEUED, worker=False), _run(dagster, STATUS.STARTED, worker=False)
    assert service.cancel_export(queued).state == "cancelled"
    assert service.cancel_export(lost).state == "cancelled"
    latest = service.get_export_history("rows", limit=1)
    assert [result.run_id for _, result in latest] == [lost]
    assert service.get_export_history("nope") == []


def test_two_exports_at_once(home: Home) -> None:
    """Two of one export at once, in a home that is new: both are right, each is in the history."""
    service = ExportService(home)
    results = []

    def go() -> None:
        results.append(service.export_data(Launch(job="rows", export="rows")))

    both = [threading.Thread(target=go) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [result.state for result in results] == ["done", "done"], results
    assert {result.run_id for _, result in service.get_export_history()} == {result.run_id for result in results}
    assert [result.rows for result in results] == [2, 2]
    assert [path.name for path in home.out.rglob("*") if path.is_file()] == ["rows.parquet"]


def test_a_refused_launch_is_no_run(home: Home) -> None:
    service = ExportService(home)
    with pytest.raises(NotFoundError, match="there is no job 'nope'"):
        service.export_data(Launch(job="nope", export="nope"))
    with pytest.raises(ConfigError, match="limit"):
        service.export_data(Launch(job="rows", export="rows", config={"limit": "many"}))
    assert service.get_export_history() == []


def test_what_nobody_foresaw_in_the_worker(home: Home) -> None:
    """Here: a history that is no database."""
    service = ExportService(home)
    with open_instance(home):
        pass
    (home.dagster / "history" / "runs.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ExportError, match="an error that nobody foresaw: DatabaseError: ") as error:
        service.export_data(Launch(job="rows", export="rows"))
    assert error.value.exit_code == 1
    assert "--debug" in (error.value.cure or "")
    assert "Traceback (most recent call last):" in error.value.__notes__[0]


def test_an_unused_worker_ends(home: Home) -> None:
    service = ExportService(home)
    with service:
        service.warm()
        (worker,) = service._ready
        assert worker._process.poll() is None
    assert worker._process.poll() is not None
    assert service.get_export_history() == []


def test_nobody_listens(home: Home) -> None:
    """The pipe closes before a launch was written: nothing runs, nothing is said."""
    for given in ("", '{"half":'):
        done = subprocess.run(
            [sys.executable, "-m", MODULE, str(home.root)], input=given, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_messages(home: Home) -> None:
    worker = Worker(home)
    told: list[dict[str, object]] = []
    launch = Launch(job="rows", export="rows")
    started = time.monotonic()
    last = worker.run(launch.dump(defaults=True), told.append)
    worker.close()
    print(f"a small run took {time.monotonic() - started:.1f} s")
    stages = ["plan", "extract", "filter", "aggregate", "write", "verify", "deliver"]
    assert [message["stage"] for message in told] == stages[: len(told)]
    assert len(told) >= 6
    assert (last["state"], last["run_id"], last["rows"]) == ("done", launch.run_id, 2)
    assert worker.said == []
    with open_instance(home) as dagster:
        run = dagster.get_run_by_id(launch.run_id)
        assert run is not None
        assert run.tags["dagster/max_retries"] == "0"
        lines = [record.event_log_entry.user_message for record in dagster.get_records_for_run(launch.run_id).records]
    assert any(line.startswith("rows.parquet: delivered") for line in lines)  # the log is whole, the console silent
    assert json.loads(json.dumps(last)) == last
