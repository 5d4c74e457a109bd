"""The command as a person uses it: a process of its own, with or without a terminal, with Ctrl-C."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export_pipeline.cli.commands import run

PROGRAM = (sys.executable, "-m", "export_pipeline")
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9])")


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of a command that knows nothing of this test run's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EXPORT_PIPELINE", "DAGSTER"))}
    return kept | {"TERM": "xterm"} | dict(more or {})


@dataclass(frozen=True)
class Ended:
    """What a command wrote and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        (line,) = self.out.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found

    @property
    def told(self) -> list[str]:
        """The lines on standard error."""
        return self.err.splitlines()


def command(home: Path, *arguments: str, cwd: Path | None = None) -> Ended:
    """Run a command without a terminal."""
    done = subprocess.run(
        [*PROGRAM, "--home", str(home), *arguments],
        capture_output=True,
        text=True,
        cwd=cwd or home.parent,
        env=environment(),
        timeout=120,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def inside(home: Path, *arguments: str) -> Ended:
    """Run a command in this process, whose imports are done; the run itself has a process of its own all the same."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(["--home", str(home), *arguments])
    return Ended(code, out.getvalue(), err.getvalue())


@dataclass
class Terminal:
    """A command in a terminal."""

    process: subprocess.Popen[bytes]
    handle: int
    text: str = ""
    """Everything that it wrote so far."""

    @property
    def pid(self) -> int:
        """The process that the command is."""
        return self.process.pid

    @property
    def plain(self) -> str:
        """The text without colours and movements."""
        return ESCAPES.sub("", self.text)

    def read(self, patience: float = 0.1) -> None:
        """Read what is there."""
        ready, _, _ = select.select([self.handle], [], [], patience)
        if ready:
            with contextlib.suppress(OSError):  # Linux: nobody writes any more
                self.text += os.read(self.handle, 65536).decode(errors="replace")

    def until(self, pattern: str, timeout: float = 60) -> re.Match[str]:
        """Read until the pattern is there."""
        end = time.monotonic() + timeout
        while (found := re.search(pattern, self.plain)) is None:
            assert time.monotonic() < end, f"no {pattern!r} in {self.plain[-2000:]!r}"
            assert not self.ended() or re.search(pattern, self.plain), f"it ended: {self.plain[-2000:]!r}"
            self.read()
        return found

    def press(self, key: str) -> None:
        """Press a key; ``\\x03`` is Ctrl-C."""
        os.write(self.handle, key.encode())

    def ended(self) -> bool:
        """Return whether the command is over."""
        if self.process.returncode is None and self.process.poll() is not None:
            self.read(0)
        return self.process.returncode is not None

    def wait(self, timeout: float = 60) -> int:
        """Read until it is over; return the exit code."""
        end = time.monotonic() + timeout
        while not self.ended():
            assert time.monotonic() < end, f"it does not end: {self.plain[-2000:]!r}"
            self.read()
        code: int = self.process.returncode
        return code


@contextlib.contextmanager
def terminal(
    home: Path, *arguments: str, cwd: Path | None = None, columns: int = 100, variables: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Start a command in a terminal of so many columns; ended with the block."""
    handle, theirs = os.openpty()
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    # What the leader of a session opens first is its terminal: no fork of this process is needed, which has threads.
    taken = 'tty=$1; shift; exec "$@" <> "$tty" >&0 2>&0'
    process = subprocess.Popen(
        ["sh", "-c", taken, "sh", os.ttyname(theirs), *PROGRAM, "--home", str(home), *arguments],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        cwd=cwd or home.parent,
        env=environment(variables),
    )
    started = Terminal(process, handle)
    try:
        yield started
    finally:
        if not started.ended():
            process.terminate()
            with contextlib.suppress(AssertionError):
                started.wait(30)
            if process.returncode is None:
                process.kill()
                process.wait()
        os.close(theirs)
        os.close(handle)


def children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.parent.name))
    return found


def living(pid: int) -> bool:
    """Return whether a process is at work."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
