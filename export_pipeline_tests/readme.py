"""The format section of the README, made from the models: ``python -m export_pipeline_tests.readme`` writes it anew."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from export_pipeline.formats import AnyFormat
from export_pipeline.options import ALSO, NEEDED, members_of

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- formats: made from the models -->", "<!-- formats: end -->"
HEAD = "| option | values | default | what it does |\n|---|---|---|---|"
Schema = Mapping[str, Any]


def section() -> str:
    """Return the section: a table for each format, a row for each option."""
    parts = [BEGIN]
    for tag, model in members_of(AnyFormat).items():
        described = model.model_json_schema()
        rows = "\n".join(_rows(described, described.get("$defs", {})))
        summary = (model.__doc__ or "").strip().splitlines()[0]
        parts.append(f"<details><summary><code>{tag}</code>: {summary}</summary>\n\n{HEAD}\n{rows}\n\n</details>")
    return "\n\n".join([*parts, END])


def _rows(
    described: Schema, known: Schema, prefix: str = "", within: tuple[str, ...] = (), above: Schema | None = None
) -> Iterator[str]:
    """Yield a row for each option; those that a nested model shares with the format are told once, `above`."""
    options = described.get("properties", {})
    shared = [name for name, shown in options.items() if above is not None and above.get(name) == shown]
    if shared:
        what = f"As `{shared[0]}` to `{shared[-1]}` above, {len(shared)} options."
        yield f"| `{prefix}*` |  |  | {what} |"
    for name, shown in options.items():
        if name in shared:
            continue
        default = "" if "default" not in shown or shown["default"] in ({}, []) else _code(shown["default"])
        if name in described.get(NEEDED, ()):
            default = "required"
        what = shown.get("description") or _resolved(shown, known).get("description", "")
        cells = (f"`{prefix}{name}`", _values(shown, known), default, " ".join(what.split()))
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
        for reference, inner, mark in _inside(shown, known):
            if reference not in within:
                top = options if above is None else above
                yield from _rows(inner, known, f"{prefix}{name}{mark}.", (*within, reference), top)


def _inside(shown: Schema, known: Schema) -> Iterator[tuple[str, Schema, str]]:
    """Yield the models that an option's value is made of: their names, their schemas, and ``[]`` for lists of them."""
    if "$ref" in shown:
        yield shown["$ref"], _resolved(shown, known), ""
    for arm in shown.get("anyOf", ()):
        yield from _inside(arm, known)
    if "items" in shown:
        yield from ((reference, inner, f"[]{mark}") for reference, inner, mark in _inside(shown["items"], known))
    if isinstance(shown.get("additionalProperties"), Mapping):
        held = shown["additionalProperties"]
        yield from ((reference, inner, f".*{mark}") for reference, inner, mark in _inside(held, known))


def _resolved(shown: Schema, known: Schema) -> Schema:
    found: Schema = known[shown["$ref"].rpartition("/")[2]] if "$ref" in shown else shown
    return found


def _values(shown: Schema, known: Schema) -> str:
    """Return which values an option takes, in few words."""
    if "$ref" in shown:
        return _values(_resolved(shown, known), known)
    if "anyOf" in shown:
        bare = {tag for arm in shown["anyOf"] for tag in arm.get("enum", ())}  # of a choice; each may have options
        arms = [
            "`{tag: ...}`" if bare & {*arm.get("properties", ())} else _values(arm, known)
            for arm in shown["anyOf"]
            if ALSO not in arm
        ]
        return " or ".join(dict.fromkeys(arms))
    if "enum" in shown:
        return " ".join(map(_code, shown["enum"]))
    if "const" in shown:
        return _code(shown["const"])
    kind = str(shown.get("type", "any value"))
    if kind == "array":
        return f"list of {_values(shown['items'], known)}" if "items" in shown else "list"
    if kind == "object":
        return _mapping(shown, known)
    if kind == "integer" or kind == "number":
        return " ".join(part for part in (kind, _bounds(shown)) if part)
    return {"string": "text", "boolean": "`true` `false`"}.get(kind, kind)


def _mapping(shown: Schema, known: Schema) -> str:
    """Return how a mapping is written: ``{tag: ...}`` for one arm of a choice."""
    if isinstance(shown.get("additionalProperties"), Mapping):
        return f"`{{column: ...}}` of {_values(shown['additionalProperties'], known)}"
    properties = shown.get("properties", {})
    return f"`{{{next(iter(properties))}: ...}}`" if len(properties) == 1 else "`{...}`"


def _bounds(shown: Schema) -> str:
    low, high = shown.get("minimum", shown.get("exclusiveMinimum")), shown.get("maximum")
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"from {low}" if low is not None else f"up to {high}" if high is not None else ""


def _code(value: Any) -> str:
    return f"`{value if isinstance(value, str) and value.isprintable() and value.strip() else json.dumps(value)}`"


def replaced(text: str) -> str:
    """Return the README with the section as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{section()}{after}"


if __name__ == "__main__":
    README.write_text(replaced(README.read_text(encoding="utf-8")), encoding="utf-8")
