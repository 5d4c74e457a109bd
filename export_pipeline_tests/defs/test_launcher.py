"""Runs in a process that was ready, through a real Dagster without a queue; what is not for it goes Dagster's way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import duckdb
import pytest
from dagster._core.code_pointer import FileCodePointer, ModuleCodePointer
from dagster._core.launcher import WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from export_pipeline import labels
from export_pipeline.defs import lives, standby
from export_pipeline.defs.instance import open_instance
from export_pipeline.defs.launcher import ReadyLauncher, is_ours
from export_pipeline.defs.standby import PROGRAM
from export_pipeline.home import Home
from export_pipeline_tests.dagster_server import MODULE, Server, dagster_server, wait_for
from export_pipeline_tests.defs.homes import FAILED, home

DIRECT = "run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}\n"
LOCKED = {"source": {"store": "locked", "dataset": "rows"}, "retry": {"attempts": 5, "delay": "2m"}}
STORES = "stores: {locked: {duckdb: {path: locked.duckdb, datasets: {rows: {table: rows}}}}}"
RUNS = "query($f: RunsFilter!) { runsOrError(filter: $f) { ... on Runs { results { runId } } } }"


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Dagster without a queue: its webserver launches, and its daemon what is tried again."""
    folder: Path = tmp_path_factory.mktemp("direct")
    made = home(folder / "home", {"failed-commands": FAILED})
    made.stores.write_text(STORES)
    with dagster_server(made.root, folder / "dagster", settings=DIRECT) as running:
        running.finished("failed_commands")
        yield running


def waiting(server: Server) -> int:
    """Return the process that waits, once no other runs and it can be told from them."""
    wait_for(
        lambda: len(server.processes(PROGRAM)) == len(server.waiting()) == 1,
        60,
        lambda: f"of {server.processes(PROGRAM)} {server.waiting()} wait",
    )
    return server.waiting()[0]


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def held(server: Server) -> tuple[duckdb.DuckDBPyConnection, str]:
    """Launch a run that waits for a store which this process keeps locked; return the connection and the run."""
    connection = duckdb.connect(server.home / "locked.duckdb")
    connection.execute("create or replace table rows as select 1 as id")
    run_id = server.launch("export", LOCKED)
    said = "Retry 1 of 5 in 120 s"
    wait_for(lambda: any(said in line for line in server.told(run_id)), 60, lambda: str(server.told(run_id)))
    return connection, run_id


@pytest.mark.server
def test_a_run_takes_the_process_that_waits_and_the_file_as_it_is(direct: Server) -> None:
    """Where the process was killed, its repetition goes Dagster's way."""
    pid = waiting(direct)
    path = direct.home / "exports" / "failed-commands.yaml"
    path.write_text(FAILED.replace("value: 900", "value: 300"), encoding="utf-8")
    run_id = direct.finished("failed_commands")
    path.write_text(FAILED, encoding="utf-8")
    assert direct.tags(run_id)[labels.PROCESS] == str(pid)
    assert direct.worker(run_id) == pid
    assert direct.materialization(run_id)["rows"]["intRepr"] == "100"
    assert any(f"Process for run exited (pid: {pid})" in line for line in direct.told(run_id))
    assert list((direct.dagster_home / lives.FOLDER).iterdir()) == []
    assert waiting(direct) != pid
    os.kill(waiting(direct), signal.SIGKILL)
    again = direct.reexecute(run_id)
    assert direct.wait(again) == "SUCCESS"
    assert direct.tags(again)[labels.PROCESS] == labels.COLD  # not what the first run has
    assert direct.worker(again) != pid


@pytest.mark.server
def test_variables_that_changed_need_another_process(direct: Server) -> None:
    pid = waiting(direct)
    (direct.dagster_home / ".env").write_text("COLOUR=blue\n")
    assert labels.PROCESS not in direct.tags(direct.finished("failed_commands"))
    assert gone(pid)
    pid = waiting(direct)
    run_id = direct.finished("failed_commands")
    assert direct.tags(run_id)[labels.PROCESS] == str(pid)


@pytest.mark.server
def test_a_run_whose_process_is_killed_is_tried_again(direct: Server) -> None:
    pid = waiting(direct)
    connection, run_id = held(direct)
    with connection:
        assert direct.worker(run_id) == pid
        os.kill(pid, signal.SIGKILL)
        assert direct.wait(run_id, timeout=5) == "FAILURE"
    assert any("was terminated by signal 9 (SIGKILL)" in line for line in direct.told(run_id))
    tag = {"tags": [{"key": "dagster/parent_run_id", "value": run_id}]}

    def again() -> list[str]:
        return [run["runId"] for run in direct.query(RUNS, f=tag)["runsOrError"]["results"]]

    wait_for(lambda: bool(again()), 60, lambda: "the run was not started again")
    assert direct.wait(again()[0]) == "SUCCESS"


