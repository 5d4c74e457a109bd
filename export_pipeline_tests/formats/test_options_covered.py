"""No option of a format is forgotten: each one, and each of its values, stands in a row of that format's contract.

The rows are those of `test_csv_pairs`, `test_json_pairs`, `test_parquet_pairs` and `excel/options`: a new option needs
a value there.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import TypeAdapter

from export_pipeline.formats import AnyFormat, Csv, Excel, Format, Json, Parquet
from export_pipeline.options import Options, members_of
from export_pipeline_tests.formats import test_csv_pairs, test_json_pairs, test_parquet_pairs
from export_pipeline_tests.formats.excel import options as excel


def csv_rows() -> Iterator[dict[str, Any]]:
    for row in test_csv_pairs.ROWS:
        yield row | ({"headers": ["a", "b"]} if row["headers"] == "list" else {})


def excel_rows() -> Iterator[dict[str, Any]]:
    for row in [*excel.ROWS, *excel.ALONE]:
        yield {name: value for name, value in row.items() if value != excel.LEFT_OUT}


ROWS: dict[type[Format], list[dict[str, Any]]] = {
    Csv: list(csv_rows()),
    Json: test_json_pairs.COVERED,
    Parquet: test_parquet_pairs.ROWS,
    Excel: list(excel_rows()),
}
"""Format -> the rows of its contract."""
FORMATS = [typing.cast("type[Format]", member) for member in members_of(AnyFormat).values()]
GIVEN = "given"
Seen = tuple[type[Options], str, Any]
"""The model that has an option, the option, and one of its values; `GIVEN` for any."""


def owner(model: type[Options], option: str) -> type[Options]:
    """Return the class that declares an option: those that inherit it share its rows."""
    return next(base for base in model.__mro__ if option in inspect.get_annotations(base))


def values_of(annotation: Any) -> Iterator[Any]:
    """Yield the values that a type lists: of literals, truth values, None and, by class, of choices."""
    if annotation is bool:
        yield from (True, False)
    elif annotation is type(None):
        yield None
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, Options):
        yield annotation
    elif get_origin(annotation) is not type:
        for part in get_args(annotation):
            if not isinstance(part, (str, int)):
                yield from values_of(part)


def wanted(model: type[Options], seen: set[type[Options]]) -> Iterator[Seen]:
    """Yield every option of a model and of those inside of it, and every value that it lists."""
    if model in seen:
        return
    seen.add(model)
    hints = typing.get_type_hints(model, include_extras=True)
    for option in model.model_fields:
        declared = owner(model, option)
        yield declared, option, GIVEN
        for value in values_of(hints[option]):
            yield declared, option, value
            if isinstance(value, type):
                yield from wanted(value, seen)


def found(value: Any) -> Iterator[Seen]:
    """Yield every option with its value that stands in a model, and in those inside of it."""
    if isinstance(value, Options):
        for option in type(value).model_fields:
            inner = getattr(value, option)
            declared = owner(type(value), option)
            if option in value.model_fields_set:
                yield declared, option, GIVEN
            for one in inside(inner):
                yield declared, option, type(one) if isinstance(one, Options) else one
                yield from found(one)


def inside(value: Any) -> Iterator[Any]:
    """Yield a value, or those that a list or mapping holds."""
    if isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from inside(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from inside(one)
    else:
        yield value


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.tag)
def test_every_option_and_every_value_stands_in_a_row(form: type[Format]) -> None:
    adapter = TypeAdapter(AnyFormat)
    there = {
        (model, option, _plain(value))
        for row in ROWS[form]
        for model, option, value in found(adapter.validate_python({form.tag: row}))
    }
    missing = [
        f"{model.__name__}.{option}: {value.__name__ if isinstance(value, type) else repr(value)}"
        for model, option, value in wanted(form, set())
        if (model, option, _plain(value)) not in there
    ]
    assert not missing, f"add these to the rows of {form.tag} (see ROWS): {missing}"


def _plain(value: Any) -> Any:
    """Return a value that tells True from 1."""
    return (type(value).__name__, value) if isinstance(value, (bool, int, float, str)) else id(value)


def test_a_new_option_is_missed() -> None:
    class Inner(Options):
        way: Literal["a", "b"] = "a"
        many: tuple[bool, ...] = ()

    class Outer(Options):
        inner: Inner | None = None

    globals().update(Inner=Inner)  # the hints are texts
    try:
        needs = {(option, value) for _, option, value in wanted(Outer, set())}
    finally:
        del globals()["Inner"]
    assert needs == {
        ("inner", GIVEN), ("inner", None), ("inner", Inner), ("way", GIVEN), ("way", "a"), ("way", "b"),
        ("many", GIVEN), ("many", True), ("many", False),
    }  # fmt: skip
    seen = {(option, value) for _, option, value in found(Outer(inner=Inner(many=(True,))))}
    assert needs - seen == {("inner", None), ("way", GIVEN), ("way", "b"), ("many", False)}
