"""An output of several files: a folder that is filled part by part and appears complete or not at all."""

from __future__ import annotations

import hashlib
import shutil
import threading
from contextlib import suppress
from pathlib import Path, PurePosixPath
from types import TracebackType

from export_pipeline.errors import Cancelled, ExportError
from export_pipeline.files import storage_error
from export_pipeline.names import check_relative
from export_pipeline.parts import Part

MARKER = "_SUCCESS"
"""The empty file that says that all others are there."""


class PartSink:
    """One part: a writable binary file-like, open only while bytes are written, so that thousands may be unfinished."""

    def __init__(self, folder: PartFolder, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.bytes, self.rows = 0, 0
        """What was written so far; who writes the rows counts them."""
        self._folder, self._hash = folder, hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        """Take all bytes; raises Cancelled when asked to stop, StorageError when the disk refuses."""
        view = memoryview(data)
        try:
            self._folder.check()
            with self.path.open("ab", buffering=0) as file:
                done = 0
                while done < view.nbytes:
                    done += file.write(view[done:]) or 0
        except OSError as error:
            self._folder.failure = self._folder.failure or storage_error(error, self.path)
            raise
        except BaseException as error:
            self._folder.failure = self._folder.failure or error
            raise
        self._hash.update(view)
        self.bytes += done
        return done

    def finished(self) -> Part:
        """Return what is known of it."""
        return Part(name=self.name, rows=self.rows, bytes=self.bytes, sha256=self._hash.hexdigest())

    def writable(self) -> bool:
        """Say that this is written to."""
        return True

    def flush(self) -> None:
        """Do nothing: bytes are handed on at once."""

    def close(self) -> None:
        """Do nothing: it is closed between two writes."""


class PartFolder:
    """A hidden folder that takes its name when everything went well; a context manager. An error leaves nothing."""

    def __init__(self, path: Path, *, stop: threading.Event | None = None) -> None:
        self.path = path
        self.work = path.with_name(f".{path.name}.{threading.get_ident():x}.part")
        """Where the parts are until then."""
        self.failure: BaseException | None = None
        """What a part raised first; leaving the context raises it as it was."""
        self.sinks: dict[str, PartSink] = {}
        self._stop, self._lock, self._ended = stop, threading.Lock(), False
        self._scratch = self.work.with_suffix(".scratch")

    def check(self) -> None:
        """Raise Cancelled when asked to stop, ValueError when it has ended: Polars' threads may go on for a moment."""
        if self._ended:
            raise ValueError(f"{self.path.name} is closed")
        if self._stop is not None and self._stop.is_set():
            raise Cancelled("the export was stopped")

    def part(self, name: str) -> PartSink:
        """Begin a part with this name, a relative path; raises ConfigError for one that is not safe."""
        check_relative(name)
        sink = self._begin(name, self.work / name)
        self.sinks[name] = sink
        return sink

    def temporary(self, name: str) -> PartSink:
        """Begin a file that is needed on the way; it is gone at the end."""
        return self._begin(name, self._scratch / name)

    def _begin(self, name: str, path: Path) -> PartSink:
        try:
            with self._lock:  # no folder is made any more when it has ended
                self.check()
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(exist_ok=False)  # two parts never share a name
        except BaseException as error:
            self.failure = self.failure or (storage_error(error, path) if isinstance(error, OSError) else error)
            raise
        return PartSink(self, name, path)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts in the order in which they are read and delivered: by name, the marker last."""
        return tuple(self.sinks[name].finished() for name in sorted(self.sinks, key=lambda n: (n == MARKER, n)))

    def __enter__(self) -> PartFolder:
        _remove(self.work)
        _remove(self._scratch)
        try:
            self.work.mkdir(parents=True)
        except OSError as error:
            raise storage_error(error, self.work) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failure = self.failure
        with self._lock:
            self._ended = True
        _remove(self._scratch)
        try:
            if error is None and failure is None:
                shutil.rmtree(self.path, ignore_errors=True)
                self.work.rename(self.path)
        finally:
            _remove(self.work)
        if (
            failure is not None
            and not isinstance(error, ExportError)
            and (error is None or isinstance(error, Exception))
        ):
            raise failure from error


def _remove(path: Path) -> None:
    """Remove a folder into which other threads may still write: they find no folder of that name any more."""
    gone = path.with_name(path.name + ".gone")
    with suppress(FileNotFoundError):
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def part_files(path: Path) -> list[tuple[str, Path]]:
    """Return name and path of the parts that are in a folder, in their order, without the marker."""
    found = {p.relative_to(path).as_posix(): p for p in path.rglob("*") if p.is_file()}
    return [(name, found[name]) for name in sorted(found) if PurePosixPath(name).name != MARKER]
