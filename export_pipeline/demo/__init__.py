"""A home folder to try everything with: two stores full of believable rows, and six exports that show what there is."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path, PurePosixPath

from export_pipeline.demo.history import History
from export_pipeline.demo.store import parquet, write_archive, write_live
from export_pipeline.errors import ConfigError
from export_pipeline.files import storage_error, sync_folder

__all__ = ["History", "create", "example_files", "parquet"]

ROWS = 250_000
ARCHIVE, LIVE, STORES, MARKER = "archive.duckdb", "dashboard.sqlite", "stores.yaml", ".demo.json"
ABANDONED = 3600.0
"""Seconds after which a hidden folder is that of a demo that was killed."""


def example_files() -> dict[str, str]:
    """Return the texts that the demo brings: ``stores.yaml`` and the examples, by their path in the home folder."""
    here = files(__package__)
    texts = {STORES: here.joinpath(STORES).read_text("utf-8")}
    for file in sorted(here.joinpath("exports").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            texts[f"exports/{file.name}"] = file.read_text("utf-8")
    return texts


def create(folder: Path, rows: int = ROWS, until: datetime | None = None, seed: int = 7) -> None:
    """Write the demo's stores and exports into a folder, whose other files stay as they are.

    Everything is made in a hidden folder first, so that a demo that stops half-way leaves nothing. A demo that is there
    already is replaced, but never a file that is somebody else's, or an example that was edited.

    Args:
        folder: The home folder; made where it is missing.
        rows: Number of commands, up to some ten million.
        until: The aware instant at which history ends; now, to the minute, if not given.
        seed: The same rows come for the same seed, number and end.

    Raises:
        ConfigError: A file that is not the demo's is in the way, or an argument cannot be.
        StorageError: The folder cannot be written.
    """
    if rows < 1:
        raise ConfigError(f"a demo has at least one row, not {rows}")
    end = datetime.now(UTC).replace(second=0, microsecond=0) if until is None else until
    if end.tzinfo is None:
        raise ConfigError(f"until needs a time zone: {end.isoformat()} is at a different instant in each")
    texts = example_files()
    _refuse_foreign(folder, [LIVE, ARCHIVE, *texts])
    _sweep(folder)
    existed = folder.exists()
    scratch = folder / f".demo-{secrets.token_hex(4)}.part"
    try:
        scratch.mkdir(parents=True)
        history = History(rows, end, seed)
        write_archive(scratch / ARCHIVE, history)
        write_live(scratch / LIVE, history)
        for name, text in texts.items():
            (scratch / name).parent.mkdir(exist_ok=True)
            (scratch / name).write_text(text, encoding="utf-8")
        made = {name: _sha256(text) for name, text in texts.items()} | {LIVE: None, ARCHIVE: None}
        about = {"rows": rows, "until": end.isoformat(), "seed": seed, "files": made}
        (scratch / MARKER).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        _publish(scratch, folder, [MARKER, ARCHIVE, LIVE, *(name for name in texts if name != STORES), STORES])
    except OSError as error:
        raise storage_error(error, folder) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):  # not empty: the demo is there
                folder.rmdir()


def _sweep(folder: Path) -> None:
    """Remove what demos that were killed left behind."""
    for scratch in folder.glob(".demo-*.part"):
        with contextlib.suppress(OSError):
            if time.time() - scratch.stat().st_mtime > ABANDONED:
                shutil.rmtree(scratch)


def _publish(scratch: Path, folder: Path, names: list[str]) -> None:
    """Move the finished files to their places, ``stores.yaml`` last: without it there is no store."""
    for name in names:
        with (scratch / name).open("rb") as file:
            os.fsync(file.fileno())
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        for leftover in _companions(target):  # the log of the former database must not be applied to this one
            leftover.unlink(missing_ok=True)
        (scratch / name).replace(target)
        sync_folder(target.parent)


def _companions(path: Path) -> Iterator[Path]:
    """Yield the files that databases keep beside themselves."""
    if path.name == LIVE:
        yield from (path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))
    if path.name == ARCHIVE:
        yield path.with_name(path.name + ".wal")


def _refuse_foreign(folder: Path, names: list[str]) -> None:
    """Raise ConfigError if a file stands in the way that an earlier demo did not write, or that was changed since."""
    try:
        made = json.loads((folder / MARKER).read_text("utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        made = {}
    for name in names:
        path = folder / PurePosixPath(name)
        if not path.exists() and not path.is_symlink():
            continue
        if name not in made or not path.is_file() or path.is_symlink():
            raise ConfigError(
                f"{path} is not the demo's and would be overwritten", cure="Choose another folder, or move it away."
            )
        if made[name] is not None and _sha256(path.read_text("utf-8", errors="replace")) != made[name]:
            raise ConfigError(
                f"{path} was changed since the demo was made and would be overwritten",
                cure="Choose another folder, or rename it.",
            )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()
