"""No option of a format is forgotten: each one, and each of its values, stands in a row of that format's contract.

The rows are those of `csv/test_pairs`, `json/test_pairs`, `parquet/test_options` and `excel/options`: a new
option needs a value there.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import openpyxl
import pytest
from pydantic import TypeAdapter

from export_pipeline.formats import AnyFormat, Csv, Excel, Format, Json, Parquet
from export_pipeline.formats.excel.pivots.functions import Function
from export_pipeline.options import Options, members_of
from export_pipeline.tables import Table
from export_pipeline.verification import verify
from export_pipeline_tests.formats.csv import test_pairs as csv
from export_pipeline_tests.formats.excel import options as excel
from export_pipeline_tests.formats.json import test_pairs as json
from export_pipeline_tests.formats.parquet import test_options as parquet


def csv_rows() -> Iterator[dict[str, Any]]:
    for row in csv.ROWS:
        yield row | ({"headers": ["a", "b"]} if row["headers"] == "list" else {})


def excel_rows() -> Iterator[dict[str, Any]]:
    for row in [*excel.ROWS, *excel.ALONE]:
        yield {name: value for name, value in row.items() if value != excel.LEFT_OUT}


SPLIT: list[dict[str, Any]] = [{"split": {"rows": 3, "bytes": None}}, {"split": {"bytes": 10_000, "rows": None}}]
"""Several files: `test_pipeline_folders` writes and reads them."""
FOLDERS: list[dict[str, Any]] = [
    {"partition_by": ["text"], "commit_marker": True},
    {"compression": "lzo"},
    {"sorting_columns": [{"column": "n", "descending": True, "nulls_first": True}]},
    {"partition_values": {"day": "x", "n": 1, "yes": True, "no": False}},
]
"""Folders, which `test_pipeline_folders` writes and reads; orders of rows, of which the nasty table has none; LZO,
which `parquet/test_lzo` writes and reads."""
SEALS: list[dict[str, Any]] = [{"seal": {"pgp": ["partner.asc"]}}]
"""Seals, whatever is inside: `test_sealing` and `test_pipeline_sealed` open them with gpg."""
PACKED: list[dict[str, Any]] = [
    {"compression": compression}
    for compression in (
        {"gzip": {"level": 4, "threads": 2}},
        {"zstd": {"level": 3, "threads": 2}},
        {"zip": {"level": 9, "threads": 2, "password": None}},
        {"zip": {"password": {"env": "EXPORT_ZIP_PASSWORD"}}},
    )
]
"""`test_compressions` writes and reads each with each text format, and `test_zip` what other programs make of them."""
ENTITIES: list[dict[str, Any]] = [
    {
        "structure": {
            "normalized": {
                "entities": {"a": {"key": "id", "rows": {"source": "a"}}, "b": {"key": "id"}},
                "relationships": {"of": {"from": "a", "to": "b", "rows_of": "b", "from_key": "a", "to_key": "id"}},
            }
        }
    }
]
"""`json/test_tables` writes and reads them."""
SHEETS: list[dict[str, Any]] = [
    {"sheets": [{"name": "One", "rows": None}, {"name": "Two", "rows": {"source": "two"}, "pivot_tables": []}]}
]
"""`excel/test_several` writes and reads them."""
TEMPLATES: list[dict[str, Any]] = [
    {"template": {"file": "a.xlsx", "sheet": None, "start": None, "header": "keep", "columns": "header"}},
    {"template": {"file": "a.xlsm", "sheet": "Data", "start": "B3", "header": "write", "columns": "position"}},
    {"template": None},
]
"""`excel/template` fills them."""


def pivot(n: int, function: str, **more: Any) -> dict[str, Any]:
    """Return a pivot table over `excel.SMALL`, alone on its sheet."""
    values = [{"column": "int64", "function": function}]
    return {"name": f"Pivot {n}", "rows": ["bool"], "columns": ["text"], "values": values, **more}


PIVOTS: list[dict[str, Any]] = [
    {
        "pivot_tables": [
            pivot(n, function, layout=("compact", "outline", "tabular")[n % 3], subtotals=bool(n % 2))
            for n, function in enumerate(get_args(Function))
        ]
    },
    {
        "pivot_tables": [
            pivot(0, "sum", sheet="Both", at="B3", row_totals=True, column_totals=False, style="PivotStyleDark1"),
            pivot(
                1,
                "count",
                sheet="Both",
                at="B60",
                columns=[],
                row_totals=False,
                column_totals=True,
                values=[
                    {"column": "int64", "function": "count", "label": "Rows", "number_format": "0.0"},
                    {"column": "int64", "function": "max", "label": None, "number_format": None},
                ],
            ),
            pivot(
                2, "min", sheet=None, at=None, filters=[{"column": "bool", "value": True}], rows=["text"], columns=[]
            ),
            pivot(3, "min", sheet=None, filters=[{"column": "bool", "value": False}], rows=["text"], columns=[]),
            pivot(4, "min", filters=[{"column": "bool", "value": None}], rows=["text"], columns=[]),
        ],
        "charts": [{"of": "Pivot 4", "x": None, "values": ["Min of int64"]}],
    },
]
ROWS: dict[type[Format], list[dict[str, Any]]] = {
    Csv: [*csv_rows(), *SPLIT, *PACKED, *SEALS],
    Json: [*json.COVERED, *ENTITIES, *PACKED, *SEALS],
    Parquet: [*parquet.ROWS, *FOLDERS, *SEALS],
    Excel: [*excel_rows(), *PIVOTS, *SHEETS, *TEMPLATES, *SEALS],
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
            if isinstance(value, type) and value is not Table:  # queries have tests of their own
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


@pytest.mark.parametrize("options", PIVOTS, ids=["functions", "places"])
def test_pivot_tables_of_every_kind_are_written(options: dict[str, Any], tmp_path: Path) -> None:
    form = Excel.model_validate(options)
    artifact = form.write(excel.SMALL.lazy(), tmp_path / "x.xlsx")
    verify(artifact, form)
    assert len(openpyxl.load_workbook(artifact.path).sheetnames) == 1 + len({t.on for t in form.pivot_tables})
