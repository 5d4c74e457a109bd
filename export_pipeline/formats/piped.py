"""A file for native code that writes in many small pieces, each of which would cost a call of Python."""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import select
import threading
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO

_SIZE = 1 << 20
"""Bytes that wait in the pipe, where the system allows as many."""
_LOOK = 100
"""Milliseconds between two looks whether whoever writes has given up."""

Put = Callable[[bytes], object]
"""What takes the bytes of a file."""
_Begun = queue.SimpleQueue[tuple[int, IO[bytes], Put] | None]


@contextlib.contextmanager
def piped(target: BinaryIO) -> Iterator[IO[bytes]]:
    """Give a file of the system whose bytes go to `target`, from a thread, in blocks; all of them when the block ends.

    What `target` raises closes the pipe: whoever writes gets a BrokenPipeError, or what another library makes of it,
    and `target` is expected to keep its failure, as a `Sink` does.
    """
    with pipes() as begin, begin(0, target.write) as file:
        yield file


@contextlib.contextmanager
def pipes() -> Iterator[Callable[[int, Put], IO[bytes]]]:
    """Give a function that begins such files, each with its number, 0, 1, 2 and so on.

    What is written to one waits until the one before it is closed by all who have it: bytes come in the order of the
    numbers, in whichever order files are begun and written.
    """
    begun: _Begun = queue.SimpleQueue()
    given_up = threading.Event()

    def begin(number: int, put: Put) -> IO[bytes]:
        ends = os.pipe()
        reading, writing = os.fdopen(ends[0], "rb", buffering=0), os.fdopen(ends[1], "wb", buffering=0)
        with contextlib.suppress(AttributeError, PermissionError):  # not Linux, or the user has many pipes already
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _SIZE)
        begun.put((number, reading, put))
        if given_up.is_set():  # perhaps nobody looks any more
            reading.close()
            writing.close()
            raise BrokenPipeError("writing has ended")
        return writing

    pump = threading.Thread(target=_pump, args=(begun, given_up), name="pipe", daemon=True)
    pump.start()
    try:
        yield begin
    except BaseException:
        given_up.set()  # native threads may hold the pipe open for longer than their query lasts
        raise
    finally:
        begun.put(None)
        pump.join()


def _pump(begun: _Begun, given_up: threading.Event) -> None:
    waiting: dict[int, tuple[IO[bytes], Put]] = {}
    turn = 0
    for number, file, put in iter(begun.get, None):
        waiting[number] = file, put
        while turn in waiting and not given_up.is_set():
            try:
                _copy(*waiting.pop(turn), given_up)
            except BaseException:
                given_up.set()
            turn += 1
        if given_up.is_set():
            _close(waiting)  # whoever writes there hears of it
    _close(waiting)


def _close(waiting: dict[int, tuple[IO[bytes], Put]]) -> None:
    for file, _ in waiting.values():
        file.close()


def _copy(file: IO[bytes], put: Put, given_up: threading.Event) -> None:
    with file:
        ready = select.poll()
        ready.register(file, select.POLLIN)
        while not given_up.is_set():
            if ready.poll(_LOOK):
                if not (data := file.read(_SIZE)):
                    return
                put(data)
