"""Files as a source: Parquet in place; CSV, TSV, NDJSON, JSON (also as .gz or .zst) and Arrow files staged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from export_pipeline.errors import ConfigError
from export_pipeline.lists import Names
from export_pipeline.options import NamesFiles, OneOf, members_of
from export_pipeline.sources.base import Opened, Source
from export_pipeline.sources.files.arrow import ArrowFile
from export_pipeline.sources.files.base import FileFormat, FileRequest
from export_pipeline.sources.files.csv import CsvFile, TsvFile
from export_pipeline.sources.files.json import JsonFile, NdjsonFile
from export_pipeline.sources.files.locate import locate
from export_pipeline.sources.files.parquet import ParquetFile
from export_pipeline.sources.stores import Stores

AnyFileFormat = Annotated[CsvFile | TsvFile | NdjsonFile | JsonFile | ParquetFile | ArrowFile, OneOf("file format")]
PACKED = (".gz", ".zst")
"""Endings of files that are compressed as a whole."""


class FilesSource(Source):
    """The rows of one or several files, one after another. Columns are found by name; a file may lack some."""

    files: Annotated[Names, Field(min_length=1), NamesFiles]
    """A file, a pattern such as ``flights-*.parquet`` or ``data/**/*.csv``, or a list of them; relative to the home
    folder (for an export file elsewhere: to that file)."""
    format: AnyFileFormat | None = None
    """The format; found by the ending of the names where it is left out."""

    def open(
        self,
        stores: Stores | None = None,  # noqa: ARG002 - files are in no store
        roots: Sequence[Path] | None = None,
        *,
        folder: Path | None = None,
    ) -> Opened:
        """Find the files and look at all of their rows for the types of the columns."""
        paths = locate(self.files, folder or Path.cwd(), roots)
        format_ = self.format or format_of(paths)
        what = ", ".join(path.name for path in paths[:3]) + (f" and {len(paths) - 3} more files" if paths[3:] else "")
        return format_.open_files(FileRequest(paths=tuple(paths), what=what, types=self.types, roles=self.roles))


def format_of(paths: Sequence[Path]) -> FileFormat:
    """Return the format that the names of files tell. Raises `ConfigError` where they tell none or several."""
    formats: dict[str, type[FileFormat]] = {}
    for member in members_of(AnyFileFormat).values():
        assert issubclass(member, FileFormat)  # noqa: S101
        formats |= dict.fromkeys(member.extensions, member)
    found: dict[type[FileFormat], Path] = {}
    for path in paths:
        endings = [ending.lower() for ending in path.suffixes]
        packed = bool(endings) and endings[-1] in PACKED
        ending = "".join(endings[-2:-1] if packed else endings[-1:])
        fitting = formats.get(ending)
        if fitting is None or (packed and not fitting.packed):
            known = f"{', '.join(formats)}; text files also with {' or '.join(PACKED)}"
            raise ConfigError(f"the name of {path.name} tells no format ({known})", cure="Give it:  format: csv")
        found[fitting] = path
    if len(found) > 1:
        named = " and ".join(f"{member.tag} ({path.name})" for member, path in found.items())
        raise ConfigError(f"the files have several formats: {named}", cure="Export them one by one.")
    (chosen,) = found
    return chosen()
