"""Folders held open by descriptor: no name is followed out of them, whatever is renamed or linked meanwhile.

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
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from export_pipeline.errors import DeliveryError, ExportError, StorageError, TransientDeliveryError
from export_pipeline.files import storage_error

BLOCK = 1 << 20
"""Bytes that are hashed, or copied by hand, between two looks at whether somebody wants it to end."""
SPAN = 64 << 20
"""The same where the kernel copies."""
FOREIGN_HOURS = 24
"""Age at which an unlocked unfinished file of another machine is swept: not every network folder shares locks."""

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_PART = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})-[0-9a-f]{12}\.part", re.DOTALL)

_PLAIN_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF}
"""What the kernel says when it cannot copy between these two file systems itself."""
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What a file system without hard links says (FAT, some network and user-space ones)."""

_KINDS: dict[int, tuple[type[ExportError], str, str | None]] = {
    errno.ENOENT: (StorageError, "it does not exist", "Is the disk mounted? Else make the folder: mkdir -p"),
    errno.ENOTDIR: (DeliveryError, "a part of it is a file or a symbolic link, which is not followed", None),
    errno.ELOOP: (DeliveryError, "a part of it is a symbolic link, which is not followed", None),
    errno.EISDIR: (DeliveryError, "there is a folder of that name", "Rename the folder, or the file."),
    errno.ENOTEMPTY: (DeliveryError, "there is a folder of that name", "Rename the folder, or the file."),
    errno.ENAMETOOLONG: (DeliveryError, "the name is too long for this file system", "Shorten file_name."),
    errno.EILSEQ: (DeliveryError, "the file system does not take this name", "Use plainer characters in file_name."),
    errno.EFBIG: (DeliveryError, "the file is too large for this file system", "Compress it or choose another disk."),
    errno.EIO: (TransientDeliveryError, "the disk or the network folder fails", None),
    errno.ESTALE: (TransientDeliveryError, "the network folder was lost", "Is its server up?"),
    errno.ENOTCONN: (TransientDeliveryError, "the network folder was lost", "Is its server up?"),
    errno.EHOSTDOWN: (TransientDeliveryError, "the network folder was lost", "Is its server up?"),
    errno.ETIMEDOUT: (TransientDeliveryError, "the network folder does not answer", "Is its server up?"),
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say of an OSError which path it is about, why, and in its class whether trying again can help."""
    try:
        yield
    except OSError as error:
        if error.errno in _KINDS:
            kind, why, cure = _KINDS[error.errno]
            raise kind(f"{path} cannot be written: {why}", cure=cure) from error
        raise storage_error(error, path) from error


class Folder:
    """An open folder; a context manager."""

    def __init__(self, handle: int, path: Path) -> None:
        self.handle, self.path = handle, path

    @classmethod
    def open(cls, path: Path) -> Folder:
        """Open a folder that is trusted: symbolic links in its path are followed. It must be there."""
        with explained(path):
            return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)

    def below(self, parts: Sequence[str], *, make: bool) -> Folder:
        """Open a folder below this one, making what is missing if `make`; no symbolic link on the way is followed."""
        here = Folder(os.dup(self.handle), self.path)
        for part in parts:
            with here:
                if make and here.make(part):
                    here.sync()
                here = here.enter(part)
        return here

    def make(self, name: str) -> bool:
        """Make a folder in it if the name is free; return whether it was. Its name is not synced."""
        with explained(self.path / name):
            try:
                free = self.look(name) is None
                if free:
                    os.mkdir(name, dir_fd=self.handle)
            except FileExistsError:
                return False
            return free

    def enter(self, name: str) -> Folder:
        """Open a folder in it; a symbolic link is not followed."""
        with explained(self.path / name):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            return Folder(os.open(name, flags, dir_fd=self.handle), self.path / name)

    def look(self, name: str) -> os.stat_result | None:
        """Return what is known of a name without following it, None if it is free."""
        try:
            return os.stat(name, dir_fd=self.handle, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a name, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.handle)

    def sync(self) -> None:
        """Make the names in it survive a power cut."""
        os.fsync(self.handle)

    def digest(self, name: str, check: Callable[[], None]) -> str | None:
        """Return the SHA-256 of a regular file in hex, None if there is none of that name."""
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.handle)
        except (FileNotFoundError, IsADirectoryError):
            return None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                return None
            raise
        try:
            return _digest(handle, check) if stat.S_ISREG(os.fstat(handle).st_mode) else None
        finally:
            os.close(handle)

    def sweep(self) -> list[str]:
        """Remove unfinished files whose process is dead; return their names."""
        swept: list[str] = []
        for name in os.listdir(self.handle):  # noqa: PTH208 - a descriptor, not a path
            match = _PART.fullmatch(name)
            if match is None:
                continue
            with suppress(OSError):  # gone meanwhile, somebody else's, or a symbolic link
                handle = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.handle)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    age = time.time() - os.fstat(handle).st_mtime
                    if match["host"] == _HOST or age > FOREIGN_HOURS * 3600:
                        os.unlink(name, dir_fd=self.handle)
                        swept.append(name)
                finally:
                    os.close(handle)
        return swept


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
        return _digest(self.handle, check)

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


def _lock(handle: int) -> None:
    """Lock a file for this process; a file system without locks is taken as it is (its sweep takes nothing either)."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return


def _digest(handle: int, check: Callable[[], None]) -> str:
    # never empty, and of one byte more than a small file has: the last read then finds its end
    digest, block, at = hashlib.sha256(), bytearray(min(BLOCK, os.fstat(handle).st_size + 1)), 0
    while count := os.preadv(handle, [block], at):
        check()
        digest.update(memoryview(block)[:count])
        at += count
    return digest.hexdigest()


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
