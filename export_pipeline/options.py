"""The base of every model, and the one way a choice between models is written.

A choice (*tagged union*) is written by its tag with exactly one key, in files, JSON and the launchpad alike::

    format: csv                      # every option at its default
    format: {csv: {delimiter: ";"}}
    filter: {not: {status: [failed]}}

What stands behind the tag is the *body* of the member. A member says in two class variables how short its body may be:
`whole` names the one field that the body *is* (``and: [...]``), `short` the field that a bare value stands for
(``{sum: cost_usd}`` for ``{sum: {field: cost_usd}}``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema, to_jsonable_python

from export_pipeline.errors import did_you_mean

T = TypeVar("T")
ALSO = "x-also"
"""Key of a JSON Schema that marks another accepted spelling: it is valid, and not what is offered to people."""
SHORT: Any = Field(json_schema_extra={ALSO: True})
"""Annotation of a form that is understood, too, such as one thing in place of a list of one."""
NEEDED = "x-required"
"""Key of a JSON Schema with the options that are required, in whatever spelling."""
_TOLD = ("description", "default", "title", "examples")
"""What a JSON Schema tells of an option besides what is valid."""
_SHOWN = 6
"""Options that an error names where something else stands."""


def snake(name: str) -> str:
    """Return the snake_case spelling of a camelCase option: ``rowGroupSize`` is ``row_group_size``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def camel(name: str) -> str:
    """Return the camelCase spelling of an option: ``row_group_size`` is ``rowGroupSize``."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


class Options(BaseModel):
    """Frozen options with documented fields; an unknown option is an error that names the nearest known one."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, arbitrary_types_allowed=True, populate_by_name=True
    )

    tag: ClassVar[str] = ""
    """The key that chooses this model in a union."""
    whole: ClassVar[str | None] = None
    """The field that the body behind the tag is."""
    short: ClassVar[str | None] = None
    """The field that a body which is no mapping stands for."""
    bare: ClassVar[bool] = True
    """Whether the tag alone is enough where no field is required."""
    also: ClassVar[Mapping[str, str]] = {}
    """Other accepted spellings of options: given name -> field."""
    never: ClassVar[Mapping[str, str]] = {}
    """Options that a person may well expect and that there are none of -> why, and what does it instead."""

    @classmethod
    def option_names(cls) -> dict[str, str]:
        """Return the accepted spellings of each option: written name (alias where there is one) -> field."""
        names = {field: field for field in cls.model_fields}
        return names | {info.alias: field for field, info in cls.model_fields.items() if info.alias}

    @classmethod
    def other_names(cls) -> dict[str, list[str]]:
        """Return the further spellings of each option, camelCase among them: name in the schema -> spellings."""
        written = {field: info.alias or field for field, info in cls.model_fields.items()}
        names = {name: {given for given in (field, camel(name), camel(field)) if given != name}
                 for field, name in written.items()}  # fmt: skip
        for given, field in cls.also.items():
            names[written.get(field, field)] |= {given, camel(given)}
        return {name: sorted(others) for name, others in names.items() if others}

    @classmethod
    def arguments(cls, body: object) -> object:
        """Return the keyword arguments that the body behind this model's tag stands for."""
        if isinstance(body, cls):
            return body
        if cls.whole is not None:
            return {cls.whole: body}
        if body is None:
            return {}
        if cls.short is not None and not isinstance(body, Mapping):
            return {cls.short: body}
        return body

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, value: Any) -> Any:
        """Accept camelCase, refuse unknown options with the nearest known name."""
        if cls.short is not None and isinstance(value, (str, int, float, list, tuple)):
            value = {cls.short: value}
        if isinstance(value, BaseModel):
            return value
        if not isinstance(value, Mapping):
            names = list(dict.fromkeys(info.alias or field for field, info in cls.model_fields.items()))
            shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
            raise PydanticCustomError(
                "options", "Input should be options by name ({names})", {"names": shown or "here are none"}
            )
        known = cls.option_names()
        out: dict[str, Any] = {}
        for given, item in value.items():
            name = given
            if isinstance(given, str) and given not in known:
                name = cls.also.get(given, given)
                name = name if name in known else snake(given)
            if name not in known:
                written = {info.alias or field for field, info in cls.model_fields.items()}
                raise PydanticCustomError(
                    "unknown_option",
                    "unknown option '{option}' ({hint})",
                    {"option": str(given), "hint": cls.never.get(str(given)) or did_you_mean(given, written)},
                )
            if known[name] in out:
                raise PydanticCustomError("twice", "'{option}' is given twice", {"option": str(given)})
            out[known[name]] = item
        return out

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the forms a person may write: the body of a `whole` model is its field, a `short` one has two."""
        reference = handler(schema)
        cls.describe(handler.resolve_ref_schema(reference))
        return reference

    @classmethod
    def describe(cls, described: JsonSchemaValue) -> None:
        """Turn pydantic's description of this model, in place, into that of the forms that are accepted."""
        properties = described.get("properties")
        if properties is None:
            return  # described already
        for name, info in cls.model_fields.items():
            shown = properties.get(info.alias or name)
            if shown is not None and not info.is_required():
                shown["default"] = _written(info.get_default(call_default_factory=True))
        cls._describe_spellings(described)
        if cls.whole is not None:
            body = dict(properties[cls.whole])
            described.clear()
            described.update(body)
        elif cls.short is not None:
            full = dict(described)
            described.clear()
            described.update({"anyOf": [{k: v for k, v in properties[cls.short].items() if k != "default"}, full]})

    @classmethod
    def _describe_spellings(cls, described: JsonSchemaValue) -> None:
        """Let the further spellings of options be valid; editors and the launchpad, which offer, do not see them."""
        spellings = cls.other_names()
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

    def dump(self, *, defaults: bool = False) -> dict[str, Any]:
        """Return plain JSON data that validates back to an equal model; options at their default only if asked."""
        return self.model_dump(mode="json", exclude_defaults=not defaults, by_alias=True)

    @classmethod
    def body_of(cls, dumped: Mapping[str, Any]) -> Any:
        """Return the body to write behind the tag for this model's dumped fields, in its shortest form."""
        if cls.whole is not None:
            return dumped[cls.whole]
        if cls.short is not None and set(dumped) == {cls.short} and not isinstance(dumped[cls.short], Mapping):
            return dumped[cls.short]
        return dict(dumped)

    def replace(self, **changes: object) -> Self:
        """Return a copy with these fields changed, validated."""
        kept = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).model_validate(kept | changes)


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
                arms.append(
                    {
                        "type": "object",
                        "description": (member.__doc__ or "").strip(),
                        "properties": {tag: {"anyOf": [body, {"type": "null"}]} if tag in bare else body},
                        "required": [tag],
                        "additionalProperties": False,
                    }
                )
                if camel(tag) != tag:
                    other = {"type": "object", "patternProperties": {f"^{camel(tag)}$": body}, "minProperties": 1}
                    arms.append({**other, "additionalProperties": False, ALSO: True})
            return {"anyOf": arms}

        return build


def spelled(model: type[Options] = Options) -> set[tuple[str, str]]:
    """Return the further names that models have for their options: what is written, and the option."""
    own = {*model.also.items(), *((info.alias, name) for name, info in model.model_fields.items() if info.alias)}
    return own.union(*(spelled(inner) for inner in model.__subclasses__()))


class NamesFiles:
    """Annotation of an option that is a file's name, or several: relative ones stand in the export's folder."""


M = TypeVar("M", bound=Options)


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


def _written(value: Any) -> Any:
    """Return a default as a person would write it."""
    if isinstance(value, Options):
        body = value.body_of(value.dump()) if value.model_fields_set or value.whole else {}
        return body if not value.tag else ({value.tag: body} if body else value.tag)
    if isinstance(value, (list, tuple)):
        return [_written(item) for item in value]
    return to_jsonable_python(value)


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
