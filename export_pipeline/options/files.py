"""Options that are names of files: relative ones stand in the folder of the export that gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from export_pipeline.options.base import Options

M = TypeVar("M", bound=Options)


class NamesFiles:
    """Annotation of an option that is a file's name, or several: relative ones stand in the export's folder."""


def placed(options: M, folder: Path) -> M:
    """Return options whose relative names of files stand in `folder`, however deep they are."""
    changes: dict[str, Any] = {}
    for name, info in type(options).model_fields.items():
        value = getattr(options, name)
        is_name = any(item is NamesFiles for item in info.metadata)
        if (new := _placed(value, folder, is_name)) is not value:
            changes[name] = new
    return options.replace(**changes) if changes else options


def _placed(value: Any, folder: Path, is_name: bool) -> Any:
    """Return a value with its names placed; the same one where there are none."""
    if isinstance(value, str) and is_name:
        return str(folder / Path(value).expanduser())
    if isinstance(value, Options):
        return placed(value, folder)
    if isinstance(value, dict):
        changed = {key: _placed(item, folder, is_name) for key, item in value.items()}
        return changed if any(changed[key] is not item for key, item in value.items()) else value
    if isinstance(value, list):
        items = [_placed(item, folder, is_name) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value
