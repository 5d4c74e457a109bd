"""Dagster's run launcher that keeps a process ready, so that a run does not wait for Python to import its libraries.

Set in dagster.yaml. Each process that launches exports (the daemon; without a queue the webserver) keeps one waiting.
What is not ours, or comes while none waits, is launched as Dagster does it: by its code server, in a fresh process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, LaunchRunContext, WorkerStatus
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, ManagedGrpcPythonEnvCodeLocationOrigin
from dagster._serdes import ConfigurableClassData, serialize_value
from dagster._utils import get_run_crash_explanation

from export_pipeline import labels
from export_pipeline.defs import lives
from export_pipeline.defs.ready import STOP
from export_pipeline.defs.standby import Standby
from export_pipeline.instance import LOCATION

SOON = 5.0
"""Seconds after a launch that the next process is started in, if the run has not ended before: not while most runs are
at work, which would have to share the processors with it."""


def is_ours(run: dg.DagsterRun) -> bool:
    """Return whether a process of ours can run it: our code, this Python, this folder, nothing set up otherwise."""
    code, remote = run.job_code_origin, run.remote_job_origin
    if code is None or remote is None:
        return False
    made, pointer = code.repository_origin, code.repository_origin.code_pointer
    target = _target(remote.repository_origin.code_location_origin)
    here = str(Path.cwd())
    return (
        isinstance(pointer, ModuleCodePointer)
        and pointer.module == target.get("module_name") == LOCATION
        and pointer.working_directory in (None, here)
        and target.get("working_directory") in (None, here)
        and made.executable_path == sys.executable
        and not made.container_image
        and not made.container_context
    )


def _target(origin: Any) -> Mapping[str, Any]:
    """Return what a code server of this machine was started with; nothing for a server that somebody else started."""
    if isinstance(origin, ManagedGrpcPythonEnvCodeLocationOrigin):
        return origin.loadable_target_origin.as_dict
    if isinstance(origin, GrpcServerCodeLocationOrigin) and origin.socket:  # as `dagster dev` does
        return origin.additional_metadata or {}
    return {}


class ReadyLauncher(DefaultRunLauncher):
    """Launches exports in a process that waits for them, everything else as Dagster does."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._lock = threading.Lock()
        self._waiting: Standby | None = None
        self._disposed = False

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, _config: Mapping[str, Any]) -> Self:
        """Make it from dagster.yaml; it has no settings."""
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hand the run to the process that waits, if one does."""
        run = context.dagster_run
        if not is_ours(run):
            return self._launch_cold(context)
        location = self._location(run)
        ready = self._take()
        if ready is None or not ready.take(run.run_id, self._arguments(run), lambda: self._tag(run, str(ready.pid))):
            self._launch_cold(context)
            self._in_background("next", self._later, location)
        else:
            self._run_ids.add(run.run_id)
            self._in_background("run", self._follow, ready, run.run_id, location)
        return None

    def terminate(self, run_id: str) -> bool:
        """Cancel a run, whoever launched it; returns whether it was going on."""
        run = self._instance.get_run_by_id(run_id) if self.has_instance else None
        pid = None if run is None or run.is_finished else _process(run)
        if run is None or pid is None:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        if lives.lives(self._folder, run_id):  # else its id may be that of another process now
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, STOP)
        else:
            self._end(run_id, "the process of the run is gone")
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether Dagster may ask after a run: it does so for runs whose launcher died."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run lives; the code server itself watches those that it started."""
        if _process(run) is None or lives.lives(self._folder, run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the process of the run is gone")

    def dispose(self) -> None:
        """End the process that waits; those that run go on."""
        with self._lock:
            self._disposed = True
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.end()

    @property
    def _folder(self) -> Path:
        return Path(self._instance.root_directory)

    def _launch_cold(self, context: LaunchRunContext) -> None:
        """Launch as Dagster does; a run that repeats another one has that one's tags."""
        run = context.dagster_run
        if labels.PROCESS in run.tags or labels.WORKER in run.tags:
            self._tag(run, labels.COLD)
        super().launch_run(context)

    def _take(self) -> Standby | None:
        """Return the process that waits, which is nobody else's then."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.usable:
            waiting.end()
            return None
        return waiting

    def _get_ready(self, location: str) -> None:
        """Start a process that waits, unless one does."""
        with self._lock, contextlib.suppress(OSError):  # a machine that has no room for it launches as Dagster does
            if not self._disposed and self.has_instance and (self._waiting is None or not self._waiting.usable):
                if self._waiting is not None:
                    self._waiting.end()
                self._waiting = Standby(serialize_value(self._instance.get_ref()), location)

    def _later(self, location: str) -> None:
        threading.Event().wait(SOON)
        self._get_ready(location)

    def _follow(self, ready: Standby, run_id: str, location: str) -> None:
        """Wait for the process of a run; one that died is written down at once, as Dagster's code server would do."""
        code = ready.wait(SOON)
        if code is None:
            self._get_ready(location)
            code = ready.wait()
        if self.has_instance and code is not None:
            self._end(run_id, get_run_crash_explanation(f"Run execution process for {run_id}", code))
        self._get_ready(location)

    def _end(self, run_id: str, message: str) -> None:
        """Write down the end of a run whose process is gone, if it did not do so itself."""
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            lives.end(self._instance, run, message)
        lives.forget(self._folder, run_id)

    def _arguments(self, run: dg.DagsterRun) -> str:
        """Return what Dagster's code server hands to its processes."""
        from dagster._grpc.types import ExecuteExternalJobArgs

        args: Any = {
            "job_origin": run.remote_job_origin,
            "run_id": run.run_id,
            "instance_ref": self._instance.get_ref(),
        }
        return serialize_value(ExecuteExternalJobArgs(**args))

    def _tag(self, run: dg.DagsterRun, process: str) -> None:
        self._instance.add_run_tags(run.run_id, {labels.PROCESS: process})

    @staticmethod
    def _location(run: dg.DagsterRun) -> str:
        return LOCATION if run.remote_job_origin is None else run.remote_job_origin.location_name

    @staticmethod
    def _in_background(name: str, target: Any, *args: Any) -> None:
        threading.Thread(target=target, args=args, name=name, daemon=True).start()


def _process(run: dg.DagsterRun) -> int | None:
    """Return the ready process that the run was handed to."""
    process = run.tags.get(labels.PROCESS, labels.COLD)
    return int(process) if process.isdecimal() else None
