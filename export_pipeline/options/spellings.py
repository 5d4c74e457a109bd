"""Further spellings of options and choices, and how a JSON Schema tells of them.

They are valid there, so that no editor marks what loads; what is offered to people is one spelling of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field
from pydantic.json_schema import JsonSchemaValue

ALSO = "x-also"
"""Key of a JSON Schema that marks another accepted spelling: it is valid, and not what is offered to people."""
SHORT: Any = Field(json_schema_extra={ALSO: True})
"""Annotation of a form that is understood, too, such as one thing in place of a list of one."""
NEEDED = "x-required"
"""Key of a JSON Schema with the options that are required, in whatever spelling."""
_TOLD = ("description", "default", "title", "examples")
"""What a JSON Schema tells of an option besides what is valid."""


def snake(name: str) -> str:
    """Return the snake_case spelling of a camelCase option: ``rowGroupSize`` is ``row_group_size``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def camel(name: str) -> str:
    """Return the camelCase spelling of an option: ``row_group_size`` is ``rowGroupSize``."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def any_case(words: Iterable[str]) -> str:
    """Return the pattern of a JSON Schema, which has no flags, for these words in capital and small letters.

    >>> any_case(["on", "off"])
    '^\\\\s*([Oo][Nn]|[Oo][Ff][Ff])\\\\s*$'
    """
    spelled = "|".join("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in words)
    return rf"^\s*({spelled})\s*$"


def add_spellings(described: JsonSchemaValue, spellings: Mapping[str, Sequence[str]]) -> None:
    """Let the further spellings of options be valid; editors and the launchpad, which offer, do not see them."""
    patterns = {
        f"^({'|'.join(others)})$": {
            key: value for key, value in described["properties"][name].items() if key not in _TOLD
        }
        for name, others in spellings.items()
        if name in described["properties"]
    }
    if patterns:
        described["patternProperties"] = patterns
    described[NEEDED] = described.get("required", [])
    needed = [name for name in described[NEEDED] if name in spellings]
    if needed:  # in one of its spellings
        described["required"] = [name for name in described["required"] if name not in needed]
        described["allOf"] = [
            {"anyOf": [{"required": [given]} for given in (name, *spellings[name])]} for name in needed
        ]


def add_short_forms(described: JsonSchemaValue, whole: str | None, short: str | None) -> None:
    """Turn the description of a model into that of its field `whole`, or let a value of the field `short` be valid."""
    properties = described["properties"]
    if whole is not None:
        body = dict(properties[whole])
        described.clear()
        described.update(body)
    elif short is not None:
        full = dict(described)
        described.clear()
        described.update({"anyOf": [{k: v for k, v in properties[short].items() if k != "default"}, full]})


def tagged(tag: str, body: JsonSchemaValue, description: str, *, bare: bool) -> Iterator[JsonSchemaValue]:
    """Yield the forms of a choice that are a mapping of the tag, or of its other spelling, to a body."""
    yield {
        "type": "object",
        "description": description,
        "properties": {tag: {"anyOf": [body, {"type": "null"}]} if bare else body},
        "required": [tag],
        "additionalProperties": False,
    }
    if camel(tag) != tag:
        other = {"type": "object", "patternProperties": {f"^{camel(tag)}$": body}, "minProperties": 1}
        yield {**other, "additionalProperties": False, ALSO: True}
