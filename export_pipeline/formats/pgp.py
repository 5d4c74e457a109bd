"""OpenPGP messages as streams: the processes that make and open them, and the packets at their beginning."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, cast

from export_pipeline.errors import FormatError

_PIECE = 1 << 20
_SCRIPT = Path(__file__).with_name("pgp_process.py")
_SESSION_KEY = 1
"""Tag of the packets that hold the key of the message, one for each recipient (RFC 9580, 5.1)."""


class Pump:
    """A process that encrypts or decrypts what is written to it; killed when the block ends before it does."""

    def __init__(self, what: str, keys: bytes) -> None:
        self._what, self._keys = what, keys
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None

    def __enter__(self) -> Pump:
        read, write = os.pipe()
        try:
            # -P: the folder of the script has modules that are named like those of the standard library
            command = [sys.executable, "-P", str(_SCRIPT), self._what, f"/dev/fd/{read}"]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=[read], bufsize=0)
        except BaseException:
            os.close(write)
            raise
        finally:
            os.close(read)
        self._start(lambda: self._pass_keys(write))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    @property
    def _input(self) -> IO[bytes]:
        return cast("IO[bytes]", self._process.stdin)

    def feed(self, pieces: Iterable[bytes]) -> None:
        """Write pieces from a thread, to the end."""

        def work() -> None:
            for piece in pieces:
                self.write(piece)
            self._input.close()

        self._start(work)

    def write(self, data: bytes) -> None:
        """Write all bytes; once the process is dead they are lost, and `finish` says why it died."""
        rest = memoryview(data)
        try:
            while rest.nbytes:
                rest = rest[self._input.write(rest) or 0 :]
        except BrokenPipeError:
            pass

    def output(self) -> Iterator[bytes]:
        """Yield what the process makes."""
        stream = cast("IO[bytes]", self._process.stdout)
        while piece := stream.read(_PIECE):
            yield piece

    def drain(self, take: Callable[[bytes], object]) -> None:
        """Hand what the process makes to a function, from a thread."""

        def work() -> None:
            for piece in self.output():
                take(piece)

        self._start(work)

    def finish(self) -> None:
        """Wait for the end; FormatError with the process's reason where it failed."""
        if not self._input.closed:
            self._input.close()
        for thread in self._threads:
            thread.join()
        said = cast("IO[bytes]", self._process.stderr).read().decode(errors="replace").strip()
        if self._failure is not None:
            raise self._failure
        if self._process.wait() != 0:
            raise FormatError(f"seal: pgp: cannot {self._what}: {said.splitlines()[-1] if said else 'it was killed'}")

    def _pass_keys(self, write: int) -> None:
        with open(write, "wb") as keys:
            keys.write(self._keys)

    def _start(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except BrokenPipeError:
                pass  # the process is dead, and says itself why
            except BaseException as error:  # raised again by `finish`
                self._failure = error
                self._process.kill()

        thread = threading.Thread(target=run, name=f"pgp {self._what}", daemon=True)
        self._threads.append(thread)
        thread.start()


@dataclass(frozen=True)
class PassingKey:
    """A key that is in no file and ends with the pass."""

    public: bytes
    private: bytes
    key_id: bytes
    """What its packets are marked with."""


def passing_key() -> PassingKey:
    """Return a new key."""
    import pysequoia

    made = pysequoia.Tsk.generate("passing")
    public = made.extract_certificate()
    ((key_id, _),) = _session_keys(pysequoia.encrypt(b"", recipients=[public], armor=False))[0]
    return PassingKey(bytes(public), bytes(made), key_id)


class Sieve:
    """Leaves the one packet out of a message that opens it for a key."""

    def __init__(self, key_id: bytes) -> None:
        self._key_id = key_id
        self._begin: bytes | None = b""
        """What is not looked at yet; None: behind the packets of the keys."""
        self._dropped = 0

    def put(self, data: bytes) -> Iterator[bytes]:
        """Yield what stays of the next bytes."""
        if self._begin is None:
            yield data
            return
        found, rest = _session_keys(self._begin + data)
        self._begin = rest
        for key_id, packet in found:
            if key_id == self._key_id:
                self._dropped += 1
            else:
                yield packet
        if rest and rest[0] & 0x3F != _SESSION_KEY:
            self._begin = None
            yield rest

    def finish(self) -> None:
        """Refuse a message without exactly one such packet."""
        if self._begin is not None or self._dropped != 1:
            raise FormatError("seal: pgp: the message does not begin with the packets of its keys")


def _session_keys(data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the complete packets of keys at the beginning (key id, packet), and what follows."""
    found = []
    while len(data) >= 3 and data[0] == 0xC0 | _SESSION_KEY:
        head, size = (2, data[1]) if data[1] < 192 else (3, ((data[1] - 192) << 8) + data[2] + 192)
        if data[1] >= 224:
            raise FormatError("seal: pgp: a key is too long")
        if len(data) < head + size:
            break
        found.append((_key_id(data[head : head + size]), data[: head + size]))
        data = data[head + size :]
    return found, data


def _key_id(body: bytes) -> bytes:
    """Return the id of the key that a packet is for, whichever of the two versions it has."""
    if body[0] == 3:
        return body[1:9]
    length, version = body[1], body[2]
    fingerprint = body[3 : 2 + length]
    return fingerprint[:8] if version == 6 else fingerprint[-8:]
