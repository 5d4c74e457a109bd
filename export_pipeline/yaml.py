"""YAML 1.2 in and out: core schema, line numbers for errors, comments kept when a file is rewritten.

Read by libyaml with our own resolver (YAML 1.1's surprises are gone: ``22:00``, ``no``, ``00123`` and dates stay text);
rewritten by ruamel.yaml, which keeps comments, quotes and order.
Source of the scalar rules: YAML 1.2.2, section 10.3 (core schema), less leading zeros, which are text here.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import yaml as pyyaml

from export_pipeline.errors import ConfigError

Path = tuple[str | int, ...]

_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SCALARS: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"~|null|Null|NULL|"), lambda _: None),
    (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    (re.compile(r"[-+]?(?:0|[1-9][0-9]*)"), int),
    (re.compile(r"0o[0-7]+"), lambda text: int(text[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: int(text[2:], 16)),
    (re.compile(r"[-+]?\.(?:inf|Inf|INF)"), lambda text: float(text.replace(".", "").lower())),
    (re.compile(r"\.(?:nan|NaN|NAN)"), lambda _: float("nan")),
)


@dataclass(frozen=True)
class Document:
    """A parsed file: plain data, and the line (from 1) on which the value of each path stands."""

    data: Any
    lines: Mapping[Path, int]

    def line(self, path: Iterable[str | int]) -> int | None:
        """Return the line of a path; parts that are not in the file are passed over (a model may add levels)."""
        known: Path = ()
        for part in path:
            if (*known, part) in self.lines:
                known = (*known, part)
        return self.lines.get(known)


def _scalar(node: pyyaml.ScalarNode) -> Any:
    """Return the value of a scalar: quoted and block text is text, plain text follows the core schema."""
    text = str(node.value)
    if node.style or node.tag == "tag:yaml.org,2002:str":
        return text
    for pattern, make in _SCALARS:
        if pattern.fullmatch(text):
            return make(text)
    leading_zero = re.fullmatch(r"[-+]?0[0-9]+.*", text) is not None
    return float(text) if _FLOAT.fullmatch(text) and not leading_zero else text


class _Loader(pyyaml.CSafeLoader if hasattr(pyyaml, "CSafeLoader") else pyyaml.SafeLoader):  # type: ignore[misc]
    """Composes nodes only; every scalar is resolved by `_scalar`."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        if kind is pyyaml.ScalarNode:
            return "plain" if isinstance(implicit, tuple) and implicit[0] else "tag:yaml.org,2002:str"
        return str(super().resolve(kind, value, implicit))


def _error(message: str, name: str, line: int | None) -> ConfigError:
    where = f"{name}, line {line}" if line else name
    return ConfigError(f"{where}: {message}")


def load(text: str, name: str = "the YAML text") -> Document:
    """Parse one YAML 1.2 document.

    Raises `ConfigError` with name and line for a syntax error, a key given twice, or a tag such as ``!!python``.
    """
    loader = _Loader(text)
    lines: dict[Path, int] = {}
    try:
        root = loader.get_single_node()
        data = None if root is None else _construct(root, (), lines, name)
    except pyyaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise _error(said, name, mark.line + 1 if mark else None) from None
    except pyyaml.YAMLError as error:
        raise _error(str(error).splitlines()[0], name, None) from None
    finally:
        loader.dispose()
    return Document(data, lines)


def _construct(node: Any, path: Path, lines: dict[Path, int], name: str) -> Any:
    line = node.start_mark.line + 1
    lines[path] = line
    if len(path) > 64:
        raise _error("nested more than 64 levels deep", name, line)
    if isinstance(node, pyyaml.ScalarNode):
        if node.tag.startswith("!") or (node.tag not in ("plain", "tag:yaml.org,2002:str")):
            raise _error(f"the tag {node.tag!r} is not allowed here", name, line)
        return _scalar(node)
    if isinstance(node, pyyaml.SequenceNode):
        return [_construct(item, (*path, i), lines, name) for i, item in enumerate(node.value)]
    out: dict[str, Any] = {}
    for key_node, value_node in cast("list[tuple[Any, Any]]", node.value):
        key_line = key_node.start_mark.line + 1
        if not isinstance(key_node, pyyaml.ScalarNode):
            raise _error("a key must be plain text", name, key_line)
        key = str(key_node.value)
        if key in out:
            raise _error(f"{key!r} is given twice", name, key_line)
        out[key] = _construct(value_node, (*path, key), lines, name)
        lines[(*path, key)] = key_line
    return out


def _ruamel(like: str = "") -> Any:
    """Return a round-trip writer that indents sequences as the text `like` does."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 120
    key_and_item = re.search(r"^( *)[^\s#-][^\n]*:[ ]*(?:#[^\n]*)?\n( *)-( +)\S", like, re.MULTILINE)
    offset = len(key_and_item[2]) - len(key_and_item[1]) if key_and_item else 2
    yaml.indent(mapping=2, sequence=offset + (1 + len(key_and_item[3]) if key_and_item else 2), offset=offset)
    return yaml


def dump(data: Any) -> str:
    """Return block-style YAML of plain data that `load` reads back to equal data."""
    out = io.StringIO()
    _ruamel().dump(_quoted(data), out)
    return out.getvalue()


def _quoted(data: Any) -> Any:
    """Quote text that another YAML reader would take for something else (``22:00``, ``no``, ``2026-01-01``)."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

    if isinstance(data, Mapping):
        return {_quoted(key): _quoted(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_quoted(value) for value in data]
    if isinstance(data, str):
        if "\n" in data.strip("\n") and not re.search(r"[^\S\n]\n|[^\x20-\x7e\n]", data):
            return LiteralScalarString(data)
        if re.search(r"[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]", data):
            return DoubleQuotedScalarString(data)
        if re.fullmatch(r"(?i)y|n|yes|no|on|off|[-+]?[0-9][0-9:._-]*.*|[-+.~].*|true|false|null|", data):
            return DoubleQuotedScalarString(data)
    return data


def rewrite(text: str, data: Any) -> str:
    """Return `text` changed so that it holds `data`: what is equal keeps its lines, comments and quotes untouched.

    A text that already holds equal data comes back as it is, byte for byte.
    """
    if load(text).data == data:
        return text
    yaml = _ruamel(text)
    tree = yaml.load(text)
    if not isinstance(tree, Mapping) or not isinstance(data, Mapping):
        return dump(data)
    _update(tree, load(text).data, data)
    out = io.StringIO()
    yaml.dump(tree, out)
    return out.getvalue()


def _update(tree: Any, old: Any, new: Any) -> None:
    if isinstance(old, list):
        for i, value in enumerate(new):
            _set(tree, i, old[i], value)
        return
    for key in [key for key in old if key not in new]:
        del tree[key]
    for key, value in new.items():
        _set(tree, key, old.get(key), value)


def _set(tree: Any, key: str | int, old: Any, new: Any) -> None:
    if old == new and (isinstance(tree, list) or key in tree):
        return
    both_mappings = isinstance(old, dict) and isinstance(new, Mapping) and old and new
    same_length = isinstance(old, list) and isinstance(new, list) and len(old) == len(new)
    if both_mappings or same_length:
        _update(tree[key], old, new)
    else:
        tree[_quoted(key)] = _quoted(new)
