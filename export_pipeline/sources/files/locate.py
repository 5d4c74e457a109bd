"""Which files a source means, and whether it may read them."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from export_pipeline.errors import ConfigError, SourceError, did_you_mean


def locate(patterns: Sequence[str], folder: Path, roots: Sequence[Path] | None) -> list[Path]:
    """Return the files that names and patterns stand for, each once, those of one pattern by name.

    Relative ones stand in `folder`. With `roots`, every file must be inside one of these folders once its symbolic
    links are followed. Raises `SourceError` where a pattern stands for no file, `ConfigError` where one is outside.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = folder / Path(pattern).expanduser()
        _inside(_fixed_part(path), pattern, roots)
        if path.is_file():
            matches = [path]
        else:
            # Path.glob follows no pattern that is absolute
            named = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(pattern) else []  # noqa: PTH207
            matches = [match for name in named if (match := Path(name)).is_file()]
        if not matches:
            raise _missing(pattern, path)
        for match in matches:
            _inside(match, pattern, roots)
            found[match.resolve()] = None
    return list(found)


def _fixed_part(path: Path) -> Path:
    """Return the part of a pattern before its first wildcard: nothing outside of the roots is even listed."""
    for index, part in enumerate(path.parts):
        if glob.has_magic(part) and not path.exists():
            return Path(*path.parts[:index])
    return path


def _inside(path: Path, pattern: str, roots: Sequence[Path] | None) -> None:
    if roots is None:
        return
    real = path.resolve()
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        raise ConfigError(
            f"files: {pattern!r} is outside of the folders that exports may read",
            cure="Put the file into the home folder, or list its folder under roots: in stores.yaml.",
        )


def _missing(pattern: str, path: Path) -> SourceError:
    folder = path.parent
    if glob.has_magic(pattern):
        return SourceError(f"no file matches {pattern!r} (looked in {_fixed_part(path)})")
    if not folder.is_dir():
        return SourceError(f"there is no file {path}: the folder {folder} does not exist")
    if path.is_dir():
        return SourceError(f"{path} is a folder", cure=f"Name its files: {pattern.rstrip('/')}/*.csv")
    names = [entry.name for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")]
    return SourceError(f"there is no file {path} ({did_you_mean(path.name, names)})")
