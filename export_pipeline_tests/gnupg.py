"""A GnuPG of its own: keys to seal for, and the program that opens what was sealed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Gnupg:
    """A home folder of gpg."""

    home: Path

    def run(self, *arguments: str | Path, check: bool = True) -> bytes:
        """Run gpg and return what it prints."""
        command = ["gpg", "--batch", "--quiet", "--passphrase", "", *map(str, arguments)]
        return subprocess.run(command, env=self._environment, capture_output=True, check=check).stdout

    def key(self, name: str, path: Path, *, kind: str = "default", usage: str = "default", ends: str = "never") -> Path:
        """Make a key pair and write the public key to a file."""
        self.run("--quick-generate-key", name, kind, usage, ends)
        path.write_bytes(self.run("--armor", "--export", name))
        return path

    def opened(self, path: Path) -> bytes:
        """Return what is in a sealed file."""
        return self.run("--decrypt", path)

    def stop(self) -> None:
        """End the agent that keeps the private keys."""
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=self._environment, check=True)

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "GNUPGHOME": str(self.home), "LC_ALL": "C"}


@contextmanager
def gnupg() -> Iterator[Gnupg]:
    """Give one; its folder has a short name, for the agent's socket is in it."""
    with tempfile.TemporaryDirectory(prefix="gpg", ignore_cleanup_errors=True) as folder:
        made = Gnupg(Path(folder))
        try:
            yield made
        finally:
            made.stop()
