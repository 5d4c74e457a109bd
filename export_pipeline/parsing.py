"""Plain data into a model, with errors that name the file, the line, the option, the value and the cure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from export_pipeline import yaml
from export_pipeline.errors import ConfigError

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
    lines = list(dict.fromkeys(_line(problem, data, name, document) for problem in error.errors(include_url=False)))
    return ConfigError("\n".join(lines))


def _line(problem: Mapping[str, Any], data: Any, name: str, document: yaml.Document | None) -> str:
    path = _written(problem["loc"], data)
    message = _message(problem)
    context = problem.get("ctx", {})
    exact = (*path, context["option"]) if "option" in context else path
    line = document.line(exact) if document else None
    where = ", ".join(part for part in (name, f"line {line}" if line else "") if part)
    return ": ".join(part for part in (where, dotted(path), message) if part)


def _written(loc: Iterable[str | int], data: Any) -> tuple[str | int, ...]:
    """Return the parts of pydantic's location that a person wrote; the model's own levels are left out."""
    path: list[str | int] = []
    for part in loc:
        inside = isinstance(data, Mapping) and part in data
        if inside or (isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data)):
            data = data[part]
            path.append(part)
    return tuple(path)


def dotted(path: Iterable[str | int]) -> str:
    """Return the path as one writes it: ``filter.and[0].where``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _message(problem: Mapping[str, Any]) -> str:
    kind, message = str(problem["type"]), str(problem["msg"])
    if kind == "missing":
        return f"{problem['loc'][-1]!r} is missing"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if message.startswith("Input should be"):
        shown = repr(problem["input"])
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return f"{message.replace('Input should be', 'should be').split(', unable')[0]}, not {shown}"
    return message
