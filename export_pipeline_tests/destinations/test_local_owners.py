"""Processes that die while they deliver, and those that only sleep."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from export_pipeline.destinations import Local, Request, unfinished
from export_pipeline.destinations.beneath import Folder
from export_pipeline.destinations.unfinished import Unfinished
from export_pipeline.errors import (
    DeliveryBusyError,
    ExportError,
)
from export_pipeline.manifest import Written
from export_pipeline_tests.destinations.local_files import names

HOLDER = """
import sys, time
from pathlib import Path
from export_pipeline.destinations.beneath import Folder
from export_pipeline.destinations.unfinished import Unfinished
with Folder.open(Path(sys.argv[1])) as folder:
    part = Unfinished(folder, "orders.csv")
    print(part.name, flush=True)
    time.sleep(120)
"""


def test_only_unfinished_files_of_dead_processes_are_swept(tmp_path: Path, request_: Request, file: Written) -> None:
    out = tmp_path / "out"
    out.mkdir()
    others = [".orders.csv.part", ".orders.csv.0123.part", "x.0123abcd-0123456789ab.part", ".notes"]
    for name in others:
        (out / name).touch()
    foreign = ".orders.csv.00000000-0123456789ab.part"  # unlocked, but made by another machine just now
    old = ".orders.csv.00000000-ba9876543210.part"
    for name in (foreign, old):
        (out / name).touch()
    os.utime(out / old, (time.time() - 2 * 86400,) * 2)
    (out / ".link.00000000-aaaaaaaaaaaa.part").symlink_to(tmp_path / "ledger.sqlite")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, out], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder, holder.stdout:
        held = holder.stdout.readline().strip()
        Local().deliver(file, request_)
        assert (out / held).exists()
        assert not (out / old).exists()
        holder.kill()
        holder.wait()
    assert Local().sweep(request_) == [held]
    assert names(out) == sorted([*others, foreign, ".link.00000000-aaaaaaaaaaaa.part", "orders.csv"])


def test_an_unfinished_file_that_a_sweep_took_too_early_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = unfinished._lock
    taken: list[str] = []

    def swept_first(handle: int) -> None:
        if not taken:
            with Folder.open(tmp_path) as neighbour:
                taken.extend(unfinished.sweep(neighbour))
        lock(handle)

    monkeypatch.setattr(unfinished, "_lock", swept_first)
    with Folder.open(tmp_path) as folder, Unfinished(folder, "orders.csv") as part:
        assert len(taken) == 1
        assert names(tmp_path) == [part.name]
        assert part.name != taken[0]
    assert names(tmp_path) == []


@pytest.mark.parametrize("mode", ["overwrite", "version", "fail"])
def test_an_owner_that_sleeps_before_it_publishes_finds_itself_replaced(
    tmp_path: Path, request_: Request, file: Written, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    asleep, awake = threading.Event(), threading.Event()
    outcome: list[object] = []

    def drowsy(method: str) -> Callable[..., object]:
        real = getattr(Unfinished, method)

        def call(*args: object) -> object:
            if threading.current_thread() is thread:
                asleep.set()
                awake.wait(30)
            else:  # the worst moment to wake up: the other has looked, and is about to publish
                awake.set()
                thread.join(30)
            return real(*args)

        return call

    for method in ("replace", "create"):
        monkeypatch.setattr(Unfinished, method, drowsy(method))
    monkeypatch.setattr("export_pipeline.ledger.Claims._live", lambda _: None)  # its signs of life stop, too
    local = Local.model_validate({"if_exists": mode})
    short = request_.replace(lease=timedelta(seconds=0.2))

    def sleeper() -> None:
        try:
            outcome.append(local.deliver(file, short))
        except ExportError as error:
            outcome.append(error)

    thread = threading.Thread(target=sleeper)
    thread.start()
    assert asleep.wait(30)
    time.sleep(0.3)
    receipt = local.deliver(file, request_.replace(run_id="run-2"))
    assert isinstance(outcome[0], DeliveryBusyError)
    assert names(tmp_path / "out") == ["orders.csv"]
    assert (receipt.name, receipt.recovered) == ("orders.csv", False)
    assert local.deliver(file, short).skipped
