"""Files that are written beneath a folder and are not there yet.

An unfinished file has a hidden name of its own in the folder that it is for, and its process holds a lock on it. The
kernel frees the lock when the process dies, however it dies; so a sweep takes what is dead, at once, and nothing else.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import platform
import re
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from types import TracebackType

from export_pipeline.destinations.beneath import BLOCK, Folder, digest_of
from export_pipeline.errors import DeliveryError

SPAN = 64 << 20
"""Bytes that the kernel copies between two looks at whether somebody wants it to end."""
FOREIGN_HOURS = 24
"""Age at which an unlocked unfinished file of another machine is swept: not every network folder shares locks."""

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_PART = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})-[0-9a-f]{12}\.part", re.DOTALL)

_PLAIN_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF}
"""What the kernel says when it cannot copy between these two file systems itself."""
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What a file system without hard links says (FAT, some network and user-space ones)."""


class Unfinished:
    """A file that is being written under a hidden name, locked by this process; a context manager.

    When the context is left, the hidden name is gone: what was published has its own.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder = folder
        self._syncing: Future[None] | None = None
        shown = name.encode()[:150].decode(errors="ignore")
        while True:
            self.name = f".{shown}.{_HOST}-{secrets.token_hex(6)}.part"
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self.handle = os.open(self.name, flags, 0o666, dir_fd=folder.handle)
            # a neighbour's sweep may have seen it before the lock was there: then it is swept, and made again
            with suppress(BlockingIOError):
                _lock(self.handle)
                if os.fstat(self.handle).st_nlink:
                    return
            self.close()

    def __enter__(self) -> Unfinished:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the hidden name and free the lock."""
        if self._syncing is not None:
            wait([self._syncing])  # a descriptor that is closed may be another file's at once
        with suppress(OSError):
            os.unlink(self.name, dir_fd=self.folder.handle)
        os.close(self.handle)

    def fill(self, source: int, check: Callable[[], None]) -> None:
        """Copy an open file into it; the kernel copies where it can (a reflink where there are such)."""
        size = os.fstat(source).st_size
        done = 0
        while done < size and hasattr(os, "copy_file_range"):
            check()
            try:
                count = os.copy_file_range(source, self.handle, min(SPAN, size - done), done, done)
            except OSError as error:
                if error.errno not in _PLAIN_COPY:
                    raise
                count = 0
            if count == 0:
                break
            done += count
        while block := os.pread(source, BLOCK, done):
            check()
            while block:
                count = os.pwrite(self.handle, block, done)
                done, block = done + count, block[count:]

    def begin_sync(self, pool: Executor) -> None:
        """Begin to make its bytes survive a power cut."""
        self._syncing = pool.submit(os.fsync, self.handle)

    def sync(self) -> None:
        """Make its bytes survive a power cut; wait for it where it was begun."""
        if self._syncing is None:
            os.fsync(self.handle)
        else:
            self._syncing.result()

    def digest(self, check: Callable[[], None]) -> str:
        """Read it back; return its SHA-256 in hex."""
        return digest_of(self.handle, check)

    @property
    def inode(self) -> int:
        """The number of the file, which it keeps under its final name."""
        return os.fstat(self.handle).st_ino

    @property
    def size(self) -> int:
        """Bytes in it."""
        return os.fstat(self.handle).st_size

    def replace(self, name: str) -> None:
        """Publish it in one step, in the place of what had the name."""
        os.rename(self.name, name, src_dir_fd=self.folder.handle, dst_dir_fd=self.folder.handle)

    def create(self, name: str, unlinked: Callable[[], None]) -> bool:
        """Publish it in one step if the name is free; return whether it was.

        Without hard links the file may not keep its number: `unlinked` is called before it is published another way.
        """
        at = self.folder.handle
        try:
            os.link(self.name, name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)
        except FileExistsError:
            # a network folder may have done it, lost the answer, and been asked again
            found = self.folder.look(name)
            return found is not None and found.st_ino == self.inode
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            unlinked()
            return _rename_if_free(at, self.name, name)
        return True


def sweep(folder: Folder) -> list[str]:
    """Remove unfinished files of a folder whose process is dead; return their names."""
    swept: list[str] = []
    for name in os.listdir(folder.handle):  # noqa: PTH208 - a descriptor, not a path
        match = _PART.fullmatch(name)
        if match is None:
            continue
        with suppress(OSError):  # gone meanwhile, somebody else's, or a symbolic link
            handle = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder.handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                age = time.time() - os.fstat(handle).st_mtime
                if match["host"] == _HOST or age > FOREIGN_HOURS * 3600:
                    os.unlink(name, dir_fd=folder.handle)
                    swept.append(name)
            finally:
                os.close(handle)
    return swept


def _lock(handle: int) -> None:
    """Lock a file for this process; a file system without locks is taken as it is (its sweep takes nothing either)."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return


def _rename_if_free(folder: int, old: str, new: str) -> bool:
    """Rename unless the new name is taken (Linux); raises `DeliveryError` where the file system cannot do that."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is not None and call(folder, os.fsencode(old), folder, os.fsencode(new), 1) == 0:
        return True
    if call is not None and ctypes.get_errno() == errno.EEXIST:
        return False
    raise DeliveryError(
        f"the file system of {new} cannot take a name only if it is free",
        cure="Use if_exists: overwrite there, or another folder.",
    )
