"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from export_pipeline.errors import StorageError
from export_pipeline.files import atomic, write_text


def test_a_file_replaces_the_former_one_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic(path) as file:
        file.write(b"new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_refuses_is_named_with_a_cure(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written") as caught:
        write_text(tmp_path / "missing" / "a.txt", "x")
    assert caught.value.transient


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is not there")
def test_a_full_disk_says_so() -> None:
    from export_pipeline.files import storage_error

    try:
        with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123
            os.write(file.fileno(), b"x")
    except OSError as error:
        told = storage_error(error, Path("out.csv"))
    assert "No space left" in told.message
    assert told.cure is not None
    assert "Free some space" in told.cure
