"""What a command is asked to work on: an export by name, an export file, or any data file without YAML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export_pipeline import labels
from export_pipeline.catalog import SUFFIXES, Catalog, load_file
from export_pipeline.cli.settings import changed
from export_pipeline.config import ExportConfig
from export_pipeline.defs.merging import merge
from export_pipeline.errors import ConfigError, NotFoundError, did_you_mean
from export_pipeline.filters import parse_text, write_filter
from export_pipeline.formats import AnyFormat
from export_pipeline.home import Home
from export_pipeline.launches import Launch
from export_pipeline.options import members_of, placed
from export_pipeline.parsing import parse

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".br": "brotli", ".zip": "zip"}
EXTENSIONS: dict[str, Any] = {".xlsx": "excel", ".ndjson": {"json": {"layout": "lines"}}}
EXTENSIONS |= {".jsonl": EXTENSIONS[".ndjson"], ".tsv": {"csv": {"delimiter": "\t"}}, ".pq": "parquet"}
"""Ending of a target file -> format, where it is not simply the format's tag."""


@dataclass(frozen=True)
class Target:
    """An export to work on, and how to launch it."""

    config: ExportConfig
    """The whole export, with what the command line changes."""
    saved: str | None = None
    """Its name, where it is a file of the exports folder."""
    changes: dict[str, Any] = field(default_factory=dict)
    """What the command line changes of a saved export."""
    quick: bool = False
    """Whether it was made from the command line alone, without a file."""

    def launch(self, **more: Any) -> Launch:
        """Return the launch of this export."""
        if self.saved is not None:
            return Launch(job=labels.job_name(self.saved), export=self.saved, config=self.changes, **more)
        return Launch(
            job=labels.ADHOC,
            export=self.config.name,
            config=self.config.dump(),
            **{"private": True} | {key: value for key, value in more.items() if key != "private"},
        )


def find_target(
    home: Home, given: str, *, to: Path | None = None, where: tuple[str, ...] = (), sets: tuple[str, ...] = ()
) -> Target:
    """Return what `given` means: an export's name, the path of an export file, or of a data file.

    Raises `NotFoundError` where it is none of them, `ConfigError` where it, `where` or `sets` cannot be read.
    """
    path = Path(given).expanduser()
    if path.suffix in SUFFIXES and path.exists():
        saved = next((entry.name for entry in Catalog(home).entries() if _same(entry.path, path)), None)
        return _of_file(path, where, sets, to) if saved is None else _of_name(home, saved, where, sets, to)
    if path.exists() or to is not None:
        return _of_data(path, to, where, sets)
    names = [entry.name for entry in Catalog(home).entries()]
    if given not in names:
        if path.suffix or "/" in given:
            raise NotFoundError(
                f"there is no file {given}", cure=f"Exports of {home.root}: {', '.join(names) or 'none'}"
            )
        raise NotFoundError(
            f"there is no export {given!r} ({did_you_mean(given, names)})",
            cure="export-pipeline list shows them; a data file needs its path, and --to FILE for the result.",
        )
    return _of_name(home, given, where, sets, to)


def _of_name(home: Home, name: str, where: tuple[str, ...], sets: tuple[str, ...], to: Path | None) -> Target:
    saved = Catalog(home).load(name)
    changes = _changes(saved, where, sets, to)
    config = parse(ExportConfig, merge(ExportConfig, saved.dump(), changes)) if changes else saved
    return Target(config, saved=name, changes=changes)


def _of_file(path: Path, where: tuple[str, ...], sets: tuple[str, ...], to: Path | None) -> Target:
    return Target(_changed(load_file(path), path.resolve().parent, where, sets, to))


def _of_data(path: Path, to: Path | None, where: tuple[str, ...], sets: tuple[str, ...]) -> Target:
    if to is None:
        raise ConfigError(f"{path} is data, no export", cure=f"Say where it goes: --to {path.stem}.xlsx")
    name = re.sub(r"[^a-z0-9]+", "-", to.name.split(".")[0].lower()).strip("-")[:80] or "export"
    data = parse(ExportConfig, {"name": name, "source": {"files": str(path)}})
    return Target(_changed(data, Path.cwd(), where, sets, to), quick=True)


def _changed(
    base: ExportConfig, folder: Path, where: tuple[str, ...], sets: tuple[str, ...], to: Path | None
) -> ExportConfig:
    """Return an export of no home, as the command line changes it.

    Its files are named from the root: the process that reads them runs elsewhere.
    """
    changes = _changes(base, where, sets, to)
    whole = parse(ExportConfig, merge(ExportConfig, base.dump(), changes)) if changes else base
    return placed(whole, folder)


def _same(one: Path, other: Path) -> bool:
    """Return whether two paths are one file."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _changes(base: ExportConfig, where: tuple[str, ...], sets: tuple[str, ...], to: Path | None) -> dict[str, Any]:
    """Return what the command line changes of an export, as values to merge over it."""
    changes: dict[str, Any] = {}
    if to is not None:
        changes |= aimed(to)
    if where:
        filters = [write_filter(parse_text(text)) for text in where]
        kept = [base.dump()["filter"]] if base.filter is not None else []
        both = [*kept, *filters]
        changes["filter"] = both[0] if len(both) == 1 else {"and": both}
    for text in sets:
        changes = changed(changes, base, text)
    return changes


def aimed(to: Path) -> dict[str, Any]:
    """Return the options of an export that makes exactly this file; its ending decides format and compression."""
    endings = [ending.lower() for ending in to.suffixes[-2:]]
    compression = COMPRESSIONS.get(endings[-1]) if endings else None
    ending = endings[-2] if compression and len(endings) == 2 else endings[-1] if endings and not compression else ""
    tags = members_of(AnyFormat)
    chosen = EXTENSIONS.get(ending, ending.removeprefix("."))
    tag, options = (chosen, {}) if isinstance(chosen, str) else next(iter(chosen.items()))
    if tag not in tags:
        known = sorted({f".{name}" for name in tags if name != "excel"} | set(EXTENSIONS))
        raise ConfigError(f"the ending of {to.name!r} says no format ({did_you_mean(ending, known)})")
    if compression:
        options = options | {"compression": compression}
    folder = to.expanduser().resolve().parent
    return {
        "format": {tag: options},
        "file_name": to.name.replace("{", "{{").replace("}", "}}"),
        "deliver": [{"local": {"folder": str(folder)}}],
    }
