"""The launchpad's types: the JSON Schema of any `Options` model as a Dagster config type.

Editors complete an export file from the JSON Schema and the launchpad checks run config with a Dagster type; made of
one another they cannot disagree, and what is valid in one place can be copied to the other. What Dagster cannot say
(two shapes to choose from, text or number) becomes wider there, never narrower, and is checked by pydantic at launch.

All strings are plain: ``{env: NAME}``, with which Dagster's own string type would let any launcher read any variable of
the worker, is refused.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._config.config_type import ConfigType, ConfigTypeKind

from export_pipeline.options import ALSO, NEEDED, Options

Node = Mapping[str, Any]
"""A JSON Schema."""

DEPTH = 2
"""How many levels of a recursive choice, such as filters in filters, are spelled out; deeper ones accept anything here
and are checked by pydantic. Dagster prints a whole type in its messages: deeper types would make them unreadable."""

SCALARS: Mapping[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool}

# Dagster's config types have no annotations of their own.
_shape: Callable[..., dg.Shape] = dg.Shape
_selector: Callable[..., ConfigType] = dg.Selector
_map: Callable[..., ConfigType] = dg.Map
_permissive: Callable[..., ConfigType] = dg.Permissive
ANY = dg.Field(dg.Any).config_type


@functools.cache
def config_type(model: type[Options], *, partial: bool = False) -> dg.Shape:
    """Return the config type of a model, built once and then shared by all jobs.

    With `partial`, nothing is required outside of lists, for config that is merged over a file's; and any option may be
    ``null``, which takes it back to its default. No option has a Dagster default: defaults stand in the descriptions.
    """
    schema = model.model_json_schema()
    return _Types(schema.get("$defs", {})).root(schema, partial)


def with_values(kind: dg.Shape, *spellings: Mapping[str, Any]) -> tuple[dg.Shape, dict[str, Any]]:
    """Return a type that shows values of its options in the launchpad, and the values that it shows.

    `spellings` hold the same values, written differently: of each option the first is shown that the type accepts. The
    types of the options themselves stay the shared ones.
    """
    fields, shown = dict(kind.fields), {}
    for name, field in kind.fields.items():
        for value in (values[name] for values in spellings if name in values):
            with contextlib.suppress(dg.DagsterInvalidConfigError):
                fields[name] = dg.Field(field.config_type, value, is_required=False, description=field.description)
                shown[name] = value
                break
    return _shape(fields, description=kind.description), shown


class _Types:
    """The types of one schema, by definition and depth, so that what is said twice is built once."""

    def __init__(self, definitions: Mapping[str, Node]) -> None:
        self.definitions = definitions
        self.recursive = {name for name in definitions if name in self._reachable(name)}
        self.named: dict[tuple[str, int, bool], ConfigType] = {}

    def _reachable(self, name: str) -> set[str]:
        """Return the definitions that one leads to."""
        found: set[str] = set()
        open_ends = [name]
        while open_ends:
            new = set(_references(self.definitions[open_ends.pop()])) - found
            found |= new
            open_ends.extend(new)
        return found

    def root(self, schema: Node, partial: bool) -> dg.Shape:
        schema = self._resolved(schema)
        fields = self._fields(schema, DEPTH, partial, nullable=partial)
        return _shape(fields, description=_first_paragraph(schema))

    def _resolved(self, node: Node) -> Node:
        while "$ref" in node:
            node = self.definitions[node["$ref"].rsplit("/", 1)[-1]]
        return node

    def of(self, node: Node, depth: int, partial: bool) -> ConfigType:
        """Return the type of a schema; `depth` levels of recursion are left."""
        if "$ref" in node:
            name = node["$ref"].rsplit("/", 1)[-1]
            depth -= name in self.recursive
            if depth < 0:
                return ANY
            key = (name, depth, partial)
            if key not in self.named:
                self.named[key] = self.of(self.definitions[name], depth, partial)
            return self.named[key]
        if arms := node.get("anyOf") or node.get("oneOf"):
            return self._choice(list(self._flat(arms)), depth, partial)
        if "const" in node or "enum" in node:
            return _enum(node.get("enum", [node.get("const")]))
        kind = node.get("type")
        if kind == "object":
            return self._object(node, depth, partial)
        if kind == "array":
            return dg.Array(self.of(node.get("items", {}), depth, False))
        return dg.Field(SCALARS.get(str(kind), dg.Any)).config_type

    def _object(self, node: Node, depth: int, partial: bool) -> ConfigType:
        if node.get("properties"):
            return _shape(self._fields(node, depth, partial), description=_first_paragraph(node))
        values = node.get("additionalProperties")
        if isinstance(values, Mapping):
            inner = self.of(values, depth, partial)
            return _map(str, _noneable(inner) if partial else inner)
        return _permissive()

    def _fields(self, node: Node, depth: int, partial: bool, *, nullable: bool = False) -> dict[str, dg.Field]:
        required = set() if partial else {*node.get("required", ()), *node.get(NEEDED, ())}
        fields = {}
        for name, value in node["properties"].items():
            kind = self.of(value, depth, partial)
            about = self._documented(value, kind)
            kind = _noneable(kind) if nullable else kind
            fields[name] = dg.Field(kind, is_required=name in required, description=about)
        return fields

    def _documented(self, node: Node, kind: ConfigType) -> str | None:
        """Return what an option is, its default, and the options in it that Dagster's type does not show."""
        parts = [_first_paragraph(node)]
        if kind is ANY:
            arms = [self._resolved(arm) for arm in self._flat([node])]
            inside = dict.fromkeys(name for arm in arms for name in arm.get("properties", ()))
            parts.append(f"Options: {', '.join(inside)}." if inside else None)
        if node.get("default") not in (None, "", [], {}):
            parts.append(f"Default: {json.dumps(node['default'], ensure_ascii=False)}.")
        return " ".join(part for part in parts if part) or None

    def _flat(self, arms: list[Node]) -> Iterator[Node]:
        """Yield the arms of a choice, those of choices in it too."""
        for arm in arms:
            if ALSO in arm:
                continue
            inner = self._resolved(arm)
            recursive = "$ref" in arm and arm["$ref"].rsplit("/", 1)[-1] in self.recursive
            if "anyOf" in inner and not recursive:
                yield from self._flat(inner["anyOf"])
            else:
                yield arm

    def _choice(self, arms: list[Node], depth: int, partial: bool) -> ConfigType:
        kinds = [self._resolved(arm).get("type") for arm in arms]
        none = "null" in kinds
        arms = [arm for arm, kind in zip(arms, kinds, strict=True) if kind != "null"]
        scalars, others = _split(arms, self._resolved)
        if any(self._resolved(arm).get("type") is None and "enum" not in arm for arm in others):
            return ANY
        scalar = _one_scalar([self.of(arm, depth, partial) for arm in scalars])
        other = self._compound(others, depth, partial)
        found = _either(scalar, other) if scalars and others else scalar if scalars else other
        return _noneable(found) if none else found

    def _compound(self, arms: list[Node], depth: int, partial: bool) -> ConfigType:
        """Return the type of lists and mappings to choose from."""
        if len(arms) == 1 and not _is_tagged(arms[0]):
            return self.of(arms[0], depth, partial)
        if arms and all(_is_tagged(arm) for arm in arms):
            return _selector({arm["required"][0]: self._arm(arm, depth, partial) for arm in arms})
        shapes = [self._resolved(arm) for arm in arms]
        if not all(shape.get("properties") for shape in shapes):
            return ANY
        fields: dict[str, dg.Field] = {}
        for shape in shapes:
            for name, field in self._fields({**shape, "required": (), NEEDED: ()}, depth, partial).items():
                same = name not in fields or fields[name].config_type.key == field.config_type.key
                fields[name] = field if same else dg.Field(ANY, is_required=False, description=field.description)
        return _shape(fields)

    def _arm(self, arm: Node, depth: int, partial: bool) -> dg.Field:
        body = self.of(arm["properties"][arm["required"][0]], depth, partial)
        if body.kind == ConfigTypeKind.NONEABLE and ConfigTypeKind.has_fields(body.inner_type.kind):  # type: ignore[attr-defined]
            body = body.inner_type  # type: ignore[attr-defined]  # Dagster itself takes a bare key for an empty mapping
        return dg.Field(body, is_required=False, description=_first_paragraph(arm))


