"""A process that races for one delivery, and may die at a line of it."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from export_pipeline.destinations import Local, Receipt, Request, Sending, deliver_folder, folders
from export_pipeline.destinations.unfinished import Unfinished
from export_pipeline.errors import DeliveryBusyError, StorageError
from export_pipeline.ledger import Ledger, owners
from export_pipeline.ledger.entries import Delivery
from export_pipeline.manifest import Written
from export_pipeline.verification import Artifact

BATCH = 7
"""Parts of a folder in a batch."""
LEASE = 0.3
"""Seconds, where nobody can tell who is dead."""
DELIVERED, FOUND, BROKEN = 0, 3, 5


class Forgetful(Local):
    """A destination that does not look for what a dead process published: the race must catch it."""

    def find(self, mark: Mapping[str, Any], sending: Sending) -> Receipt | None:
        return None


@dataclass
class Round:
    """One delivery and the folder it goes to."""

    number: int
    mode: str
    folder: Path
    file: Written | Artifact
    url: str
    foreign: bool
    """Whether every process pretends to be on a machine of its own."""
    destination: Local
    before: dict[str, bytes]
    """What was in the folder before."""

    def request(self, run: str, ledger: Ledger) -> Request:
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=self.number)
        lease = timedelta(seconds=LEASE if self.foreign else 20)
        return Request("race", run, moment, "csv", self.mode, ledger, self.folder, lease=lease)

    @property
    def files(self) -> dict[str, tuple[str, Path, str]]:
        """Label of each file in the ledger -> its name, the finished file, its digest."""
        if isinstance(self.file, Written):
            return {"csv": (self.file.name, self.file.path, self.file.sha256)}
        return {f"csv/{part.part}": (part.name, part.path, part.sha256) for part in self.file.files}

    def deliver(self, request: Request) -> Receipt:
        if isinstance(self.file, Artifact):
            return deliver_folder(self.destination, self.file, request)
        return self.destination.deliver(self.file, request)

    def delivery(self, ledger: Ledger, output: str) -> Delivery:
        return self.request("", ledger).replace(output=output).delivery(self.destination)


def race(
    round_: Round, run: str, phase: Callable[[int], None], death: tuple[str, int], published: Callable[[str], None]
) -> int:
    """Deliver until there is a receipt; runs in a process of its own."""
    folders.BATCH = BATCH
    if round_.foreign:
        name = os.urandom(6).hex()
        owners.machine = lambda: name  # type: ignore[assignment]
    ledger = Ledger(round_.url)
    request = round_.request(run, ledger)
    arm = _dying(*death)

    def watched(publish: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            phase(1)
            arm()
            result = publish(*args)
            if result is not False:
                published(args[1])
            phase(2 if result is not False else 0)
            return result

        return call

    def looked(find: Callable[..., Receipt | None]) -> Callable[..., Receipt | None]:
        def call(*args: Any) -> Receipt | None:
            if death[0] == "after":
                arm()
            receipt = find(*args)
            phase(2 if receipt else 0)
            return receipt

        return call

    Unfinished.replace = watched(Unfinished.replace)  # type: ignore[method-assign]
    Unfinished.create = watched(Unfinished.create)  # type: ignore[method-assign]
    type(round_.destination).find = looked(type(round_.destination).find)  # type: ignore[method-assign]
    while True:
        try:
            receipt = round_.deliver(request)
        except (DeliveryBusyError, StorageError):
            phase(0)
            time.sleep(0.01)
        else:
            sys.settrace(None)
            return FOUND if receipt.skipped else DELIVERED


def _dying(kind: str, line: int) -> Callable[[], None]:
    """Make this process kill itself at a line of the package, counted from now or from when the result is called."""
    count = itertools.count()
    armed = [kind == "line"]
    inside = str(Path(owners.__file__).parent.parent)

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(inside):
            return None
        if event == "line" and armed[0] and next(count) >= line:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    if kind in ("line", "after"):
        sys.settrace(trace)

    def arm() -> None:
        armed[0] = True
        if kind == "pause" and next(count) == line:
            os.kill(os.getpid(), signal.SIGSTOP)

    return arm
