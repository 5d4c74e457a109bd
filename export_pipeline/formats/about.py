"""What formats may know of an export besides its rows."""

from __future__ import annotations

import difflib
from pathlib import Path

from export_pipeline.errors import ConfigError
from export_pipeline.options import Options


class About(Options):
    """What is known of the export besides its rows, for formats that write it into the file (metadata, properties)."""

    name: str = "export"
    """Name of the export."""
    logical_time: str | None = None
    """The run's logical time, ISO 8601; never the clock, so that the same input gives the same bytes."""
    timezone: str = "UTC"
    """The export's time zone."""
    filter: str | None = None
    """The filter as an English sentence."""
    version: str | None = None
    """The identity of the snapshot that was read."""
    file: str = "data"
    """The name that the file is to be delivered under."""
    folder: Path | None = None
    """The folder that relative names of files in the format's options stand in; None: the current one."""
    roots: tuple[Path, ...] | None = None
    """The folders that such files must be in; None: anywhere."""

    def locate(self, option: str, file: str) -> Path:
        """Return the path of a file that an option names; ConfigError where it may not be read."""
        path = ((self.folder or Path.cwd()) / Path(file).expanduser()).resolve()
        if self.roots is not None and not any(path.is_relative_to(root.resolve()) for root in self.roots):
            raise ConfigError(
                f"{option}: {file!r} is outside of the folders that exports may read",
                cure="Put the file into the home folder, or list its folder under roots: in stores.yaml.",
            )
        return path

    def read(self, option: str, file: str, limit: int) -> bytes:
        """Return the bytes of a file that an option names; ConfigError where it cannot be read, or has more of them."""
        path = self.locate(option, file)
        try:
            with path.open("rb") as opened:
                data = opened.read(limit + 1)
        except OSError as error:
            raise ConfigError(
                f"{option}: {file!r} cannot be read: {error.strerror}", cure=self._looked(path, file)
            ) from error
        if len(data) > limit:
            raise ConfigError(f"{option}: {file!r} has more than {limit:,} bytes")
        return data

    def _looked(self, path: Path, file: str) -> str:
        """Return what helps with a file that is not there: the nearest name, or where relative names begin."""
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, names, n=1)
        if near:
            return f"Did you mean {str(Path(file).with_name(near[0]))!r}?"
        if Path(file).expanduser().is_absolute():
            return "Relative names begin in the home folder; in an export file elsewhere, in the folder of that file."
        return f"It was looked for at {path}; relative names begin in {self.folder or 'the current folder'}."

    def told(self) -> dict[str, object]:
        """Return what a file may say of itself: nothing of this machine."""
        return self.model_dump(exclude={"file", "folder", "roots"}, exclude_none=True)
