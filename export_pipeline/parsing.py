"""Plain data into a model, with errors that name the file, the line, the option, the value and the cure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from export_pipeline import yaml
from export_pipeline.errors import ConfigError
from export_pipeline.options import snake, spelled

M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], data: Any, *, name: str = "", document: yaml.Document | None = None) -> M:
    """Validate plain data.

    Raises `ConfigError`; its message has one line for each problem: ``name, line 12: format.csv: unknown option ...``.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise explain(error, data, name=name, document=document) from None


def parse_value(kind: Any, data: Any, *, name: str = "") -> Any:
    """Validate a value against any annotation, such as a union of options."""
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        raise explain(error, data, name=name) from None


def parse_file(model: type[M], path: Path) -> M:
    """Read a YAML file into a model; raises `ConfigError` with the file's name and the line."""
    document = read(path)
    return parse(model, {} if document.data is None else document.data, name=path.name, document=document)


def read(path: Path) -> yaml.Document:
    """Read and parse a YAML file; a file that is missing or not text is a `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path.name} is not UTF-8 text", cure="Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    return yaml.load(text, path.name)


def explain(error: ValidationError, data: Any, *, name: str = "", document: yaml.Document | None = None) -> ConfigError:
    """Return the error a person can act on for pydantic's."""
    told: dict[tuple[str, str], list[str]] = {}
    for problem in _causes(error.errors(include_url=False)):
        place = _place(problem, data, name, document)
        wanted, given = _kind(problem)
        if wanted:  # a value that may be of several kinds has a problem for each: `should be this or that, not 7`
            told.setdefault((place, given), []).append(wanted)
        else:
            told[place, _message(problem)] = []
    lines = [
        f"should be {' or '.join(dict.fromkeys(wanted))}, not {text}" if wanted else text
        for (_, text), wanted in told.items()
    ]
    by_place: dict[str, list[str]] = {}
    for (place, _), line in zip(told, lines, strict=True):
        by_place.setdefault(place, []).append(line)
    return ConfigError(
        "\n".join(": ".join(part for part in (place, "; ".join(texts)) if part) for place, texts in by_place.items())
    )


def _causes(problems: list[Any]) -> list[Any]:
    """Return the problems without those that only follow from another: a list lacks its wrong items."""
    places = [tuple(one["loc"]) for one in problems]

    def has_deeper(place: tuple[str | int, ...]) -> bool:
        return any(len(other) > len(place) and other[: len(place)] == place for other in places)

    return [one for one in problems if one["type"] != "too_short" or not has_deeper(tuple(one["loc"]))]


def _place(problem: Mapping[str, Any], data: Any, name: str, document: yaml.Document | None) -> str:
    """Return where a problem is: file, line and option."""
    path = _written(problem["loc"], data)
    context = problem.get("ctx", {})
    exact = (*path, context["option"]) if "option" in context else path
    line = document.line(exact) if document else None
    where = ", ".join(part for part in (name, f"line {line}" if line else "") if part)
    return ": ".join(part for part in (where, dotted(path)) if part)


def _written(loc: Iterable[str | int], data: Any) -> tuple[str | int, ...]:
    """Return the parts of pydantic's location that a person wrote; the model's own levels are left out."""
    path: list[str | int] = []
    for given in loc:
        part = _as_written(given, data)
        inside = isinstance(data, Mapping) and part in data
        if inside or (isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data)):
            data = data[part]
            path.append(part)
    return tuple(path)


def _as_written(part: str | int, data: Any) -> str | int:
    """Return an option in the spelling that a person chose for it: `pivots` for `pivot_tables`."""
    if not isinstance(data, Mapping) or part in data or not isinstance(part, str):
        return part
    others = spelled()
    return next((key for key in data if isinstance(key, str) and (snake(key) == part or (key, part) in others)), part)


def dotted(path: Iterable[str | int]) -> str:
    """Return the path as one writes it: ``filter.and[0].where``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


_PLAINLY = {"dict_type": "options by name", "bool_type": "true or false",
            "bool_parsing": "true or false", "tuple_type": "a list", "list_type": "a list",
            "string_type": "text", "datetime_from_date_parsing": "a moment, such as 2024-05-01T10:00:00Z",
            "datetime_parsing": "a moment, such as 2024-05-01T10:00:00Z"}  # fmt: skip
"""Pydantic's kind of problem -> what should be there, in the words of a person who writes YAML."""


def _kind(problem: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a value should be and what it is, where it is of a wrong kind; else two empty texts."""
    message, begin = str(problem["msg"]), "Input should be "
    if not message.startswith(begin):
        return "", ""
    shown = repr(problem["input"])
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    plain = _PLAINLY.get(str(problem["type"]))
    return plain or message.removeprefix(begin).split(", unable")[0], shown


def _message(problem: Mapping[str, Any]) -> str:
    kind, message, last = str(problem["type"]), str(problem["msg"]), problem["loc"][-1] if problem["loc"] else ""
    if kind == "missing" and isinstance(last, int):  # of a list that has so many items, always
        return f"the list needs an item more than its {last}"
    if kind == "missing":
        return f"{last!r} is missing"
    return re.sub("^(Tuple|List) should have", "the list should have", message).removeprefix("Value error, ")
