"""A free port of this machine, and how to reach it."""

from __future__ import annotations

import errno
import socket

from export_pipeline.errors import ConfigError

TRIED = 50
"""Ports that are tried, one after the other."""
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 - what a browser here uses for them
"""Address that means all of this machine's -> one that it can be reached under."""


def address(host: str) -> str:
    """Return the host as it stands in a URL for a browser on this machine."""
    return LOOPBACK.get(host, f"[{host}]" if ":" in host else host)


def free_port(host: str, port: int) -> int:
    """Return the port if it is free, else the next one that is.

    Raises `ConfigError` where the host is no address of this machine, or no port may be used.
    """
    last = min(port + TRIED, 65536)
    for candidate in range(port, last):
        try:
            _bind(host, candidate)
        except socket.gaierror as error:
            raise ConfigError(
                f"--host {host!r} is no address: {error.strerror}", cure="Try --host 127.0.0.1."
            ) from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            if error.errno == errno.EACCES:
                raise ConfigError(
                    f"port {candidate} may not be used", cure="Name one above 1023: --port 3000."
                ) from None
            raise ConfigError(
                f"--host {host!r} is no address of this machine: {error.strerror}", cure="Try --host 127.0.0.1."
            ) from None
        return candidate
    raise ConfigError(f"the ports {port} to {last - 1} are busy", cure="Name a free one with --port.")


def _bind(host: str, port: int) -> None:
    """Take the port for a moment, as the server will."""
    family, kind, protocol, _, where = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(where)
