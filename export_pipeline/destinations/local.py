"""A folder of this machine, or one that is mounted on it."""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

from pydantic import field_validator

from export_pipeline.destinations.base import Deliverable, Destination, Receipt, Request, Sending, Steps
from export_pipeline.destinations.beneath import Folder, explained
from export_pipeline.destinations.tree import Tree
from export_pipeline.destinations.unfinished import Unfinished, sweep
from export_pipeline.errors import ConfigError, DeliveryError, ExportError, VerificationError
from export_pipeline.ledger import Mark
from export_pipeline.names import DEFAULT_FILE_NAME, check_file_name, check_relative, numbered

MOST_VERSIONS = 9999
"""Files of one name that `if_exists: version` keeps side by side."""


MANIFEST_NAME = DEFAULT_FILE_NAME + ".manifest"
"""Name of the manifest where none is given; ``.json`` is added."""


class Local(Destination):
    """A folder on this machine."""

    tag: ClassVar[str] = "local"
    short: ClassVar[str | None] = "folder"

    folder: str = "."
    """The folder. A relative one stands below the output folder and is made when it is missing. An absolute one must
    exist (a disk that is not mounted is not written around), and launches from elsewhere than the local command line
    may only use those inside the folders that this installation allows."""
    if_exists: Literal["overwrite", "version", "fail"] = "overwrite"
    """What to do when a file has the name: replace it in one step, keep both (`name (2).csv`), or fail and leave it."""
    manifest: bool | str = False
    """Also write a list of the delivered files (rows, sizes, SHA-256) when all are there. `true` names it after the
    export and the time; a text is its file name template, such as `manifest.json`."""

    @field_validator("folder")
    @classmethod
    def _safe_folder(cls, folder: str) -> str:
        if folder.startswith("~"):
            raise ConfigError(f"the folder {folder!r} is relative to a user's home; write it out: /home/...")
        if "{" in folder:
            raise ConfigError(f"the folder {folder!r} has a field; fields belong in file_name, which may have folders")
        path = PurePosixPath(folder)
        if str(path) == ".":
            return "."
        if ".." in path.parts or any(not character.isprintable() for character in folder):
            raise ConfigError(f"the folder {folder!r} has '..' or a character that cannot be shown")
        return str(path) if path.is_absolute() else check_relative(str(path), "the folder")

    @field_validator("manifest")
    @classmethod
    def _safe_manifest(cls, manifest: bool | str) -> bool | str:
        return check_file_name(manifest) if isinstance(manifest, str) else manifest

    def place(self, request: Request) -> str:
        """Return the absolute path of the folder."""
        path = Path(self.folder)
        return str(path if path.is_absolute() else request.root.resolve() / path)

    @property
    def manifest_name(self) -> str | None:
        """File name template of the manifest, None where none is wanted."""
        return (MANIFEST_NAME if self.manifest is True else self.manifest) or None

    def check(self, request: Request) -> None:
        """Refuse an absolute folder outside of the allowed ones."""
        self._start(request)

    def check_folder(self) -> None:
        """Refuse to number the files of a folder: readers of the folder would take both versions."""
        if self.if_exists == "version":
            raise ConfigError(
                "if_exists: version cannot be used with an output of several files: a reader would take every version",
                cure="Put the time into file_name, as in '{name}-{date:YYYY-MM-DD-HHmm}', or use overwrite or fail.",
            )

    def others(self, folder: str, names: Collection[str], request: Request) -> list[str]:
        """Return the visible files below a folder that are not among these names."""
        try:
            with self.opened(request) as tree:
                top = tree.at(PurePosixPath(folder), make=False)
                found = [
                    str(PurePosixPath(folder, place, name))
                    for place, _, files, _ in os.fwalk(dir_fd=top.handle)
                    for name in files
                    if not name.startswith(".")
                ]
        except ExportError:
            return []  # an output without a part has no folder
        return sorted(set(found) - set(names))

    def send(self, file: Deliverable, sending: Sending) -> Steps:
        """Copy the file under a hidden name, sync and read it back, then publish it in one step."""
        name, tree = PurePosixPath(check_relative(file.name)), _tree(sending)
        folder = tree.at(name.parent)
        with explained(folder.path / name.name):
            tree.sweep(name.parent)
            if self.if_exists == "fail" and folder.look(name.name) is not None:
                raise self._taken(folder.path / name.name)
            with Unfinished(folder, name.name) as part:
                _copy(file, part, sending)
                yield None  # the next file is copied while the disk is busy with this one
                part.sync()
                number = yield from self._publish(part, name, file, sending)
                tree.changed(name.parent)
                yield None  # a folder is synced when all names in it are new
                tree.begin_sync(name.parent)
                yield None
                tree.sync(name.parent)
                final = numbered(name.name, number)
                found = folder.look(final)
                # another number is the file of a later delivery, which may replace this one as it may any time after
                if found is None or (found.st_ino == part.inode and found.st_size != file.bytes):
                    raise VerificationError(f"{folder.path / final} was changed while it was being delivered")
            return self._receipt(sending, str(name.parent / final), file.bytes, file.sha256, number)

    def find(self, mark: Mark, sending: Sending) -> Receipt | None:
        """Return the receipt of a file that an earlier owner published: it has the reserved name, number and bytes.

        That owner may not be dead but asleep, just before it publishes: its hidden file is taken away first, so that
        from here on it either has published, or never will.
        """
        name, tree = PurePosixPath(mark["name"]), _tree(sending)
        folder = tree.at(name.parent)
        with explained(folder.path / name.name):
            folder.remove(mark["part"])
            found = folder.look(name.name)
            if found is None or found.st_size != mark["bytes"] or mark["inode"] not in (None, found.st_ino):
                return None
            if folder.digest(name.name, sending.check) != mark["sha256"]:
                return None
            tree.sweep(name.parent)
            tree.changed(name.parent)
            tree.sync(name.parent)
        return self._receipt(sending, mark["name"], mark["bytes"], mark["sha256"], mark["version"], recovered=True)

    def sweep(self, request: Request) -> list[str]:
        """Remove unfinished files of dead processes from the folder itself, not from folders below it."""
        start, parts, _ = self._start(request)
        if not start.joinpath(*parts).is_dir():
            return []
        with Folder.open(start) as base, base.below(parts, make=False) as folder, explained(folder.path):
            return sweep(folder)

    def probe(self, request: Request) -> Path:
        """Write, read back and remove a small hidden file; return the folder. Raises what a delivery would."""
        with self.opened(request) as tree:
            folder = tree.at(PurePosixPath("."))
            with explained(folder.path), Unfinished(folder, "probe") as part:
                os.pwrite(part.handle, b"probe", 0)
                part.sync()
            return folder.path

    def _publish(
        self, part: Unfinished, name: PurePosixPath, file: Deliverable, sending: Sending
    ) -> Generator[Mark, None, int]:
        """Give the file its final name, written down before; return its version."""
        mark = {"part": part.name, "bytes": file.bytes, "sha256": file.sha256}
        if self.if_exists == "overwrite":
            # whoever takes over may as well publish the same bytes again: the number does not matter
            yield mark | {"name": str(name), "inode": None, "version": 1}
            with _undisturbed(sending):
                part.replace(name.name)
            return 1
        for number in range(1, 2 if self.if_exists == "fail" else MOST_VERSIONS + 1):
            final = numbered(str(name), number)
            if part.folder.look(PurePosixPath(final).name) is not None:
                continue
            mark |= {"name": final, "inode": part.inode, "version": number}
            yield mark
            with _undisturbed(sending):
                if part.create(PurePosixPath(final).name, lambda: sending.reserve(mark | {"inode": None})):  # noqa: B023
                    return number
            sending.reserve(None)  # somebody was faster; the file of that name is not ours
        raise self._taken(part.folder.path / name.name)

    def _taken(self, path: Path) -> DeliveryError:
        if self.if_exists == "fail":
            return DeliveryError(
                f"{path} is there already", cure="Move it away, or set if_exists to overwrite or version."
            )
        return DeliveryError(
            f"there are {MOST_VERSIONS} versions of {path} already", cure="Move some away, or change file_name."
        )

    def _receipt(
        self, sending: Sending, name: str, size: int, sha256: str, version: int, *, recovered: bool = False
    ) -> Receipt:
        return sending.receipt(
            self,
            place=str(Path(_tree(sending).place) / name),
            name=name,
            bytes=size,
            sha256=sha256,
            version=version,
            recovered=recovered,
        )

    def _start(self, request: Request) -> tuple[Path, tuple[str, ...], bool]:
        """Return the trusted folder to start from, the parts below it, and whether missing ones are made."""
        path = Path(self.folder)
        if not path.is_absolute():
            return request.root, path.parts, True
        if request.allowed is None:
            return path, (), False
        for allowed in request.allowed:
            if path.is_relative_to(allowed):
                return allowed, path.relative_to(allowed).parts, False
        shown = ", ".join(map(str, request.allowed)) or "none"
        raise ConfigError(
            f"the folder {self.folder} is not inside an allowed folder (allowed: {shown})",
            cure="Use a relative folder, which stands below the output folder.",
        )

    @contextmanager
    def opened(self, request: Request) -> Iterator[Tree]:
        """Open the folder; those of the files are opened below it."""
        start, parts, makes = self._start(request)
        if makes:
            with explained(start):
                start.mkdir(parents=True, exist_ok=True)
        with Folder.open(start) as base, Tree(base.below(parts, make=makes), place=self.place(request)) as tree:
            yield tree


def _tree(sending: Sending) -> Tree:
    """Return what `Local.opened` opened."""
    tree: Tree = sending.opened
    return tree


@contextmanager
def _undisturbed(sending: Sending) -> Iterator[None]:
    """Say so if the hidden file is gone because another run took over while this process slept."""
    try:
        yield
    except FileNotFoundError:
        sending.reserve(None)  # raises DeliveryBusyError if another run owns the delivery
        raise


def _copy(file: Deliverable, part: Unfinished, sending: Sending) -> None:
    """Copy the staged file and read it back while it is synced: what is published is what was verified."""
    try:
        source = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DeliveryError(
            f"the finished file {file.path} cannot be read: {error.strerror}", cure="Run the export again."
        ) from error
    try:
        part.fill(source, sending.check)
    finally:
        os.close(source)
    part.begin_sync(_tree(sending).pool)
    sha256 = part.digest(sending.check)  # while the disk is busy
    if part.size != file.bytes or sha256 != file.sha256:
        raise VerificationError(
            f"the copy of {file.path.name} ({part.size} bytes) is not the file that was verified ({file.bytes} bytes)",
            cure="The staged file was changed, or the disk is failing.",
        )
