"""Where the bytes of a file go: hashed and counted on the way, published in one step, never half."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from export_pipeline.errors import Cancelled, ExportError, StorageError

_REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}


class Sink:
    """A writable binary file-like: a hidden temporary file that takes its name when everything went well.

    It is not forced to the disk here: what is delivered is compared with its digest first, and forced there.

    Use it as a context manager; on an exception nothing stays. `write` takes all of its bytes and returns their number:
    Polars resends or corrupts after any other number. It is called from Polars' threads, one call at a time.
    """

    def __init__(self, path: Path, *, stop: threading.Event | None = None) -> None:
        self.path = path
        self.bytes = 0
        """Bytes written so far."""
        self.failure: BaseException | None = None
        """What `write` raised. Polars reports it as an error of its own; leaving the context raises it as it was."""
        self._hash = hashlib.sha256()
        self._stop = stop
        self._part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident():x}.part")
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Sink:
        with _refusals(self._part):
            self._file = self._part.open("xb", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure = self.failure  # as of now: Polars' threads may still write, to what is closed
        file, self._file = self._file, None
        if file is None:
            return
        try:
            with _refusals(self.path):
                file.close()
                if error is None:
                    self._part.replace(self.path)
        finally:
            self._part.unlink(missing_ok=True)
        if failure is not None and isinstance(error, Exception) and not isinstance(error, ExportError):
            raise failure from error

    @property
    def sha256(self) -> str:
        """Digest of the bytes so far, in hex."""
        return self._hash.hexdigest()

    def write(self, data: bytes | memoryview) -> int:
        """Take all bytes; raises Cancelled when asked to stop, StorageError when the disk refuses."""
        try:
            return self._put(memoryview(data))
        except BaseException as error:
            self.failure = self.failure or error
            raise

    def _put(self, data: memoryview) -> int:
        if self._stop is not None and self._stop.is_set():
            raise Cancelled("the export was stopped")
        if self._file is None:
            raise ValueError(f"{self.path.name} is closed")
        self._hash.update(data)
        with _refusals(self.path):
            written = 0
            while written < data.nbytes:  # a raw file may take less than everything
                written += self._file.write(data[written:]) or 0
        self.bytes += written
        return written

    def writable(self) -> bool:
        """Say that this is written to."""
        return True

    def flush(self) -> None:
        """Do nothing: bytes are handed on at once."""

    def close(self) -> None:
        """Do nothing: Polars closes what it wrote to, but the file is complete only when the `with` ends."""


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        raise StorageError(
            f"cannot write {path}: {error.strerror}", cure="Free space or give write permission, then run it again."
        ) from error
