"""Other places of options: the TypeScript contract nests in formats and schedules what belongs to the export.

Options in such a place are understood, in files and in the JSON Schema alike, and moved to their owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MOVED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("format", "csv", "columns"), "columns"),
    (("format", "csv", "pivot"), "pivot"),
    (("schedule", "timezone"), "timezone"),
    (("schedule", "retry"), "retry"),
)
"""Nested places in which the TypeScript contract has what belongs to the export: place -> option."""


def normalised(value: Any) -> Any:
    """Return the config with options moved from the places of the TypeScript contract to their owners.

    Raises ValueError where an option is given in both places and differs.
    """
    if not isinstance(value, Mapping):
        return value
    out = dict(value)
    for place, option in MOVED:
        *parents, last = place
        holder: Any = out
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, Mapping) else None
        if not isinstance(holder, Mapping) or last not in holder:
            continue
        moved = holder[last]
        if option in out and out[option] != moved:
            raise ValueError(f"{option!r} is given twice: at the top and in {'.'.join(place)}")
        out = _without(out, place)
        out[option] = moved
    return out


def _without(data: Mapping[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    """Return a copy without the entry at `place`."""
    first, *rest = place
    out = dict(data)
    if not rest:
        del out[first]
    else:
        out[first] = _without(out[first], tuple(rest))
    return out


def add_places(schema: dict[str, Any]) -> None:
    """Let a JSON Schema of exports have the options in the places of the TypeScript contract, too."""
    for (*parents, last), option in MOVED:
        nodes = [schema]
        for parent in parents:
            forms = [form for node in nodes for form in _forms(node, schema) if parent in form.get("properties", ())]
            nodes = [form["properties"][parent] for form in forms]
        for form in (form for node in nodes for form in _forms(node, schema) if "properties" in form):
            form.setdefault("patternProperties", {})[f"^{last}$"] = schema["properties"][option]


def _forms(node: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the forms to choose from that a node of a JSON Schema has."""
    if "$ref" in node:
        yield from _forms(schema["$defs"][node["$ref"].rsplit("/", 1)[-1]], schema)
    elif "anyOf" in node:
        for arm in node["anyOf"]:
            yield from _forms(arm, schema)
    else:
        yield node
