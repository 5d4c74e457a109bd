"""The base of every model: options by name in their accepted spellings, short bodies, and the JSON Schema of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, to_jsonable_python

from export_pipeline.errors import did_you_mean
from export_pipeline.options.docs import documented
from export_pipeline.options.spellings import add_short_forms, add_spellings, camel, snake

_SHOWN = 6
"""Options that an error names where something else stands."""


class Options(BaseModel):
    """Frozen options with documented fields; an unknown option is an error that names the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, populate_by_name=True)

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
        texts = documented(cls)
        for name, info in cls.model_fields.items():
            shown = properties.get(info.alias or name)
            if shown is None:
                continue
            if name in texts:
                shown.setdefault("description", texts[name])
            if not info.is_required():
                shown["default"] = _written(info.get_default(call_default_factory=True))
        add_spellings(described, cls.other_names())
        add_short_forms(described, cls.whole, cls.short)

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


def _written(value: Any) -> Any:
    """Return a default as a person would write it."""
    if isinstance(value, Options):
        body = value.body_of(value.dump()) if value.model_fields_set or value.whole else {}
        return body if not value.tag else ({value.tag: body} if body else value.tag)
    if isinstance(value, (list, tuple)):
        return [_written(item) for item in value]
    return to_jsonable_python(value)


def spelled(model: type[Options] = Options) -> set[tuple[str, str]]:
    """Return the further names that models have for their options: what is written, and the option."""
    own = {*model.also.items(), *((info.alias, name) for name, info in model.model_fields.items() if info.alias)}
    return own.union(*(spelled(inner) for inner in model.__subclasses__()))
