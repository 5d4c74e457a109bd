"""Folders of many parts: in batches, and what of a batch is there when something goes wrong in the middle of it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from export_pipeline.destinations import Local, Receipt, Request, deliver_folder, folders
from export_pipeline.destinations.beneath import Folder
from export_pipeline.destinations.unfinished import Unfinished
from export_pipeline.errors import Cancelled, DeliveryBusyError, DeliveryError, StorageError, TransientDeliveryError
from export_pipeline.ledger import Claims, Entry, Ledger, State
from export_pipeline.ledger.database import Database
from export_pipeline.verification import Artifact
from export_pipeline_tests.folders import DONE, folder_of

PARTS = 20


@pytest.fixture
def folder(tmp_path: Path) -> Artifact:
    return folder_of(tmp_path / "staged", "lake", PARTS)


def there(request: Request) -> dict[str, int]:
    """Return all files below the root, hidden ones too, and their numbers."""
    paths = [path for path in request.root.rglob("*") if path.is_file()]
    return {path.relative_to(request.root).as_posix(): path.stat().st_ino for path in paths}


def entries(request: Request) -> dict[str, Entry]:
    return {f"lake/{entry.output.removeprefix('csv/')}": entry for entry in request.ledger.entries(limit=1000)}


def verified(request: Request) -> set[str]:
    return {name for name, entry in entries(request).items() if entry.state is State.VERIFIED}


def names(folder: Artifact) -> list[str]:
    return [file.name for file in folder.files]


def test_a_batch_is_few_transactions(
    folder: Artifact, request_: Request, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    transaction = Database.transaction

    def counted(self: Database) -> object:
        if threading.current_thread() is threading.main_thread():  # signs of life are another's
            begun.append("")
        return transaction(self)

    monkeypatch.setattr(Database, "transaction", counted)
    request = request_.replace(ledger=ledger)
    receipt = deliver_folder(Local(), folder, request)
    assert [part.name for part in receipt.parts] == names(folder)
    assert verified(request) == set(names(folder)) == there(request).keys()
    assert len(begun) == 6  # claims, marks and receipts: of all parts, and of the last one
    again = deliver_folder(Local(), folder, request)
    assert again.skipped and len(begun) == 6


@pytest.mark.parametrize("mode", ["overwrite", "fail"])
def test_a_power_cut_finds_marks_before_names_and_names_before_receipts(
    folder: Artifact, request_: Request, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    events: list[tuple[str, Any]] = []

    def after(owner: object, name: str, event: str, what: Callable[..., object]) -> None:
        real = getattr(owner, name)

        def call(*args: object) -> object:
            result = real(*args)
            events.append((event, what(*args)))
            return result

        monkeypatch.setattr(owner, name, call)

    def found_in(folder: int) -> int:
        return os.fstat(folder).st_ino

    after(os, "fsync", "synced", found_in)
    after(Unfinished, "replace", "named", lambda part, _: (part.inode, found_in(part.folder.handle)))
    after(Unfinished, "create", "named", lambda part, *_: (part.inode, found_in(part.folder.handle)))
    after(Claims, "reserve", "marked", lambda _, marks: {mark["name"] for mark in marks.values()})
    after(Claims, "verified", "receipts", lambda _, receipts: {receipt["name"] for receipt in receipts.values()})
    deliver_folder(Local.model_validate({"if_exists": mode}), folder, request_)

    at: dict[str, list[int]] = {}
    for number, (event, what) in enumerate(events):
        if what:
            at.setdefault(event, []).append(number)
    (first_marked, last_marked), (first_receipts, last_receipts) = at["marked"], at["receipts"]
    assert events[first_marked][1] == events[first_receipts][1] == set(names(folder)[:-1])
    assert len(at["named"]) == PARTS + 1
    lake = (request_.root / "lake").stat().st_ino
    for number in at["named"]:
        file, place = events[number][1]
        marked, receipts = (first_marked, first_receipts) if number < last_marked else (last_marked, last_receipts)
        assert marked < number < receipts
        assert ("synced", file) in events[:number]
        for above in (place, lake, request_.root.stat().st_ino):  # the names of new folders, too
            assert ("synced", above) in events[number:receipts]
    assert first_receipts < last_marked


def test_batches_end_with_many_parts_or_bytes_and_the_last_part_is_alone(
    folder: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sizes(files: int) -> list[int]:
        return [len(batch) for batch in folders._batches(folder.files[-files:])]

    assert sizes(PARTS + 1) == [PARTS, 1]
    assert sizes(1) == [1]
    monkeypatch.setattr(folders, "BATCH", 8)
    assert sizes(PARTS + 1) == [8, 8, 4, 1]
    monkeypatch.setattr(folders, "BATCH_BYTES", 3 * 99 * 3)
    assert sizes(7) == [3, 3, 1]
    monkeypatch.setattr("resource.getrlimit", lambda _: (17, 17))
    assert sizes(4) == [2, 1, 1]


def _full(*_: object) -> object:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _interrupted(*_: object) -> object:
    raise KeyboardInterrupt


@pytest.mark.parametrize("fails", [_full, _interrupted])
@pytest.mark.parametrize("step", ["fill", "digest", "replace"])
def test_what_is_there_before_a_part_fails_has_its_receipt(
    folder: Artifact, request_: Request, monkeypatch: pytest.MonkeyPatch, step: str, fails: Callable[..., object]
) -> None:
    real, calls = getattr(Unfinished, step), []

    def failing(*args: object) -> object:
        calls.append(step)
        return fails() if len(calls) == 8 else real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, step, failing)
        with pytest.raises(StorageError if fails is _full else KeyboardInterrupt):
            deliver_folder(Local(), folder, request_)
    seven = set(names(folder)[:7])
    before = there(request_)
    assert before.keys() == seven == verified(request_)  # no hidden file, either
    rest = {name: entry for name, entry in entries(request_).items() if name not in seven}
    why = "No space left on device" if fails is _full else "KeyboardInterrupt"
    assert {entry.state for entry in rest.values()} == {State.FAILED}
    assert all(why in str(entry.error) for entry in rest.values())
    said = [name for name, entry in rest.items() if "not sent, because a file before it failed" not in str(entry.error)]
    assert said == [names(folder)[7]]
    assert f"lake/{DONE}" not in rest  # it is of the next batch
    receipt = deliver_folder(Local(), folder, request_.replace(run_id="run-2"))
    assert {part.name for part in receipt.parts if part.skipped} == seven
    assert before.items() <= there(request_).items()
    assert not receipt.recovered and verified(request_) == there(request_).keys() == set(names(folder))


def test_parts_of_another_folder_get_their_receipts_when_one_folder_cannot_be_synced(
    folder: Artifact, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = Folder.sync

    def failing(self: Folder) -> None:
        if self.path.name == "agent=3":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(self)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "sync", failing)
        with pytest.raises(TransientDeliveryError, match=r"agent=3/part-3.csv cannot be written: the disk"):
            deliver_folder(Local(), folder, request_)
    lost = {name for name in names(folder) if "agent=3/" in name}
    assert len(lost) == 2
    before = there(request_)
    assert before.keys() == set(names(folder)) - {f"lake/{DONE}"}
    assert verified(request_) == before.keys() - lost
    receipt = deliver_folder(Local(), folder, request_.replace(run_id="run-2"))
    assert receipt.recovered
    assert before.items() <= there(request_).items()  # found, not sent again
    assert verified(request_) == there(request_).keys() == set(names(folder))


def test_a_name_that_is_taken_stops_those_after_it(folder: Artifact, request_: Request) -> None:
    taken = request_.root / names(folder)[5]
    taken.parent.mkdir(parents=True)
    taken.write_text("somebody else's")
    for run in ("run-1", "run-2"):
        with pytest.raises(DeliveryError, match="is there already"):
            deliver_folder(Local(if_exists="fail"), folder, request_.replace(run_id=run))
        assert verified(request_) == set(names(folder)[:5])
        assert taken.read_text() == "somebody else's"
        assert len(there(request_)) == 6


@pytest.mark.parametrize("mode", ["overwrite", "fail"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_owner_that_sleeps_in_the_middle_of_a_batch_finds_itself_replaced(
    folder: Artifact, request_: Request, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, mode: str, moment: str
) -> None:
    local = Local.model_validate({"if_exists": mode})
    request = request_.replace(ledger=ledger)
    others: list[Receipt] = []
    published: list[str] = []
    asleep: list[str] = []

    def drowsy(method: str) -> None:
        real = getattr(Unfinished, method)

        def publish(part: Unfinished, name: str, *more: object) -> object:
            result = real(part, name, *more)
            published.append(name)
            return result

        def call(*args: object) -> object:
            if asleep or len(published) < 7:
                return publish(*args)  # type: ignore[arg-type]
            asleep.append(method)
            result = publish(*args) if moment == "after" else None  # type: ignore[arg-type]
            time.sleep(0.3)  # longer than the lease, and nobody gives signs of life
            others.append(deliver_folder(local, folder, request.replace(run_id="run-2")))
            return result if moment == "after" else publish(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(Unfinished, method, call)

    monkeypatch.setattr("export_pipeline.ledger.Claims._live", lambda _: None)
    drowsy("replace")
    drowsy("create")
    with pytest.raises(DeliveryBusyError, match="taken over"):
        deliver_folder(local, folder, request.replace(lease=timedelta(seconds=0.2)))
    assert published == [Path(name).name for name in names(folder)]  # each once
    assert there(request).keys() == verified(request) == set(names(folder))
    receipts = {name: Receipt.model_validate(entry.receipt) for name, entry in entries(request).items()}
    assert {receipt.run_id for receipt in receipts.values()} == {"run-2"}
    found = 7 if moment == "before" else 8
    assert [receipts[name].recovered for name in names(folder)] == [True] * found + [False] * (PARTS + 1 - found)


def test_a_part_that_another_run_has_stops_those_after_it(folder: Artifact, request_: Request, ledger: Ledger) -> None:
    request = request_.replace(ledger=ledger)
    third = request.replace(output=f"csv/{folder.files[2].part}")
    claim = ledger.claim(third.delivery(Local()), "run-0")
    assert not isinstance(claim, Entry)
    with pytest.raises(DeliveryBusyError, match="run run-0 is delivering"):
        deliver_folder(Local(), folder, request)
    assert verified(request) == there(request).keys() == set(names(folder)[:2])
    fourth = entries(request)[names(folder)[3]]
    assert (fourth.state, "run run-0 is delivering" in str(fourth.error)) == (State.FAILED, True)
    claim.failed("no")
    assert len(deliver_folder(Local(), folder, request).parts) == PARTS + 1


def test_a_stop_leaves_no_hidden_file(folder: Artifact, request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, fill, filled = threading.Event(), Unfinished.fill, []

    def stopping(*args: object) -> None:
        fill(*args)  # type: ignore[arg-type]
        filled.append("")
        if len(filled) == 6:
            stop.set()

    monkeypatch.setattr(Unfinished, "fill", stopping)
    with pytest.raises(Cancelled):
        deliver_folder(Local(), folder, request_.replace(stop=stop))
    assert len(filled) == 6
    assert there(request_) == {} and verified(request_) == set()


@pytest.mark.parametrize("mode", ["overwrite", "fail"])
def test_killed_between_any_two_steps_each_part_arrives_once(tmp_path: Path, mode: str) -> None:
    command = [sys.executable, "-W", "error", "-m", "export_pipeline_tests.deaths", "--mode", mode, "--deaths", "14"]
    command += ["--url", f"sqlite:///{tmp_path / 'ledger.sqlite'}", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    total, killed = map(int, done.stdout.split())
    assert total > 500 and killed >= 14
