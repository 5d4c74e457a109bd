"""Proof that a run was launched by somebody who may use this machine's files: the owner of the home folder.

Whoever reaches the web server can launch runs and set any tag; only who can read the home folder's key can sign a run's
id. A run with proof may read and write outside the allowed roots, as the command line may.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from export_pipeline.files import storage_error
from export_pipeline.home import Home

KEY = ".key"
"""File of the home folder that only its owner can read."""


def _key(home: Home) -> bytes:
    """Return the home's key; made by whoever needs it first."""
    path = home.root / KEY
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    part = path.with_name(f"{KEY}.{secrets.token_hex(4)}.part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):
            os.link(part, path)  # fails where another was faster, whose key then counts
        return path.read_bytes()
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        part.unlink(missing_ok=True)


def sign(home: Home, run_id: str, output_root: Path | None = None) -> str:
    """Return the proof for one run and the folder that its files go to."""
    text = f"{run_id}\n{output_root or ''}".encode()
    return hmac.new(_key(home), text, hashlib.sha256).hexdigest()


def proven(home: Home, proof: str, run_id: str, output_root: Path | None = None) -> bool:
    """Return whether this is the proof of that run."""
    return hmac.compare_digest(proof.encode(), sign(home, run_id, output_root).encode())