@pytest.mark.server
def test_a_run_is_cancelled_from_any_process(direct: Server) -> None:
    wait_for(lambda: len(direct.waiting()) == 2, 60, lambda: "the daemon, which has launched, too, has none")
    connection, run_id = held(direct)
    with connection, dg.DagsterInstance.from_config(str(direct.dagster_home)) as instance:
        pid = int(direct.tags(run_id)[labels.PROCESS])
        assert instance.run_launcher.terminate(run_id)
        assert direct.wait(run_id, timeout=5) == "CANCELED"
        wait_for(lambda: gone(pid), 5, lambda: f"process {pid} is still there")
        assert not instance.run_launcher.terminate(run_id)
    assert not (direct.home / ".staging" / run_id).exists()


@pytest.mark.server
def test_several_at_once(direct: Server) -> None:
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: direct.launch("failed_commands"), range(3)))
    assert [direct.wait(run_id) for run_id in runs] == ["SUCCESS"] * 3
    assert len({direct.worker(run_id) for run_id in runs}) == 3


@pytest.mark.server
def test_nothing_is_left_when_the_webserver_is_killed(direct: Server) -> None:
    """The last test of this server."""
    wait_for(lambda: bool(direct.waiting()), 60, lambda: "none waits")
    for pid in direct.processes("dagster_webserver"):
        os.kill(pid, signal.SIGKILL)
    direct.process.wait(60)  # `dagster dev` ends the rest
    wait_for(lambda: direct.processes(PROGRAM) == [], 10, lambda: "it is left")


def run_of(location: Any, python: str = sys.executable, **pointer: Any) -> dg.DagsterRun:
    """Return a run as a code location's launch makes it."""
    code: Any = ModuleCodePointer(**{"module": MODULE, "fn_name": "defs", **pointer})
    return dg.DagsterRun(
        job_name="rows",
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), "rows"),
        job_code_origin=JobPythonOrigin("rows", RepositoryPythonOrigin(python, code)),
    )


def managed(**given: Any) -> ManagedGrpcPythonEnvCodeLocationOrigin:
    return ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(**({"module_name": MODULE} | given)))


def served(**given: Any) -> GrpcServerCodeLocationOrigin:
    return GrpcServerCodeLocationOrigin(**({"host": "localhost", "socket": "/tmp/x"} | given))


OURS = {"module_name": MODULE, "working_directory": str(Path.cwd())}


@pytest.mark.parametrize(
    ("run", "ours"),
    [
        (run_of(managed()), True),
        (run_of(managed(working_directory=str(Path.cwd())), working_directory=str(Path.cwd())), True),
        (run_of(served(additional_metadata=OURS)), True),
        (run_of(served()), False),  # somebody else started that server, with variables of its own perhaps
        (run_of(served(additional_metadata=OURS, socket=None, port=4000, host="elsewhere")), False),
        (run_of(managed(), python="/opt/other/bin/python"), False),
        (run_of(managed(working_directory="/srv")), False),
        (run_of(managed(), working_directory="/srv"), False),
        (run_of(managed(module_name="other.definitions"), module="other.definitions"), False),
        (run_of(managed(), module="other.definitions"), False),
        (dg.DagsterRun(job_name="rows"), False),
    ],
)
def test_what_is_ours(run: dg.DagsterRun, ours: bool) -> None:
    assert is_ours(run) is ours


def test_code_in_a_container_or_a_file_is_not_ours() -> None:
    run = run_of(managed())
    assert run.job_code_origin is not None
    made = run.job_code_origin.repository_origin
    contained = made._replace(container_image="exports:1")
    in_file = made._replace(code_pointer=FileCodePointer("defs.py", "defs"))
    for origin in (contained, in_file):
        assert not is_ours(run._replace(job_code_origin=JobPythonOrigin("rows", origin)))


def test_dagster_is_told_which_runs_lost_their_process(tmp_path: Path) -> None:
    with open_instance(Home(tmp_path).create()) as instance:
        launcher = instance.run_launcher
        assert isinstance(launcher, ReadyLauncher)

        def written(**tags: str) -> dg.DagsterRun:
            named = {f"export_pipeline/{name}": value for name, value in tags.items()}
            run = dg.DagsterRun("rows", str(uuid4()), status=dg.DagsterRunStatus.STARTED, tags=named)
            return instance.add_run(run)

        def health(run: dg.DagsterRun) -> WorkerStatus:
            return launcher.check_run_worker_health(run).status

        assert labels.PROCESS == "export_pipeline/process"
        assert health(written()) is WorkerStatus.RUNNING
        assert health(written(process=labels.COLD)) is WorkerStatus.RUNNING
        run = written(process=str(os.getpid()))
        with lives.alive(Path(instance.root_directory), run.run_id):
            assert health(run) is WorkerStatus.RUNNING
        assert health(run) is WorkerStatus.NOT_FOUND
        assert launcher.terminate(run.run_id)  # and this process, whose id it has, is not asked to stop
        ended = instance.get_run_by_id(run.run_id)
        assert ended is not None
        assert ended.status is dg.DagsterRunStatus.CANCELED
        repeated = written(worker="1", process="1")
        assert set(lives.going(instance)) >= {repeated.run_id}


def test_a_program_that_changed_is_started_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    waits = standby.Standby("", "")
    try:
        assert waits.usable
        monkeypatch.setattr(standby, "_state", lambda: frozenset({(Path("new.py"), 1)}))
        assert not waits.usable
    finally:
        waits.end()
    assert waits.wait(10) is not None
