"""Disks that are missing, full or closed: the cause, the cure, and the former file untouched."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from export_pipeline.destinations import Local, Request, beneath
from export_pipeline.destinations.beneath import Folder
from export_pipeline.destinations.unfinished import Unfinished
from export_pipeline.errors import (
    DeliveryError,
    ExportError,
    StorageError,
    TransientDeliveryError,
)
from export_pipeline.manifest import Written
from export_pipeline_tests.destinations.local_files import DATA, names, staged


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
