"""Folders held open by descriptor: no name is followed out of them, whatever is renamed or linked meanwhile."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from export_pipeline.errors import DeliveryError, ExportError, StorageError, TransientDeliveryError
from export_pipeline.files import storage_error

BLOCK = 1 << 20
"""Bytes that are hashed, or copied by hand, between two looks at whether somebody wants it to end."""

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
            return digest_of(handle, check) if stat.S_ISREG(os.fstat(handle).st_mode) else None
        finally:
            os.close(handle)


def digest_of(handle: int, check: Callable[[], None]) -> str:
    """Return the SHA-256 of what an open file holds, in hex."""
    # never empty, and of one byte more than a small file has: the last read then finds its end
    digest, block, at = hashlib.sha256(), bytearray(min(BLOCK, os.fstat(handle).st_size + 1)), 0
    while count := os.preadv(handle, [block], at):
        check()
        digest.update(memoryview(block)[:count])
        at += count
    return digest.hexdigest()
