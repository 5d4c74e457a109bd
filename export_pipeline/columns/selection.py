"""Which columns a result has, under which names and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import polars as pl
from pydantic import Field, model_validator

from export_pipeline import times
from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.lists import Names
from export_pipeline.options import Options
from export_pipeline.schemas import leaves_of, zoned


class Columns(Options):
    """Which columns, under which names, in which order and zone; a list is `include`.

    All names are those before renaming.
    Of the columns that a pivot makes of values, those to be left out, renamed or moved may be missing in a run.
    """

    short: ClassVar[str | None] = "include"

    include: Names | None = None
    """The only columns to keep, in this order; all if not given."""
    exclude: Names = Field(default_factory=list)
    """Columns to leave out."""
    rename: dict[str, str] = Field(default_factory=dict)
    """New names: column -> name in the file."""
    order: Names = Field(default_factory=list)
    """Columns that come first, in this order; the others follow as they were."""
    timezone: times.ZoneName | None = None
    """Time zone that times are written in, such as `Europe/Berlin`; those without a zone are read as UTC. Null: as the
    source has them."""

    @model_validator(mode="after")
    def _once(self) -> Columns:
        if self.include is not None and not self.include:
            raise ValueError("include is empty: name the columns to keep, or leave it out to keep all")
        for option, names in (("include", self.include or []), ("exclude", self.exclude), ("order", self.order)):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"{option} names {name!r} twice")
        for name in self.include or []:
            if name in self.exclude:
                raise ValueError(f"{name!r} is both included and excluded")
        for old, new in self.rename.items():
            if not new.strip():
                raise ValueError(f"the new name of {old!r} is empty")
        return self

    def check(self, names: Sequence[str], *, made: bool = False) -> dict[str, str]:
        """Return column -> name in the file, in the order of the file.

        Args:
            names: The columns there are.
            made: Whether values made them: then one that is only to be left out, renamed or moved may be missing,
                for a week without failures has no column of failures.

        Raises:
            ConfigError: A column is unknown or left out, two columns get one name, or no column is left.
        """
        self._known("include", self.include or [], names, "")
        if not made:
            self._known("exclude", self.exclude, names, "")
        kept = self._kept(names)
        if not kept:
            raise ConfigError("columns: no column is left", cure=f"exclude leaves out all of {', '.join(names)}")
        for option, named in () if made else (("rename", list(self.rename)), ("order", self.order)):
            self._known(option, named, kept, " or left out" if len(kept) < len(names) else "")
        return self._named(kept)

    def pick(self, names: Sequence[str]) -> dict[str, str]:
        """Return the same as `check` for rows that may lack columns which are left out."""
        return self._named(self._kept(names))

    def types(self, schema: Mapping[str, pl.DataType]) -> pl.Schema:
        """Return what columns of these types are written as.

        Raises:
            ConfigError: There is a time zone, and nothing that it could hold for.
        """
        if self.timezone is None:
            return pl.Schema(schema)
        if not any(isinstance(leaf, pl.Datetime) for dtype in schema.values() for leaf in leaves_of(dtype)):
            raise ConfigError(
                f"columns.timezone: no column holds dates with time, which {self.timezone!r} could be the zone of",
                cure="Leave it out; dates and times of day have no zone.",
            )
        return pl.Schema({name: zoned(dtype, self.timezone) for name, dtype in schema.items()})

    def check_later(self, known: Sequence[str]) -> None:
        """Check what can be checked while only some of the columns' names are known.

        Raises:
            ConfigError: Two known columns get one name, or a column gets the name of a known one.
        """
        self._named([name for name in dict.fromkeys([*known, *self.rename]) if name not in self.exclude])

    def _known(self, option: str, given: Iterable[str], names: Sequence[str], also: str) -> None:
        renamed = {new: old for old, new in self.rename.items()}
        for name in given:
            if name in names:
                continue
            cure = (
                f"{name!r} is the new name of {renamed[name]!r}: write {renamed[name]!r}" if name in renamed else None
            )
            raise ConfigError(
                f"columns.{option}: column {name!r} is unknown{also} ({did_you_mean(name, names)})", cure=cure
            )

    def _kept(self, names: Sequence[str]) -> list[str]:
        kept = self.include if self.include is not None else names
        return [name for name in kept if name not in self.exclude]

    def _named(self, kept: Sequence[str]) -> dict[str, str]:
        ordered = [*(name for name in self.order if name in kept), *(name for name in kept if name not in self.order)]
        named = {name: self.rename.get(name, name) for name in ordered}
        owners: dict[str, str] = {}
        for old, new in named.items():
            if new in owners:
                raise ConfigError(
                    f"columns.rename: {owners[new]!r} and {old!r} would both be called {new!r}",
                    cure="rename or exclude one of them",
                )
            owners[new] = old
        return named

    def sentence(self) -> str:
        """Return the choice in English, empty where all columns stay as they are."""
        parts: list[str] = []
        if self.include is not None:
            parts.append(f"only {', '.join(self.include)}")
        if self.exclude:
            parts.append(f"without {', '.join(self.exclude)}")
        if self.rename:
            parts.append(_renamed(self.rename))
        if self.order:
            parts.append(f"{', '.join(self.order)} first")
        if self.timezone is not None:
            parts.append(f"times in {self.timezone}")
        return f"columns: {'; '.join(parts)}" if parts else ""


def _renamed(rename: Mapping[str, str]) -> str:
    return ", ".join(f"{old} as {new}" for old, new in rename.items())
