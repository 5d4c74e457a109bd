"""The values of a launch laid over the values of a file: what is not said again stays as the file says it.

====================================  =========================================================================
the launch gives                      the merged export has
====================================  =========================================================================
an option of a mapping                that option changed, its neighbours as in the file, at any depth
an entry of a mapping by name         that entry added or changed, the others as in the file
a choice with the file's tag          the options behind the tag merged one by one; the bare tag changes nothing
a choice with another tag             the launch's choice alone
a list                                the launch's list alone
``null``                              nothing, where the option may be nothing; else the option's own default
====================================  =========================================================================

How options are spelled (camelCase, bare tags, short bodies) does not matter on either side.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from export_pipeline.options import OneOf, Options, choice, snake


def merge(model: type[Options], base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `override` laid over it, both plain data for `model`; neither is changed.

    Nothing is validated here: an option that the model does not know is passed on, for pydantic to name it.
    """
    merged = _by_field(model, base)
    for name, value in _by_field(model, override).items():
        info = model.model_fields.get(name)
        if info is None:
            merged[name] = value
        elif value is None and not _may_be_none(info.annotation):
            merged.pop(name, None)
        else:
            merged[name] = _value(_whole_annotation(info), merged.get(name), value)
    return {_written(model, name): value for name, value in merged.items()}


def _by_field(model: type[Options], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options by the model's own names."""
    known = model.option_names()
    out: dict[str, Any] = {}
    for given, value in body.items():
        name = given if given in known else model.also.get(given, given)
        name = name if name in known else snake(str(given))
        out[known.get(name, given)] = value
    return out


def _written(model: type[Options], name: str) -> str:
    info = model.model_fields.get(name)
    return info.alias if info is not None and info.alias else name


def _whole_annotation(info: FieldInfo) -> Any:
    """Return the annotation with the choice that pydantic keeps apart from it."""
    found = choice(info)
    return info.annotation if found is None else Annotated[info.annotation, found]


def _may_be_none(annotation: Any) -> bool:
    return annotation is Any or type(None) in get_args(annotation)


def _bare(annotation: Any) -> Any:
    """Return the type that stands in an `Annotated`."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _value(annotation: Any, base: Any, override: Any) -> Any:
    if base is None or override is None:
        return override
    if get_origin(annotation) is Annotated:
        found = choice(annotation)
        inner = get_args(annotation)[0]
        return _value(inner, base, override) if found is None else _choice(found, inner, base, override)
    if get_origin(annotation) in (Union, types.UnionType):
        return _one_of_several([arm for arm in get_args(annotation) if arm is not type(None)], base, override)
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return _bodies(annotation, base, override)
    if get_origin(annotation) is dict and isinstance(base, Mapping) and isinstance(override, Mapping):
        return _entries(get_args(annotation)[1], base, override)
    return override


def _entries(annotation: Any, base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings by name; ``null`` takes an entry away."""
    merged = dict(base)
    for name, value in override.items():
        if value is None and not _may_be_none(annotation):
            merged.pop(name, None)
        else:
            merged[name] = _value(annotation, merged.get(name), value)
    return merged


def _bodies(model: type[Options], base: Any, override: Any) -> Any:
    """Merge two bodies of one model, each in its long or its short form."""
    if model.whole is not None:
        return (
            override if override is None else _value(_whole_annotation(model.model_fields[model.whole]), base, override)
        )
    long_base, long_override = model.arguments(base), model.arguments(override)
    if not isinstance(long_base, Mapping) or not isinstance(long_override, Mapping):
        return override
    return merge(model, long_base, long_override)


def _one_of_several(arms: list[Any], base: Any, override: Any) -> Any:
    """Merge inside the first arm that knows every option of both sides; without one, the override stands alone."""
    if len(arms) == 1:
        return _value(arms[0], base, override)
    if isinstance(base, Mapping) and isinstance(override, Mapping):
        for arm in map(_bare, arms):
            if not (isinstance(arm, type) and issubclass(arm, Options)):
                continue
            names = set(_by_field(arm, base)) | set(_by_field(arm, override))
            if names <= set(arm.model_fields):
                return merge(arm, base, override)
    return override


def _choice(found: OneOf, union: Any, base: Any, override: Any) -> Any:
    arms = [arm for arm in get_args(union) or (union,) if arm is not type(None)]
    members = {arm.tag: arm for arm in map(_bare, arms)}
    old, new = (_picked(found, members, value) for value in (base, override))
    if old is None or new is None or old[0] != new[0]:
        return override
    tag, body = new
    if body is None or body == {}:
        return base
    return {tag: _bodies(members[tag], {} if old[1] is None else old[1], body)}


def _picked(found: OneOf, members: Mapping[str, type[Options]], value: Any) -> tuple[str, Any] | None:
    """Return tag and body of a choice; None where it is none of the members."""
    if found.shorthand is not None:
        value = found.shorthand(value)
    if isinstance(value, Mapping) and len(value) == 1:
        ((tag, body),) = value.items()
    elif isinstance(value, str):
        tag, body = value, None
    else:
        return None
    tag = tag if tag in members else snake(str(tag))
    return (tag, body) if tag in members else None
