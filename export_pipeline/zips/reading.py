"""Reading the one file inside of a zip file, with readers that did not write it: Python's, or pyzipper's."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_BROKEN = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError)


class Member(io.RawIOBase):
    """The bytes of the only file inside; whatever is wrong with the zip file is an OSError."""

    def __init__(self, path: Path, password: bytes | None = None) -> None:
        super().__init__()
        self._path = path
        self._zip: Any = None
        self._file: Any = None
        self._broken: tuple[type[Exception], ...] = _BROKEN
        self._said(lambda: self._open(password))

    def _open(self, password: bytes | None) -> None:
        if password is None:
            self._zip = zipfile.ZipFile(self._path)
        else:
            import pyzipper

            self._broken = (*_BROKEN, pyzipper.BadZipFile)
            self._zip = pyzipper.AESZipFile(self._path)
            self._zip.setpassword(password)
        names = self._zip.namelist()
        if len(names) != 1:
            raise zipfile.BadZipFile(f"it holds {len(names)} files")
        (info,) = self._zip.infolist()
        if bool(info.flag_bits & 1) != (password is not None):
            raise zipfile.BadZipFile("it is not encrypted" if password is not None else "it is encrypted")
        self._file = self._zip.open(names[0])

    def readable(self) -> bool:
        """Say that this is read from."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read up to as many bytes as the buffer has room for."""
        data: bytes = self._said(lambda: self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the zip file."""
        for opened in (self._file, self._zip):
            if opened is not None:
                opened.close()
        super().close()

    def _said(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except self._broken as error:
            if isinstance(error, RuntimeError) and "password" in str(error).lower():
                raise OSError(f"{self._path.name}: the password does not open it") from None
            raise OSError(f"{self._path.name}: {error}") from error
