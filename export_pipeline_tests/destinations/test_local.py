"""A folder on this machine: names that are taken, disks that refuse, links that lead away, processes that die."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from export_pipeline.destinations import Local, Request, beneath
from export_pipeline.destinations.beneath import Folder, Unfinished
from export_pipeline.errors import (
    ConfigError,
    DeliveryBusyError,
    DeliveryError,
    ExportError,
    StorageError,
    TransientDeliveryError,
)
from export_pipeline.ledger import Ledger
from export_pipeline.manifest import Written

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DATA = b"agent,cost\na,1\n"


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    return Request("orders", "run-1", NOON, "csv", "c0ffee", ledger, tmp_path / "out")


@pytest.fixture
def file(tmp_path: Path) -> Written:
    return staged(tmp_path, DATA)


def staged(folder: Path, data: bytes, name: str = "orders.csv") -> Written:
    (folder / "staged").write_bytes(data)
    return Written(folder / "staged", name, len(data), hashlib.sha256(data).hexdigest())


def later(request: Request, hours: int = 1) -> Request:
    """Return a request for another delivery."""
    return request.replace(logical_time=request.logical_time + timedelta(hours=hours))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# names that are taken


def test_overwrite_replaces_in_one_step(tmp_path: Path, request_: Request, file: Written) -> None:
    target = tmp_path / "out" / "orders.csv"
    target.parent.mkdir()
    target.write_bytes(b"a former file")
    with target.open("rb") as reader:
        Local().deliver(file, request_)
        assert reader.read() == b"a former file"  # whoever reads the former file reads all of it
    assert target.read_bytes() == DATA
    Local().deliver(file, later(request_))  # the same bytes once more
    assert names(tmp_path / "out") == ["orders.csv"]


def test_version_keeps_all_and_numbers_them(tmp_path: Path, request_: Request) -> None:
    local = Local(if_exists="version")
    file = staged(tmp_path, DATA, "orders.csv.gz")
    made = [local.deliver(file, later(request_, hours)) for hours in range(3)]
    assert [receipt.name for receipt in made] == ["orders.csv.gz", "orders (2).csv.gz", "orders (3).csv.gz"]
    assert [receipt.version for receipt in made] == [1, 2, 3]
    (tmp_path / "out" / "orders (2).csv.gz").unlink()
    assert local.deliver(file, later(request_, 3)).name == "orders (2).csv.gz"


def test_version_takes_the_next_name_when_somebody_is_faster(
    tmp_path: Path, request_: Request, file: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Unfinished.create

    def slower(part: Unfinished, name: str, unlinked: Callable[[], None]) -> bool:
        if name == "orders.csv":
            (tmp_path / "out" / name).write_bytes(DATA)  # the same bytes, but not ours
        return publish(part, name, unlinked)

    monkeypatch.setattr(Unfinished, "create", slower)
    assert Local(if_exists="version").deliver(file, request_).name == "orders (2).csv"
    assert names(tmp_path / "out") == ["orders (2).csv", "orders.csv"]


def test_fail_leaves_what_is_there(tmp_path: Path, request_: Request, file: Written) -> None:
    target = tmp_path / "out" / "orders.csv"
    target.parent.mkdir()
    target.write_bytes(DATA)  # the same bytes: still not ours
    for _ in range(2):
        with pytest.raises(DeliveryError, match="is there already") as error:
            Local(if_exists="fail").deliver(file, request_)
        assert not error.value.transient
        assert "if_exists" in str(error.value)
    target.unlink()
    assert not Local(if_exists="fail").deliver(file, request_).recovered


def test_a_folder_of_that_name_is_left_alone(tmp_path: Path, request_: Request, file: Written) -> None:
    (tmp_path / "out" / "orders.csv").mkdir(parents=True)
    with pytest.raises(DeliveryError, match="there is a folder of that name"):
        Local().deliver(file, request_)
    assert Local(if_exists="version").deliver(file, later(request_)).name == "orders (2).csv"
    assert names(tmp_path / "out") == ["orders (2).csv", "orders.csv"]


@pytest.mark.parametrize("broken", [errno.EPERM, errno.EOPNOTSUPP])
def test_without_hard_links_a_name_is_taken_only_if_free(
    tmp_path: Path, request_: Request, file: Written, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(broken, os.strerror(broken))

    monkeypatch.setattr(os, "link", no_links)
    local = Local(if_exists="version")
    assert [local.deliver(file, later(request_, n)).name for n in range(2)] == ["orders.csv", "orders (2).csv"]
    look = Folder.look
    monkeypatch.setattr(Folder, "look", lambda folder, name: None if name == "orders.csv" else look(folder, name))
    assert local.deliver(file, later(request_, 2)).name == "orders (3).csv"  # the first looked free and was not
    assert names(tmp_path / "out") == ["orders (2).csv", "orders (3).csv", "orders.csv"]


def test_files_get_the_rights_that_the_user_gives_new_files(tmp_path: Path, request_: Request, file: Written) -> None:
    before = os.umask(0o027)
    try:
        Local().deliver(file, request_)
    finally:
        os.umask(before)
    assert (tmp_path / "out" / "orders.csv").stat().st_mode & 0o777 == 0o640


# folders


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("../x", "'..'"),
        ("a/../../x", "'..'"),
        ("/srv/../etc", "'..'"),
        ("~/reports", "write it out"),
        ("{name}", "belong in file_name"),
        ("a\x00b", "cannot be shown"),
        ("a\\b", "character"),
        (".ssh", "hidden"),
    ],
)
def test_folders_that_are_refused_when_the_export_is_read(folder: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Local(folder=folder)


@pytest.mark.parametrize(("given", "kept"), [("", "."), ("./", "."), ("a/", "a"), ("./a//b", "a/b"), ("/a/", "/a")])
def test_folders_are_written_one_way(given: str, kept: str) -> None:
    assert Local(folder=given).folder == kept


def test_a_symbolic_link_below_the_root_is_not_followed(tmp_path: Path, request_: Request) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(outside)
    for local, name in ((Local(folder="link"), "x.csv"), (Local(), "link/x.csv"), (Local(folder="link/deeper"), "x")):
        with pytest.raises(DeliveryError, match="not followed"):
            local.deliver(staged(tmp_path, DATA, name), request_)
    assert names(outside) == []


def test_a_link_under_the_final_name_is_replaced_not_followed(tmp_path: Path, request_: Request, file: Written) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "orders.csv").symlink_to(secret)
    assert Local(if_exists="version").deliver(file, request_).name == "orders (2).csv"
    Local().deliver(file, later(request_))
    assert secret.read_bytes() == b"secret"
    assert not (tmp_path / "out" / "orders.csv").is_symlink()


def test_absolute_folders_are_for_the_local_command_line_or_allowed(
    tmp_path: Path, request_: Request, file: Written
) -> None:
    share = tmp_path / "share"
    (share / "reports").mkdir(parents=True)
    local = Local(folder=str(share / "reports"))
    for allowed in ((), (tmp_path / "other",), (share / "rep",)):
        with pytest.raises(ConfigError, match="not inside an allowed folder"):
            local.check(request_.replace(allowed=allowed))
        with pytest.raises(ConfigError, match="not inside an allowed folder"):
            local.deliver(file, request_.replace(allowed=allowed))
    for hours, trusted in enumerate(((share,), (tmp_path / "other", share / "reports"), None)):
        local.check(request_.replace(allowed=trusted))
        receipt = local.deliver(file, later(request_, hours).replace(allowed=trusted))
        assert receipt.place == str(share / "reports" / "orders.csv")
    (share / "link").symlink_to(tmp_path)
    with pytest.raises(DeliveryError, match="not followed"):
        Local(folder=str(share / "link")).deliver(file, request_.replace(allowed=(share,)))


# disks that refuse


def test_a_disk_that_is_not_mounted_is_not_written_around(tmp_path: Path, request_: Request, file: Written) -> None:
    with pytest.raises(StorageError, match="does not exist\nIs the disk mounted") as error:
        Local(folder=str(tmp_path / "mnt" / "share")).deliver(file, request_.replace(allowed=None))
    assert error.value.transient
    assert not (tmp_path / "mnt").exists()


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a while: root may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_without_permission_is_said(tmp_path: Path, request_: Request, file: Written) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    said = pytest.raises(StorageError, match="Permission denied\nGive this user the right")
    with Folder.open(closed) as folder, unprivileged(), said, beneath.explained(closed):
        Unfinished(folder, "orders.csv")
    assert names(closed) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_leaves_the_former_file(tmp_path: Path, request_: Request) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        (disk / "orders.csv").write_bytes(b"the former good file")
        big = staged(tmp_path, os.urandom(2_000_000))
        with pytest.raises(StorageError, match=r"No space left on device\nFree some space") as error:
            Local(folder=str(disk)).deliver(big, request_.replace(allowed=None))
        assert error.value.transient
        assert names(disk) == ["orders.csv"]
        assert (disk / "orders.csv").read_bytes() == b"the former good file"
        assert "No space left" in str(request_.ledger.entries()[0].error)
        small = Local(folder=str(disk)).deliver(staged(tmp_path, DATA), request_.replace(allowed=None))
        assert Path(small.place).read_bytes() == DATA
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    ("number", "error", "said"),
    [
        (errno.ENOSPC, StorageError, "Free some space"),
        (errno.EDQUOT, StorageError, "quota"),
        (errno.EROFS, StorageError, "read-only"),
        (errno.EIO, TransientDeliveryError, "fails"),
        (errno.ESTALE, TransientDeliveryError, "network folder was lost"),
        (errno.ENAMETOOLONG, DeliveryError, "Shorten file_name"),
        (errno.EFBIG, DeliveryError, "too large"),
    ],
)
def test_what_the_disk_says_becomes_a_cause_and_a_cure(number: int, error: type[ExportError], said: str) -> None:
    with pytest.raises(error, match=said) as raised, beneath.explained(Path("/srv/reports/orders.csv")):
        raise OSError(number, os.strerror(number))
    assert type(raised.value) is error
    assert "/srv/reports/orders.csv" in str(raised.value)


def test_a_name_that_is_too_long_for_the_disk_is_said(tmp_path: Path) -> None:
    tmp_path.joinpath("x" * 255).touch()
    said = pytest.raises(DeliveryError, match="too long")
    with Folder.open(tmp_path) as folder, Unfinished(folder, "a") as part, said, beneath.explained(tmp_path):
        part.replace("x" * 256)
    assert names(tmp_path) == ["x" * 255]


def test_a_staged_file_that_is_gone_is_said(tmp_path: Path, request_: Request, file: Written) -> None:
    file.path.unlink()
    with pytest.raises(DeliveryError, match="cannot be read: No such file"):
        Local().deliver(file, request_)


def test_it_is_copied_by_hand_where_the_kernel_cannot(
    tmp_path: Path, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(3_000_001)
    real = os.copy_file_range
    calls: list[int] = []

    def half(source: int, target: int, count: int, at: int, to: int) -> int:
        calls.append(count)
        if len(calls) > 1:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return real(source, target, count // 2, at, to)

    monkeypatch.setattr(os, "copy_file_range", half)
    Local().deliver(staged(tmp_path, data), request_)
    assert len(calls) == 2
    assert (tmp_path / "out" / "orders.csv").read_bytes() == data


def test_probe_writes_reads_and_leaves_nothing(tmp_path: Path, request_: Request) -> None:
    assert Local(folder="reports").probe(request_) == tmp_path / "out" / "reports"
    assert names(tmp_path / "out" / "reports") == []
    with pytest.raises(StorageError):
        Local(folder=str(tmp_path / "missing")).probe(request_.replace(allowed=None))


# processes that die, and those that only sleep

HOLDER = """
import sys, time
from pathlib import Path
from export_pipeline.destinations.beneath import Folder, Unfinished
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
    lock = beneath._lock
    taken: list[str] = []

    def swept_first(handle: int) -> None:
        if not taken:
            with Folder.open(tmp_path) as neighbour:
                taken.extend(neighbour.sweep())
        lock(handle)

    monkeypatch.setattr(beneath, "_lock", swept_first)
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
    monkeypatch.setattr("export_pipeline.ledger.Claim._live", lambda _: None)  # its signs of life stop, too
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