def _references(node: object) -> Iterator[str]:
    """Yield the names of the definitions that a schema refers to."""
    if isinstance(node, Mapping):
        if "$ref" in node:
            yield node["$ref"].rsplit("/", 1)[-1]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _is_tagged(arm: Node) -> bool:
    """Return whether an arm is a tag and the body behind it."""
    return list(arm.get("properties", ())) == list(arm.get("required", (None, None)))


def _split(arms: list[Node], resolved: Any) -> tuple[list[Node], list[Node]]:
    """Return the arms that are scalars and the others."""
    scalar = [resolved(arm).get("type") in SCALARS or "const" in resolved(arm) for arm in arms]
    return (
        [arm for arm, yes in zip(arms, scalar, strict=True) if yes],
        [arm for arm, yes in zip(arms, scalar, strict=True) if not yes],
    )


def _one_scalar(kinds: list[ConfigType]) -> ConfigType:
    """Return the narrowest Dagster type that holds all of these scalars."""
    if len({kind.key for kind in kinds}) == 1:
        return kinds[0]
    if all(kind.kind == ConfigTypeKind.ENUM or kind.key == "String" for kind in kinds):
        return dg.Field(str).config_type
    if {kind.key for kind in kinds} == {"Int", "Float"}:
        return dg.Field(float).config_type
    return ANY


def _either(scalar: ConfigType, other: ConfigType) -> ConfigType:
    """Return the type of a scalar or something else."""
    if scalar.kind == ConfigTypeKind.ENUM:
        scalar = dg.Field(str).config_type
    fits = (ConfigTypeKind.STRICT_SHAPE, ConfigTypeKind.SELECTOR, ConfigTypeKind.ARRAY)
    if scalar.kind == ConfigTypeKind.SCALAR and other.kind in fits:
        return dg.ScalarUnion(scalar_type=scalar, non_scalar_schema=other)
    return ANY


def _noneable(kind: ConfigType) -> ConfigType:
    return kind if kind.kind in (ConfigTypeKind.NONEABLE, ConfigTypeKind.ANY) else dg.Noneable(kind)


def _enum(values: list[Any]) -> ConfigType:
    """Return the type of some words; numbers among them are checked by pydantic."""
    if not all(isinstance(value, str) for value in values):
        kinds = {type(value) for value in values}
        return dg.Field(kinds.pop()).config_type if kinds in ({int}, {bool}) else ANY
    return _words(tuple(values))


@functools.cache
def _words(values: tuple[str, ...]) -> dg.Enum:
    """Return the enum of these words; its name, which the launchpad shows, lists them."""
    return dg.Enum(" | ".join(map(repr, values)), [dg.EnumValue(value) for value in values])


def _first_paragraph(node: Node) -> str | None:
    return str(node.get("description", "")).split("\n\n")[0].strip() or None
