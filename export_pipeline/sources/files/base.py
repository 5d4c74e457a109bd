"""What every file format is: options, and how its files are opened."""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

import polars as pl

from export_pipeline.errors import SourceError
from export_pipeline.filters import Roles
from export_pipeline.options import Options
from export_pipeline.snapshots import Pin
from export_pipeline.snapshots.arrow import plain
from export_pipeline.sources.base import Opened


class FileRequest(Options):
    """Which files to open and how."""

    paths: tuple[Path, ...]
    """The files, absolute, in order."""
    what: str
    """What is read, in words."""
    types: dict[str, str]
    """Column -> type that the export wants."""
    roles: Roles
    """The columns that the source names."""


class FileFormat(Options):
    """A format that rows are read from."""

    extensions: ClassVar[tuple[str, ...]]
    """How its files' names end."""
    packed: ClassVar[bool] = True
    """Whether its files may be compressed as a whole (.gz, .zst)."""

    @abstractmethod
    def open_files(self, request: FileRequest) -> Opened:
        """Open the files. Raises `SourceError`, by file."""

    def digest(self, pins: Sequence[Pin], request: FileRequest) -> str:
        """Return the identity of these files read in this way."""
        told = [self.tag, self.model_dump_json(), repr(sorted(request.types.items()))]
        told += [f"{pin.path}|{pin.size}|{pin.mtime_ns}|{pin.identity}" for pin in pins]
        return "files:" + hashlib.sha256("\n".join(told).encode()).hexdigest()[:32]


def no_columns(what: str) -> SourceError:
    """Return the error for files in which nothing tells the columns."""
    return SourceError(
        f"{what}: it is empty, nothing tells its columns",
        cure="Name them:  schema: {id: integer, name: text}, or leave the file out.",
    )


def united(files: Sequence[tuple[Path, pl.Schema]], what: str, given: Collection[str] = ()) -> dict[str, pl.DataType]:
    """Return all columns, in the order in which they appear first; numbers of several widths have the widest.

    A column of several types whose type is `given` is text until it gets that one. Raises `SourceError` where a column
    has types that do not go together, or there is no column.
    """
    found: dict[str, pl.DataType] = {}
    first: dict[str, Path] = {}
    for path, schema in files:
        for name, dtype in schema.items():
            mine = plain(dtype)
            if re.search(r"precision=(39|[4-9]\d|\d{3})", str(mine)):
                raise SourceError(
                    f"column {name!r} of {path} is {mine}: decimals of more than 38 digits cannot be read"
                )
            known = found.setdefault(name, mine)
            if known != mine:
                wide = wider(known, mine) or (pl.String() if name in given else None)
                if wide is None:
                    raise SourceError(
                        f"column {name!r} is {known} in {first[name]} and {mine} in {path}",
                        cure=f"Write the files with one type, or read it as text:  schema: {{{name}: text}}",
                    )
                found[name] = wide
            first.setdefault(name, path)
    if not found:
        raise no_columns(what)
    return found


def wider(one: pl.DataType, two: pl.DataType) -> pl.DataType | None:
    """Return the type that holds every value of both, None where there is none that is sure to.

    >>> wider(pl.Int32(), pl.Int64()), wider(pl.Int64(), pl.Float64())
    (Int64, None)
    """
    if one.is_integer() and two.is_integer():
        return (
            pl.DataFrame(schema={"one": one, "two": two}).select(pl.col("one") + pl.col("two")).schema["one"]
            if (one.is_signed_integer() == two.is_signed_integer())
            else None
        )
    if {one, two} == {pl.Float32(), pl.Float64()}:
        return pl.Float64()
    if isinstance(one, pl.Decimal) and isinstance(two, pl.Decimal):
        scale = max(one.scale, two.scale)
        whole = max((one.precision or 38) - one.scale, (two.precision or 38) - two.scale)
        return pl.Decimal(whole + scale, scale) if whole + scale <= 38 else None
    if isinstance(one, pl.Datetime) and isinstance(two, pl.Datetime) and one.time_zone == two.time_zone:
        units = {one.time_unit, two.time_unit}
        return pl.Datetime("us", one.time_zone) if units == {"ms", "us"} else None
    return None
