"""Who owns a claim, and whether that process is surely dead.

An owner is ``machine:pid:started:random:run``. `machine` names the boot of this kernel and the process namespace (two
containers of one machine do not see each other's processes), `started` tells a process from a later one with the same
id. Where a system does not tell these, nobody is ever *surely* dead, and only the lease decides.
"""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
from pathlib import Path


@functools.cache
def machine() -> str:
    """Return the name of this boot and process namespace, ``-`` where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return "-"
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:12]


def started(pid: int) -> str | None:
    """Return when a process of this machine started, in ticks; ``gone`` for a zombie, None if unreadable."""
    try:
        # the second field is the name of the program, in parentheses, and may hold anything
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return "gone" if fields[0] in "ZX" else fields[19]


def new_owner(run_id: str) -> str:
    """Return an owner for one claim of this process."""
    pid = os.getpid()
    return f"{machine()}:{pid}:{started(pid) or '-'}:{secrets.token_hex(8)}:{run_id}"


def surely_dead(owner: str) -> bool:
    """Return whether the owner was a process of this machine that is gone; False means only that nobody can tell."""
    where, pid, since, *_ = owner.split(":", 4)
    if "-" in (where, since) or where != machine():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is there, and belongs to somebody else
    # /proc may hide the processes of other users: unreadable is not gone
    return (started(int(pid)) or since) != since
