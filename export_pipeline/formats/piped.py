"""A file for native code that writes in many small pieces, each of which would cost a call of Python."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import threading
from collections.abc import Iterator
from typing import IO, BinaryIO

_SIZE = 1 << 20
"""Bytes that wait in the pipe, where the system allows as many."""
_LOOK = 100
"""Milliseconds between two looks whether whoever writes has given up."""


@contextlib.contextmanager
def piped(target: BinaryIO) -> Iterator[IO[bytes]]:
    """Give a file of the system whose bytes go to `target`, from a thread, in blocks; all of them when the block ends.

    What `target` raises closes the pipe: whoever writes gets a BrokenPipeError, or what another library makes of it,
    and `target` is expected to keep its failure, as a `Sink` does.
    """
    reading, writing = os.pipe()
    with contextlib.suppress(AttributeError, PermissionError):  # not Linux, or the user has many pipes already
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _SIZE)
    given_up = threading.Event()
    pump = threading.Thread(target=_pump, args=(reading, target, given_up), name="pipe", daemon=True)
    pump.start()
    try:
        with os.fdopen(writing, "wb", buffering=0) as file:
            yield file
    except BaseException:
        given_up.set()  # native threads may hold the pipe open for longer than their query lasts
        raise
    finally:
        pump.join()


def _pump(reading: int, target: BinaryIO, given_up: threading.Event) -> None:
    ready = select.poll()
    ready.register(reading, select.POLLIN)
    with os.fdopen(reading, "rb", buffering=0) as file, contextlib.suppress(BaseException):
        while not given_up.is_set():
            if ready.poll(_LOOK):
                if not (data := file.read(_SIZE)):
                    return
                target.write(data)
