"""Encrypts or decrypts with OpenPGP what comes from stdin to stdout: ``python pgp_process.py encrypt|decrypt KEYS``.

A process of its own, because pysequoia does not let go of Python's lock while it works: nothing else could run, no
heartbeat and no cancel. It is run as a file and imports nothing else, so it starts at once. Keys come through the file
KEYS, which is a pipe: no key ever lies on a disk.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(what: str, keys: str) -> None:
    """Do it; an error is its one line on stderr, without the library's stack."""
    import pysequoia

    given = Path(keys).read_bytes()
    try:
        if what == "encrypt":
            certs = list(pysequoia.Cert.split_bytes(given))
            pysequoia.encrypt_file("/dev/stdin", "/dev/stdout", recipients=certs, armor=False)
        else:
            decryptor = pysequoia.Tsk.from_bytes(given).decryptor()
            pysequoia.decrypt_file("/dev/stdin", "/dev/stdout", decryptor=decryptor)
    except Exception as error:  # pysequoia raises RuntimeError for everything
        sys.exit((str(error).splitlines() or [type(error).__name__])[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
