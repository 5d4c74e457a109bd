"""Unions of models that are written by tag: one key chooses the member, what stands behind it is the member's body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from export_pipeline.errors import did_you_mean
from export_pipeline.options.base import Options
from export_pipeline.options.spellings import snake, tagged


class _Picked:
    """A value whose member is known: the tag and the body behind it."""

    __slots__ = ("body", "tag")

    def __init__(self, tag: str, body: object) -> None:
        self.tag, self.body = tag, body


class OneOf:
    """Annotation that makes a union of `Options` classes a choice written by its tag.

    >>> AnyFormat = Annotated[Csv | Json, OneOf("format")]                                 # doctest: +SKIP
    """

    def __init__(self, what: str, shorthand: Callable[[Any], Any] | None = None) -> None:
        self.what, self.shorthand = what, shorthand
        """`shorthand` may rewrite a value before its tag is read."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        members: dict[str, type[Options]] = {member.tag: member for member in _members(source)}

        def pick(value: Any) -> Any:
            if self.shorthand is not None:
                value = self.shorthand(value)
            if isinstance(value, Options):
                value = _Picked(value.tag, value)
            elif isinstance(value, str):
                value = _Picked(value, None)
            elif isinstance(value, Mapping) and len(value) == 1:
                ((tag, body),) = value.items()
                value = _Picked(str(tag), body)
            else:
                shown = f"the keys {', '.join(map(str, value))}" if isinstance(value, Mapping) else repr(value)
                raise PydanticCustomError(
                    "one_of",
                    "a {what} is written with exactly one of {tags}, not with {given}",
                    {"what": self.what, "tags": ", ".join(members), "given": shown},
                )
            if value.tag not in members:
                spelled = snake(value.tag)
                if spelled not in members:
                    raise PydanticCustomError(
                        "unknown_choice",
                        "unknown {what} '{given}' ({hint})",
                        {"what": self.what, "given": value.tag, "hint": did_you_mean(value.tag, members)},
                    )
                value.tag = spelled
            member = members[value.tag]
            if value.body is None and member.whole is not None:
                raise PydanticCustomError("no_body", "'{given}' needs a value", {"given": value.tag})
            needed = [info.alias or name for name, info in member.model_fields.items() if info.is_required()]
            if value.body is None and needed:
                body = "..." if member.short else f"{{{', '.join(f'{name}: ...' for name in needed)}}}"
                raise PydanticCustomError(
                    "no_body",
                    "'{given}' needs {needed}: write {form}",
                    {"given": value.tag, "needed": " and ".join(needed), "form": f"{{{value.tag}: {body}}}"},
                )
            return value

        schemas = {tag: handler.generate_schema(member) for tag, member in members.items()}
        choices = {
            tag: core_schema.no_info_before_validator_function(
                lambda picked, member=member: member.arguments(picked.body),  # type: ignore[misc]
                schemas[tag],
            )
            for tag, member in members.items()
        }
        union = core_schema.tagged_union_schema(choices=cast("Any", choices), discriminator=lambda picked: picked.tag)

        def serialize(value: Any, info: core_schema.SerializationInfo) -> Any:
            if not isinstance(value, Options):
                return value
            dumped = value.model_dump(
                mode=info.mode, exclude_defaults=info.exclude_defaults, by_alias=info.by_alias or False
            )
            return {value.tag: value.body_of(dumped)}

        return core_schema.no_info_before_validator_function(
            pick,
            union,
            serialization=core_schema.plain_serializer_function_ser_schema(serialize, info_arg=True),
            metadata={"pydantic_js_functions": [self._json_schema(members, schemas)]},
        )

    @staticmethod
    def _json_schema(members: Mapping[str, type[Options]], schemas: Mapping[str, CoreSchema]) -> Any:
        def build(_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
            bare = [tag for tag, member in members.items() if all_defaults(member)]
            arms: list[JsonSchemaValue] = [{"type": "string", "enum": bare}] if bare else []
            for tag, member in members.items():
                body = handler(schemas[tag])
                if "$ref" not in body:  # inlined: pydantic does not ask the model then
                    member.describe(body)
                arms += tagged(tag, body, (member.__doc__ or "").strip(), bare=tag in bare)
            return {"anyOf": arms}

        return build


def all_defaults(model: type[Options]) -> bool:
    """Return whether the bare tag of this model is enough: no field is required."""
    return model.bare and model.whole is None and not any(info.is_required() for info in model.model_fields.values())


def _members(source: Any) -> tuple[type[Options], ...]:
    """Return the classes of a union; one class alone is a union of one."""
    return get_args(source) or (source,)


def members_of(union: Any) -> dict[str, type[Options]]:
    """Return the members of an ``Annotated[A | B, OneOf(...)]`` by tag: the registry that the union is."""
    inner = get_args(union)[0]
    return {member.tag: member for member in _members(inner)}


def choice(metadata: object) -> OneOf | None:
    """Return the `OneOf` of a field's annotation or metadata, None where the field is no choice."""
    found = metadata.metadata if isinstance(metadata, FieldInfo) else get_args(metadata)[1:]
    return next((item for item in found if isinstance(item, OneOf)), None)
