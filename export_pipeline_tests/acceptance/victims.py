"""Processes that run one export and die on the way: `python -m export_pipeline_tests.acceptance.victims HOME`.

This process imports everything once, then forks a child for each line of JSON that it reads, and answers with one line:
how the child ended, in which stage, and whether its file was published and had its receipt. A child dies (SIGKILL) or
falls asleep (SIGSTOP) by itself, at a point that its order names, or is killed after a time.
"""

from __future__ import annotations

import importlib
import json
import mmap
import os
import pkgutil
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from export_pipeline import destinations, filters, formats, ledger, pipeline, sources
from export_pipeline.catalog import load_file
from export_pipeline.destinations.unfinished import Unfinished
from export_pipeline.errors import ExportError
from export_pipeline.home import Home
from export_pipeline.ledger import Claim

STAGES = ("start", "plan", *(stage.name for stage in pipeline.STAGES), "end")
PHASES = ("before publishing", "published", "receipt")
NEEDED = ("duckdb", "sqlalchemy", "sqlite3", "pyarrow.parquet", "pyarrow.csv", "pyarrow.json", "openpyxl", "isal.igzip")
DONE, FAILED, BROKEN = 0, 3, 5
PACKAGE = str(Path(pipeline.__file__).parent)


class Victim:
    """What runs in a child: one export, watched."""

    def __init__(self, order: dict[str, Any], marks: mmap.mmap) -> None:
        self.order, self.marks = order, marks
        self.lines: Counter[str] = Counter()
        """Lines of the package that ran, by stage; ``published``: from the publishing call to the receipt."""
        self.stage, self.published = "start", False

    def run(self, home: Home) -> None:
        """Run the export; returns if nothing killed this process."""
        self._watch()
        order = self.order
        context = pipeline.Context(home, run_id=order["run"], progress=self._progressed)
        when = datetime.fromisoformat(order["logical_time"])
        pipeline.run(load_file(Path(order["export"])), context, logical_time=when)
        self._enter("end")
        if "count" in order:
            Path(order["count"]).write_text(json.dumps(self.lines))

    def _watch(self) -> None:
        """Put marks around the stages, the publishing and the receipt."""
        plan, call = pipeline.plan, pipeline.Stage.__call__
        replace, create, verified = Unfinished.replace, Unfinished.create, Claim.verified

        def planned(*args: Any) -> Any:
            return self._within("plan", lambda: plan(*args))

        def called(stage: pipeline.Stage, *args: Any) -> Any:
            return self._within(stage.name, lambda: call(stage, *args))

        def published(publish: Callable[..., Any]) -> Callable[..., Any]:
            def publishing(*args: Any) -> Any:
                result = publish(*args)
                if result is not False:
                    self.published = True
                    self.marks[1] = 1
                return result

            return publishing

        def receipted(claim: Claim, *args: Any) -> None:
            verified(claim, *args)
            self.marks[1] = 2
            if self.published and self.order.get("at") == "published":
                self._die()  # all the lines before it were fewer this time
            self.published = False

        pipeline.plan, pipeline.Stage.__call__ = planned, called  # type: ignore[assignment, method-assign]
        Unfinished.replace, Unfinished.create = published(replace), published(create)  # type: ignore[method-assign]
        Claim.verified = receipted  # type: ignore[assignment, method-assign]
        if "line" in self.order or "count" in self.order:
            threading.settrace(self._trace)
            sys.settrace(self._trace)

    def _within(self, stage: str, call: Callable[[], Any]) -> Any:
        self._enter(stage)
        result = call()
        if self.order.get("at") == stage:
            self._die()  # the point was not met: the end of the stage is one too
        return result

    def _enter(self, stage: str) -> None:
        self.stage = stage
        self.marks[0] = STAGES.index(stage)
        if self.order.get("pause"):
            os.kill(os.getpid(), signal.SIGSTOP)

    def _progressed(self, progress: pipeline.Progress) -> None:
        if self.order.get("at") == progress.stage and progress.rows >= self.order.get("rows", sys.maxsize):
            self._die()

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            where = "published" if self.published else self.stage
            self.lines[where] += 1
            if where == self.order.get("at") and self.lines[where] > self.order.get("line", sys.maxsize):
                self._die()
        return self._trace

    @staticmethod
    def _die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)


asleep: dict[int, mmap.mmap] = {}
"""The marks of children that sleep."""


def serve(home: Home, order: dict[str, Any]) -> dict[str, Any]:
    """Fork a child for an order; return how it ended, or that it sleeps."""
    if "wake" in order:
        pid = int(order["wake"])
        marks = asleep.pop(pid)
        os.kill(pid, signal.SIGCONT)
    else:
        marks = mmap.mmap(-1, mmap.PAGESIZE)
        pid = os.fork()
    if pid == 0:
        code = BROKEN
        try:
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            Victim(order, marks).run(home)
            code = DONE
        except ExportError:
            traceback.print_exc()
            code = FAILED
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    status = _wait(pid, order.get("seconds"))
    if os.WIFSTOPPED(status):
        asleep[pid] = marks
        return {"ended": "asleep", "pid": pid, "stage": STAGES[marks[0]]}
    ended = {DONE: "done", FAILED: "failed"}.get(os.waitstatus_to_exitcode(status), "broken")
    ended = "killed" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else ended
    return {"ended": ended, "pid": pid, "stage": STAGES[marks[0]], "phase": PHASES[marks[1]]}


def _wait(pid: int, seconds: float | None) -> int:
    """Wait until a child ends or falls asleep; kill it after so many seconds."""
    end = time.monotonic() + (60 if seconds is None else seconds)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if done:
            return status
        if time.monotonic() >= end:
            os.kill(pid, signal.SIGKILL)  # not waited for yet: the id is still this child's
            end += 60
        time.sleep(0.001)


def _modules() -> list[str]:
    """Return the modules that a run may import on the way."""
    parts = (formats, sources, destinations, ledger, filters)
    return [each.name for part in parts for each in pkgutil.walk_packages(part.__path__, f"{part.__name__}.")]


def main() -> None:
    """Serve orders until there are no more."""
    home = Home(Path(sys.argv[1]))
    for name in (*NEEDED, *_modules()):
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(serve(home, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
