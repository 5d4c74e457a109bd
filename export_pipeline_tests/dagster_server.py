"""A real Dagster for tests: webserver, daemon and code server, as `dagster dev` starts them, and a GraphQL client."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from export_pipeline.defs import instance
from export_pipeline.defs.standby import PROGRAM

MODULE = "export_pipeline.definitions"
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on RunConfigValidationInvalid { errors { message } }
  ... on PythonError { message } ... on Error { message } } }"""
REEXECUTE = """mutation($params: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } ... on Error { message } } }"""
RUN = """query($id: ID!) { runOrError(runId: $id) { ... on Run {
  status startTime endTime updateTime runConfig parentRunId tags { key value } } } }"""
EVENTS = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events { __typename
  ... on MessageEvent { message stepKey timestamp level eventType }
  ... on ExecutionStepFailureEvent { error { message } failureMetadata { metadataEntries { label
      ... on TextMetadataEntry { text } } } }
  ... on RunFailureEvent { error { message } }
  ... on ExecutionStepOutputEvent { metadataEntries { __typename label ... on TextMetadataEntry { text }
      ... on IntMetadataEntry { intRepr } ... on JsonMetadataEntry { jsonString } } }
  ... on MaterializationEvent { assetKey { path } metadataEntries { __typename label
      ... on IntMetadataEntry { intRepr } ... on PathMetadataEntry { path } ... on TextMetadataEntry { text }
      ... on JsonMetadataEntry { jsonString } } } } } } }"""
SCHEMA = """query($selector: PipelineSelector!) { runConfigSchemaOrError(selector: $selector) { __typename
  ... on RunConfigSchema { rootDefaultYaml } } }"""


@dataclass
class Server:
    """A running Dagster and the home folder that it serves."""

    url: str
    home: Path
    dagster_home: Path
    process: subprocess.Popen[bytes]

    def query(self, text: str, **variables: Any) -> Any:
        """Return the data of a GraphQL answer; an answer with errors of GraphQL itself fails the test."""
        body = httpx.post(f"{self.url}/graphql", json={"query": text, "variables": variables}, timeout=120).json()
        assert "errors" not in body, body["errors"]
        return body["data"]

    def selector(self, job: str) -> dict[str, str]:
        """Return what names a job."""
        return {"repositoryLocationName": MODULE, "repositoryName": "__repository__", "jobName": job}

    def try_launch(self, job: str, config: Any = None, tags: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Launch a job; return the whole answer."""
        listed = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        params = {
            "selector": self.selector(job),
            "runConfigData": {} if config is None else config,
            "executionMetadata": {"tags": listed},
        }
        answer: dict[str, Any] = self.query(LAUNCH, params=params)["launchRun"]
        return answer

    def launch(self, job: str, config: Any = None, tags: Mapping[str, str] | None = None) -> str:
        """Launch a job; return the run's id."""
        answer = self.try_launch(job, config, tags)
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def reexecute(self, run_id: str, strategy: str = "ALL_STEPS") -> str:
        """Run again: ALL_STEPS or FROM_FAILURE; return the new run's id."""
        answer = self.query(REEXECUTE, params={"parentRunId": run_id, "strategy": strategy})["launchRunReexecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Return what is known of a run."""
        found: dict[str, Any] = self.query(RUN, id=run_id)["runOrError"]
        return found

    def tags(self, run_id: str) -> dict[str, str]:
        """Return a run's tags."""
        return {tag["key"]: tag["value"] for tag in self.run(run_id)["tags"]}

    def wait(self, run_id: str, until: tuple[str, ...] = ENDED, timeout: float = 90) -> str:
        """Return the run's status once it is one of these."""
        found: list[str] = []

        def reached() -> bool:
            found.append(self.run(run_id)["status"])
            return found[-1] in until or found[-1] in ENDED

        wait_for(reached, timeout, lambda: f"run {run_id} is {found[-1:]}, not {until}: {self.told(run_id)[-3:]}")
        return found[-1]

    def finished(self, job: str, config: Any = None, tags: Mapping[str, str] | None = None) -> str:
        """Launch a job that goes well; return the run's id."""
        run_id = self.launch(job, config, tags)
        assert self.wait(run_id) == "SUCCESS", "\n".join(self.told(run_id)[-6:])
        return run_id

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """Return the run's events."""
        found: list[dict[str, Any]] = self.query(EVENTS, id=run_id)["logsForRun"]["events"]
        return found

    def told(self, run_id: str) -> list[str]:
        """Return what the log says, errors included."""
        return [
            f"{event.get('message') or ''} {(event.get('error') or {}).get('message', '')}".strip()
            for event in self.events(run_id)
        ]

    def steps(self, run_id: str) -> list[str]:
        """Return the steps that went well, in order."""
        return [event["stepKey"] for event in self.events(run_id) if event["__typename"] == "ExecutionStepSuccessEvent"]

    def metadata(self, run_id: str, step: str) -> dict[str, Any]:
        """Return the metadata of a step's output by label; what GraphQL gives of each entry."""
        for event in self.events(run_id):
            if event["__typename"] == "ExecutionStepOutputEvent" and event["stepKey"] == step:
                return {entry["label"]: entry for entry in event["metadataEntries"]}
        return {}

    def materialization(self, run_id: str) -> dict[str, Any]:
        """Return the metadata of what the run materialized, by label."""
        (event,) = (event for event in self.events(run_id) if event["__typename"] == "MaterializationEvent")
        return {entry["label"]: entry for entry in event["metadataEntries"]} | {"key": event["assetKey"]["path"]}

    def default_yaml(self, job: str) -> str:
        """Return what the launchpad is filled with."""
        selector = {"pipelineName": job} | {k: v for k, v in self.selector(job).items() if k != "jobName"}
        return str(self.query(SCHEMA, selector=selector)["runConfigSchemaOrError"]["rootDefaultYaml"])

    def worker(self, run_id: str) -> int:
        """Return the id of the process that works on a run."""
        found = [re.search(r"Started process for run \(pid: (\d+)\)", line) for line in self.told(run_id)]
        (pid,) = (int(match[1]) for match in found if match)
        return pid

    def processes(self, program: str) -> list[int]:
        """Return the processes of this server whose command line names a program."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it ended in this moment
                if os.getpgid(int(entry.name)) == self.process.pid and program in (entry / "cmdline").read_text():
                    found.append(int(entry.name))
        return found

    def waiting(self) -> list[int]:
        """Return the processes that are ready for a run, or run one: they have given up their standard input."""
        found = []
        for pid in self.processes(PROGRAM):
            with contextlib.suppress(OSError):
                if str(Path(f"/proc/{pid}/fd/0").readlink()) == os.devnull:
                    found.append(pid)
        return found

    def terminate(self, run_id: str) -> str:
        """Ask a run to stop; return the type of the answer."""
        text = "mutation($id: String!) { terminateRun(runId: $id) { __typename } }"
        return str(self.query(text, id=run_id)["terminateRun"]["__typename"])

    def reload(self) -> None:
        """Load the code location anew."""
        text = """mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename
          ... on WorkspaceLocationEntry { loadStatus locationOrLoadError { __typename
            ... on PythonError { message } } } } }"""
        answer = self.query(text, name=MODULE)["reloadRepositoryLocation"]
        assert answer["locationOrLoadError"]["__typename"] == "RepositoryLocation", answer

    def jobs(self) -> dict[str, str]:
        """Return the jobs and their descriptions."""
        text = """query($s: RepositorySelector!) { repositoryOrError(repositorySelector: $s) {
          ... on Repository { jobs { name description } } } }"""
        selector = {"repositoryLocationName": MODULE, "repositoryName": "__repository__"}
        found = self.query(text, s=selector)["repositoryOrError"]["jobs"]
        return {job["name"]: job["description"] or "" for job in found}


def wait_for(reached: Callable[[], bool], timeout: float, what: Callable[[], str]) -> None:
    """Wait until something is so; fail with `what` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not reached():
        assert time.monotonic() < end, what()
        time.sleep(0.1)


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _default_signals() -> None:
    """Undo what a test runner in the background passes on: Dagster's processes must hear SIGINT and SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


@contextlib.contextmanager
def dagster_server(
    home: Path, dagster_home: Path, environment: Mapping[str, str] | None = None, *, settings: str | None = None
) -> Iterator[Server]:
    """Start `dagster dev` on a free port with this repository's dagster.yaml; stop all of it at the end.

    `settings` take the place of the run queue's.
    """
    dagster_home.mkdir(parents=True, exist_ok=True)
    given = instance.settings()
    if settings is not None:
        given = re.sub(r"^run_queue:\n(?:  .*\n)+", settings, given, flags=re.MULTILINE)
    (dagster_home / "dagster.yaml").write_text(given, encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "dagster", "dev", "-m", MODULE, "-h", "127.0.0.1", "-p", str(port)]
    variables = os.environ | {"DAGSTER_HOME": str(dagster_home), "EXPORT_PIPELINE_HOME": str(home)}
    with (dagster_home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=variables | dict(environment or {}),
            cwd=dagster_home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_default_signals,
        )
        try:
            server = Server(f"http://127.0.0.1:{port}", home, dagster_home, process)
            _await_start(server)
            yield server
        finally:
            _stop(process)


def _await_start(server: Server) -> None:
    def answers() -> bool:
        assert server.process.poll() is None, (server.dagster_home / "server.log").read_text()[-3000:]
        try:
            return bool(server.jobs())
        except (httpx.HTTPError, KeyError):  # it does not listen yet, or has not loaded
            return False

    wait_for(answers, 120, lambda: (server.dagster_home / "server.log").read_text()[-3000:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole group of processes, kindly first."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
