"""Real servers for tests, private to one test run: data in a temporary folder, a free port of the loopback address."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest


def absent(program: str) -> None:
    """Skip a test by name where a server program is not installed; fail in CI, where it has to be."""
    reason = f"{program} is not installed"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a port of the loopback address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL cluster."""

    port: int

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """Make an empty database; return its URL."""
        import psycopg

        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)


def postgres_programs() -> Path | None:
    """Return the folder of PostgreSQL's server programs, None if there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _unprivileged() -> str | None:
    """Return the user to run PostgreSQL as, which refuses to be root; None for the present one."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a private cluster, without fsync (its machine does not lose power); stop it at the end."""
    programs = postgres_programs()
    if programs is None:
        absent("PostgreSQL (Debian: postgresql)")
        raise AssertionError
    user, port = _unprivileged(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="export_pipeline_postgres_"))
    if user is not None:
        shutil.chown(folder, user)
    data, log = folder / "data", folder / "log"
    log.touch()
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"],
            check=True,
            capture_output=True,
            user=user,
            cwd=folder,
        )
        options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        with log.open("wb") as output:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())],
                stdout=output,
                stderr=output,
                user=user,
                cwd=folder,
            )
        try:
            _wait(server, port, log)
            yield Postgres(port)
        finally:
            server.send_signal(signal.SIGQUIT)  # at once: nobody wants the data any more
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until PostgreSQL answers."""
    import psycopg

    end = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(f"postgresql://tester@127.0.0.1:{port}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(f"PostgreSQL does not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A private PostgreSQL for the tests of this process."""
    with running_postgres() as server:
        yield server
