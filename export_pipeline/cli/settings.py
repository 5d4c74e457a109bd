"""``--set path=value``: one option of an export changed, however deep it stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from export_pipeline import yaml
from export_pipeline.config import ExportConfig
from export_pipeline.errors import ConfigError

PATH = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[\d+\])*")
"""A path of options: ``deliver[0].local.folder``."""
NOTHING = ("", "~", "null", "Null", "NULL")
"""Values that take an option back to its default."""


def changed(changes: Mapping[str, Any], base: ExportConfig, text: str) -> dict[str, Any]:
    """Return the changes of an export with one ``path=value`` more; list items are ``path[0]``.

    Raises `ConfigError` where the path is none, or names an item that the list does not have.
    """
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not PATH.fullmatch(path):
        raise ConfigError(f"--set {text!r} is not path=value", cure="For example: --set 'format.csv.delimiter=;'")
    parts = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]
    put: dict[str, Any] = _put(changes, base.dump(defaults=True), parts, meant(value), path)
    return put


def meant(text: str) -> Any:
    """Return the value that a text stands for: a number, true, null, a list or a mapping as YAML has them, else text.

    >>> meant("12"), meant("|"), meant("[a, b]"), meant("{name}-{date:YYYY}")
    (12, '|', ['a', 'b'], '{name}-{date:YYYY}')
    """
    if text in NOTHING:
        return None
    try:
        value = yaml.load(text).data
    except ConfigError:
        return text
    if isinstance(value, dict):
        return text if text[0] != "{" or all(item is None for item in value.values()) else value
    if isinstance(value, list):
        return value if text[0] == "[" else text
    if isinstance(value, str):
        return value if text[0] in ('"', "'") else text
    return text if value is None else value


def _put(changes: Any, base: Any, parts: list[str | int], value: Any, path: str) -> Any:
    """Return `changes` with `value` at `parts`; a list is given whole, with its other items as the base has them."""
    if not parts:
        return value
    first, *rest = parts
    if isinstance(first, int):
        given = changes if isinstance(changes, list) else base
        items = list(given) if isinstance(given, list) else []
        if first >= len(items):
            has = f"the list has {len(items)}" if isinstance(given, list) else "it is no list"
            raise ConfigError(f"--set {path}: there is no item {first}: {has}", cure="Items are counted from 0.")
        items[first] = _put(items[first], items[first], rest, value, path)
        return items
    inner = base.get(first) if isinstance(base, dict) else None
    out = dict(changes) if isinstance(changes, Mapping) else {}
    if first not in out and isinstance(inner, list) and rest:
        out[first] = inner
    out[first] = _put(out.get(first), inner, rest, value, path)
    return out
