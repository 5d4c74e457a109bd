"""A running instance (webserver and daemon), spoken to over Dagster's GraphQL: launch, follow, cancel."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export_pipeline import files
from export_pipeline.errors import ConfigError, ExportError, NotFoundError, SourceUnavailableError
from export_pipeline.home import Home

if TYPE_CHECKING:
    import httpx

LOCATION = "export_pipeline.definitions"
REPOSITORY = "__repository__"
FILE = "instance.json"
"""In Dagster's folder: where the instance that serves this home answers."""
LOCK = "up.lock"
"""In Dagster's folder: locked as long as `up` lives, however it ends."""

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
    ... on PythonError { message }
    ... on Error { message }
  }
}"""
RUN = """
query Run($id: ID!, $cursor: String) {
  runOrError(runId: $id) {
    __typename
    ... on Run { status }
  }
  logsForRun(runId: $id, afterCursor: $cursor) {
    __typename
    ... on EventConnection {
      cursor
      events {
        __typename
        ... on MessageEvent { message stepKey }
      }
    }
  }
}"""
TERMINATE = """
mutation Stop($id: String!) {
  terminateRun(runId: $id) {
    __typename
    ... on TerminateRunFailure { message }
    ... on RunNotFoundError { message }
    ... on PythonError { message }
  }
}"""
RELOAD = """
mutation Reload($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    __typename
    ... on WorkspaceLocationEntry { locationOrLoadError { __typename ... on PythonError { message } } }
  }
}"""

JOBS = """
query Jobs($location: String!) {
  workspaceLocationEntryOrError(name: $location) {
    ... on WorkspaceLocationEntry {
      locationOrLoadError {
        __typename
        ... on RepositoryLocation { repositories { jobs { name } } }
        ... on PythonError { message }
      }
    }
  }
}"""


@functools.cache
def _client() -> httpx.Client:
    """Return the one client of this process: it keeps connections, and asks no proxy for what is on this machine."""
    import httpx

    return httpx.Client(timeout=60.0, trust_env=False, verify=False)  # noqa: S501 - plain http, to `up` of this home


@contextlib.contextmanager
def claimed(home: Home) -> Iterator[bool]:
    """Be the only `up` of this home while the block lasts; gives False where there is another one."""
    handle = os.open(home.dagster / LOCK, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        yield _taken(handle)
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    for _ in range(10):  # somebody may be looking at it just now
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.1)
    return False


def is_claimed(home: Home) -> bool:
    """Return whether an `up` of this home lives."""
    return files.is_locked(home.dagster / LOCK)


class NobodyListensError(SourceUnavailableError):
    """There is no connection: nothing was asked, so nothing was done."""


@dataclass(frozen=True)
class Instance:
    """Where Dagster's webserver answers."""

    url: str
    pid: int
    """The process that `up` started; the leader of the group of all that belong to it."""

    @classmethod
    def announced(cls, home: Home) -> Instance | None:
        """Return what the last `up` of this home wrote down, whether it still lives or not."""
        try:
            return cls(**json.loads((home.dagster / FILE).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    @classmethod
    def find(cls, home: Home) -> Instance | None:
        """Return the instance that serves this home; None where there is none that answers."""
        found = cls.announced(home) if is_claimed(home) else None
        if found is None:
            return None
        import httpx

        try:
            _client().get(f"{found.url}/server_info", timeout=2.0).raise_for_status()
        except httpx.HTTPError:
            return None
        return found

    def announce(self, home: Home) -> Path:
        """Write down where this instance answers; returns the file, to be removed at the end."""
        files.write_text(home.dagster / FILE, json.dumps(asdict(self)))
        return home.dagster / FILE

    def query(self, text: str, **variables: Any) -> Any:
        """Return the data of a GraphQL answer; raises `SourceUnavailableError` where there is no answer."""
        import httpx

        try:
            answer = _client().post(f"{self.url}/graphql", json={"query": text, "variables": variables})
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            kind = NobodyListensError if isinstance(error, httpx.ConnectError) else SourceUnavailableError
            raise kind(
                f"the Dagster instance at {self.url} does not answer: {error}",
                cure="Start it again with export-pipeline up, or stop it to run without it.",
            ) from error
        if body.get("errors"):
            raise ExportError(f"the Dagster instance at {self.url} refused: {body['errors'][0].get('message')}")
        return body["data"]

    def jobs(self) -> list[str]:
        """Return the names of the jobs; none where the code location is not loaded yet."""
        location = self.query(JOBS, location=LOCATION)["workspaceLocationEntryOrError"] or {}
        loaded = location.get("locationOrLoadError") or {}
        if loaded.get("__typename") == "PythonError":
            raise ExportError(f"the exports could not be loaded: {loaded['message']}")
        return [job["name"] for repository in loaded.get("repositories", []) for job in repository["jobs"]]

    def launch(self, job: str, config: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Launch a job with run config and tags; returns the run's id.

        Raises `ConfigError` where the run config is wrong, `NotFoundError` where there is no such job.
        """
        params = {
            "selector": {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": job},
            "runConfigData": dict(config),
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        answer = self.query(LAUNCH, params=params)["launchRun"]
        match answer["__typename"]:
            case "LaunchRunSuccess":
                return str(answer["run"]["runId"])
            case "RunConfigValidationInvalid":
                raise ConfigError("\n".join(error["message"] for error in answer["errors"]))
            case "PipelineNotFoundError":
                raise NotFoundError(f"the instance at {self.url} has no job {job!r}", cure="Is its YAML file saved?")
            case kind:
                raise ExportError(f"the run was not launched: {answer.get('message', kind)}")

    def events(self, run_id: str, cursor: str | None) -> tuple[str, list[dict[str, Any]], str | None]:
        """Return the run's status, its events after the cursor, and the next cursor."""
        data = self.query(RUN, id=run_id, cursor=cursor)
        if data["runOrError"]["__typename"] != "Run":
            raise NotFoundError(f"there is no run {run_id}")
        log = data["logsForRun"]
        return str(data["runOrError"]["status"]), list(log.get("events", [])), log.get("cursor", cursor)

    def terminate(self, run_id: str) -> str | None:
        """Ask a run to stop; returns why it could not be asked (it is still starting, or over), else None."""
        answer = self.query(TERMINATE, id=run_id)["terminateRun"]
        return None if answer["__typename"] == "TerminateRunSuccess" else str(answer.get("message"))

    def reload(self) -> str | None:
        """Read the exports folder anew; returns what is wrong with it, else None."""
        loaded = self.query(RELOAD, location=LOCATION)["reloadRepositoryLocation"].get("locationOrLoadError") or {}
        return str(loaded["message"]) if loaded.get("__typename") == "PythonError" else None
