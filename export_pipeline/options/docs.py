"""The documentation of options: the text under each field, read from the source when somebody asks for it.

Pydantic reads it when a class is made, which was a third of the time that a command or a run needs to begin.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys
from collections.abc import Iterator, Mapping

from pydantic import BaseModel


def documented(model: type[BaseModel]) -> dict[str, str]:
    """Return the text under each field of a model; one that is annotated anew in a subclass has its own."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        own = _of_module(base.__module__).get(base.__qualname__, {})
        for name in vars(base).get("__annotations__", {}):
            found.pop(name, None)
            if name in own:
                found[name] = own[name]
    return {name: text for name, text in found.items() if name in model.model_fields}


@functools.cache
def _of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    """Return the texts of all classes of a module, by qualified name; none where there is no source."""
    try:
        source = inspect.getsource(sys.modules[name])
    except (KeyError, OSError, TypeError):
        return {}
    return dict(_of_classes(ast.parse(source).body, ""))


def _of_classes(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, dict[str, str]]]:
    for item in body:
        if isinstance(item, ast.ClassDef):
            name = prefix + item.name
            yield name, dict(_of_fields(item.body))
            yield from _of_classes(item.body, f"{name}.")
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _of_classes(item.body, f"{prefix}{item.name}.<locals>.")


def _of_fields(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for item, following in itertools.pairwise(body):
        match item, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
