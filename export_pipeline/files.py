"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from export_pipeline.errors import StorageError


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Open a hidden temporary file beside `path`; it takes the name when the block ends well, else it is gone.

    File and folder are synced, so what has the name survives a power cut. Raises `StorageError` where the disk refuses.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def sync_folder(folder: Path) -> None:
    """Make names in this folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_locked(path: Path) -> bool:
    """Return whether a living process holds the lock of this file."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in one step."""
    with atomic(path) as file:
        file.write(text.encode())


CURES = {
    errno.ENOSPC: "Free some space, or choose another folder.",
    errno.EDQUOT: "The quota is used up: free some space.",
    errno.EROFS: "The file system is read-only: choose another folder.",
    errno.EACCES: "Give this user the right to write there, or choose another folder.",
    errno.EPERM: "Give this user the right to write there, or choose another folder.",
}


def storage_error(error: OSError, path: Path) -> StorageError:
    """Return what a person needs to know of a disk that refused."""
    return StorageError(f"{path} cannot be written: {error.strerror or error}", cure=CURES.get(error.errno or 0))
