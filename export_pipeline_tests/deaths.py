"""A process that delivers a folder is killed between two of its steps: `python -m export_pipeline_tests.deaths --help`.

A step is a call by which it changes or syncs a disk, or a statement for the ledger, in whichever thread. Each process
dies before another step, all of them together from the first to the last; then the delivery is made again. What the
dead left may have no half file, nothing twice, and no marker before its time; the second run must find what is there,
send the rest, and have one receipt for each part.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from export_pipeline.destinations import Local, Receipt, Request, deliver_folder, folders
from export_pipeline.ledger import Entry, Ledger, State
from export_pipeline_tests.folders import DONE, folder_of

STEPS = ("open", "mkdir", "copy_file_range", "fsync", "rename", "link", "unlink")
BATCH = 25


def main() -> int:
    """Kill as the command line says; print the number of steps and of processes killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the ledger")
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder")
    parser.add_argument("--mode", choices=["overwrite", "fail"], required=True)
    parser.add_argument("--parts", type=int, default=60)
    parser.add_argument("--deaths", type=int, default=30)
    given = parser.parse_args()
    folders.BATCH = BATCH
    ledger, local = Ledger(given.url), Local(folder="reports", if_exists=given.mode)
    ledger.entries()
    folder = folder_of(given.folder / "staged", "lake", given.parts)
    expected = {file.name: file.path.read_bytes() for file in folder.files}

    def request(number: int, run: str) -> Request:
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)
        return Request("deaths", run, moment, "csv", given.mode, ledger, given.folder / str(number))

    def entries(number: int) -> dict[str, Entry]:
        wanted = [request(number, "").replace(output=f"csv/{file.part}").delivery(local) for file in folder.files]
        found = {delivery.output: ledger.attempts(delivery) for delivery in wanted}
        assert all(len(attempts) <= 1 for attempts in found.values()), found
        return {f"lake/{output.removeprefix('csv/')}": some[0] for output, some in found.items() if some}

    def dies(number: int, last: int | None) -> int:
        """Deliver in a process that dies before a step; return how many it took if it lived."""
        ours, its = os.pipe()
        pid = os.fork()
        if pid == 0:
            steps = _count_steps(last)
            deliver_folder(local, folder, request(number, "run-1"))
            os.write(its, str(next(steps)).encode())
            os._exit(0)
        os.close(its)
        _, status = os.waitpid(pid, 0)
        with os.fdopen(ours) as said:
            assert (os.WTERMSIG(status) == signal.SIGKILL) if last is not None else status == 0, status
            return int(said.read() or 0)

    total = dies(0, None)
    assert {name: entry.state for name, entry in entries(0).items()} == dict.fromkeys(expected, State.VERIFIED)
    killed = 0
    for number, last in enumerate(range(0, total, max(1, total // given.deaths)), start=1):
        dies(number, last)
        killed += 1
        where = f"step {last} of {total}"
        reports = given.folder / str(number) / "reports"
        before = {name: path for name, path in _files(reports).items() if not path.name.startswith(".")}
        assert {name: path.read_bytes() for name, path in before.items()} == {n: expected[n] for n in before}, where
        inodes = {name: path.stat().st_ino for name, path in before.items()}
        sent = {name for name, entry in entries(number).items() if entry.state is State.VERIFIED}
        assert sent <= before.keys(), where
        assert f"lake/{DONE}" not in before or len(sent) >= given.parts, f"{where}: the marker came too early"
        receipt = deliver_folder(local, folder, request(number, "run-2"))
        assert {part.name for part in receipt.parts if part.skipped} == sent, where
        after = _files(reports)
        assert {name: path.read_bytes() for name, path in after.items()} == expected, where
        assert {name: after[name].stat().st_ino for name in inodes} == inodes, f"{where}: a part was sent twice"
        receipts = {name: Receipt.model_validate(entry.receipt) for name, entry in entries(number).items()}
        assert {name: made.name for name, made in receipts.items()} == {name: name for name in expected}, where
        assert {name for name, made in receipts.items() if made.recovered} == before.keys() - sent, where
    print(total, killed)
    return 0


def _files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def _count_steps(last: int | None) -> itertools.count[int]:
    """Count the steps of this process, which dies before this one."""
    steps = itertools.count()

    def step(*_: object) -> None:
        if next(steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **options: Any) -> Any:
            step()
            return call(*args, **options)

        return wrapper

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    for event in ("before_cursor_execute", "after_cursor_execute"):
        sa.event.listen(sa.Engine, event, step, named=False)
    return steps


if __name__ == "__main__":
    sys.exit(main())
