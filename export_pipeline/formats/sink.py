"""Where the bytes of a file go: hashed and counted on the way, published in one step, never half."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from export_pipeline.errors import Cancelled, ExportError, StorageError

_REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}

_AHEAD = 3
"""Blocks that wait to be written; Polars' are of some 3 MB."""
_BLOCK = 1 << 19
"""Bytes that are handed on at least: Parquet comes in thousands of small pieces, each of which would wake a thread."""
_LOOK = 0.1
"""Seconds between two looks whether there still is a writer."""


class Sink:
    """A writable binary file-like: a hidden temporary file that takes its name when everything went well.

    It is not forced to the disk here: what is delivered is compared with its digest first, and forced there.

    Use it as a context manager; on an exception nothing stays. `write` takes all of its bytes and returns their number:
    Polars resends or corrupts after any other number. It is called from Polars' threads, one call at a time, and hands
    the bytes, which must not change any more, to a thread that hashes and writes them: a disk that is slow for a moment
    does not hold up those who make more.
    """

    def __init__(self, path: Path, *, stop: threading.Event | None = None) -> None:
        self.path = path
        self.bytes = 0
        """Bytes written; all of them when the context is left."""
        self.failure: BaseException | None = None
        """What writing raised. Polars reports it as an error of its own; leaving the context raises it as it was."""
        self._hash = hashlib.sha256()
        self._stop = stop
        self._part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident():x}.part")
        self._file: IO[bytes]
        self._closed = False
        self._held: list[memoryview] = []
        self._size = 0
        self._handed: queue.Queue[memoryview | None] = queue.Queue(_AHEAD)
        self._writer = threading.Thread(target=self._work, name="sink", daemon=True)

    def __enter__(self) -> Sink:
        with _refusals(self._part):
            self._file = self._part.open("xb", buffering=0)
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self.failure is None:
                self._hand()
            self._closed = True  # Polars' threads may still write
            self._handed.put(None)
            self._writer.join()
            with _refusals(self.path):
                self._file.close()
                if error is None and self.failure is None:
                    self._part.replace(self.path)
        finally:
            self._part.unlink(missing_ok=True)
        if self.failure is not None and (error is None or _is_foreign(error)):
            raise self.failure from error

    @property
    def sha256(self) -> str:
        """Digest of the bytes, in hex, when the context is left."""
        return self._hash.hexdigest()

    def write(self, data: bytes | memoryview) -> int:
        """Take all bytes; raises Cancelled when asked to stop, and what an earlier write met: StorageError."""
        if self._stop is not None and self._stop.is_set() and self.failure is None:
            self.failure = Cancelled("the export was stopped")
        if self.failure is not None:
            raise self.failure
        if self._closed:
            raise self._too_late()
        given = memoryview(data)
        self._held.append(given)
        self._size += given.nbytes
        if self._size >= _BLOCK:
            self._hand()
        return given.nbytes

    def _hand(self) -> None:
        """Hand on what is held."""
        held, self._held, self._size = self._held, [], 0
        block = held[0] if len(held) == 1 else memoryview(b"".join(held))
        while not self._closed:
            with contextlib.suppress(queue.Full):
                self._handed.put(block, timeout=_LOOK)
                return
        raise self._too_late()

    def _too_late(self) -> ValueError:
        return ValueError(f"{self.path.name} is closed")

    def _work(self) -> None:
        while (data := self._handed.get()) is not None:
            if self.failure is None:
                try:
                    self._put(data)
                except BaseException as error:
                    self.failure = error

    def _put(self, data: memoryview) -> None:
        self._hash.update(data)
        with _refusals(self.path):
            written = 0
            while written < data.nbytes:  # a raw file may take less than everything
                written += self._file.write(data[written:]) or 0
        self.bytes += written

    def writable(self) -> bool:
        """Say that this is written to."""
        return True

    def flush(self) -> None:
        """Do nothing: bytes are handed on at once."""

    def close(self) -> None:
        """Do nothing: Polars closes what it wrote to, but the file is complete only when the `with` ends."""


def _is_foreign(error: BaseException) -> bool:
    """Return whether an error may be what another library made of ours."""
    return isinstance(error, Exception) and not isinstance(error, ExportError)


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
