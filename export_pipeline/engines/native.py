"""Long native calls that can be interrupted.

Python runs signal handlers in the main thread only, and only between two of its own steps: a sort of ten seconds on
the main thread is ten seconds in which a run cannot be cancelled. So the call moves to a thread, and the main thread
waits in short steps.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from export_pipeline.errors import Cancelled

T = TypeVar("T")

STEP = 0.1
"""Seconds between two looks at signals and at `stop`."""
GRACE = 1.0
"""Seconds that a call gets to end by itself once `stop` is set from elsewhere."""


class _Call(Generic[T]):
    """A call in a thread of its own, and what became of it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self.result: list[T] = []
        self.error: BaseException | None = None
        # The caller's context goes along: loggers and settings kept in context variables stay what they were.
        context = contextvars.copy_context()
        # A daemon: the process may end while the native code still runs, which is the only way to stop it.
        self.thread = threading.Thread(target=context.run, args=(self._run,), name="native call", daemon=True)

    def _run(self) -> None:
        try:
            self.result.append(self._call())
        except BaseException as error:  # raised again where the caller waits
            self.error = error


def run_native(call: Callable[[], T], *, stop: threading.Event | None = None) -> T:
    """Return what `call` returns, run in a thread while this one stays open to signals.

    An exception that arrives in the waiting thread (KeyboardInterrupt, Dagster's interrupt) sets `stop`, so that
    whatever the call writes through can end it, and is raised again at once; the native code runs on until it next
    meets Python, or until the process ends. Exceptions of the call are raised as they are.

    Raises:
        Cancelled: `stop` was set from elsewhere, and the call did not end within a second.
    """
    running = _Call(call)
    try:
        running.thread.start()
        _wait(running.thread, stop)
    except BaseException:
        if stop is not None:
            stop.set()
        raise
    if running.error is not None:
        raise running.error
    return running.result[0]


def _wait(thread: threading.Thread, stop: threading.Event | None) -> None:
    stopped_at: float | None = None
    while thread.is_alive():
        thread.join(STEP)
        if stop is None or not stop.is_set():
            continue
        stopped_at = stopped_at if stopped_at is not None else time.monotonic()
        if time.monotonic() - stopped_at > GRACE and thread.is_alive():
            raise Cancelled("the run was stopped")
