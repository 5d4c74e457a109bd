"""Errors of plain data: file, line, option, value, cure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest

from export_pipeline.config import ExportConfig
from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.options import OneOf, Options
from export_pipeline.parsing import dotted, parse, parse_file


class Step(Options):
    tag: ClassVar[str] = "step"
    size: int = 1


class All(Options):
    tag: ClassVar[str] = "all"
    whole: ClassVar[str | None] = "steps"
    steps: list[AnyStep]


AnyStep = Annotated[All | Step, OneOf("step")]
All.model_rebuild()


class Walk(Options):
    name: str
    do: AnyStep


def said(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        parse_file(Walk, path)
    return caught.value.message


def test_a_problem_names_file_line_path_and_value(tmp_path: Path) -> None:
    text = "name: a\ndo:\n  all:\n    - step: {size: 1}\n    - step: {size: many}\n"
    assert said(tmp_path / "w.yaml", text) == (
        "w.yaml, line 5: do.all[1].step.size: should be a valid integer, not 'many'"
    )


def test_an_unknown_option_stands_on_its_own_line_with_the_nearest_one(tmp_path: Path) -> None:
    text = "name: a\ndo:\n  step:\n    size: 1\n    sice: 2\n"
    assert said(tmp_path / "w.yaml", text) == ("w.yaml, line 5: do.step: unknown option 'sice' (did you mean 'size'?)")


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    assert said(tmp_path / "w.yaml", "do: {stepp: {}}\n").splitlines() == [
        "w.yaml, line 1: 'name' is missing",
        "w.yaml, line 1: do: unknown step 'stepp' (did you mean 'step'?)",
    ]


def test_a_file_that_cannot_be_read_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"b\.yaml is not UTF-8 text"):
        parse_file(Walk, tmp_path / "b.yaml")
    with pytest.raises(ConfigError, match="No such file"):
        parse_file(Walk, tmp_path / "none.yaml")


def test_data_without_a_file_is_told_by_path_alone() -> None:
    with pytest.raises(ConfigError, match=r"^do\.step\.size: should be a valid integer, not \[\]$"):
        parse(Walk, {"name": "x", "do": {"step": {"size": []}}})


def test_what_may_be_of_several_kinds_has_one_line_in_plain_words() -> None:
    class Look(Options):
        borders: bool | Literal["thin", "thick"] | Step

    with pytest.raises(ConfigError) as caught:
        parse(Look, {"borders": "thik"})
    assert caught.value.message == (
        "borders: should be true or false or 'thin' or 'thick' or options by name (size), not 'thik'"
    )


def test_helpers() -> None:
    assert dotted(("a", 0, "b")) == "a[0].b"
    assert did_you_mean("STATUS", ["status", "agent"]) == "did you mean 'status'?"
    assert did_you_mean("x", []) == "there is none"
    assert did_you_mean("zzz", [f"column{i}" for i in range(20)]).endswith("and 8 more")


def test_a_tag_without_its_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^do: 'all' needs a value$"):
        parse(Walk, {"name": "x", "do": {"all": None}})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"excel": {"pivots": [{"name": "P", "rows": "a", "values": [{"column": "b", "function": "summ"}]}]}},
            (
                r"format\.excel\.pivots\[0\]\.rows: should be a list, not 'a'\n"
                r"format\.excel\.pivots\[0\]\.values\[0\]\.function: should be 'sum', .*, not 'summ'$"
            ),
        ),
        ({"excel": {"pivots": [{"name": "P", "rows": [], "values": ["b"]}]}}, r"rows: the list should have at least 1"),
        (
            {"excel": {"freezePanes": "1A"}},
            r"^format\.excel\.freezePanes: should be true or false, not '1A'; '1A' is no cell of a sheet; .*$",
        ),
        (
            {"excel": {"workbook": {"created": "x"}}},
            "should be a moment, such as 2024-05-01T10:00:00Z, not 'x'",
        ),
        ({"csv": {"booleans": ["yes"]}}, r"format\.csv\.booleans: the list needs an item more than its 1"),
        ({"csv": {"seal": "pgp"}}, r"format\.csv\.seal: 'pgp' needs recipients: write \{pgp: \.\.\.\}"),
        ({"json": {"structure": "nested"}}, r"structure: 'nested' needs by: write \{nested: \{by: \.\.\.\}\}"),
        ({"json": {"indent": 2}}, r"unknown option 'indent' \(pretty_print: true indents by two spaces\)"),
        (
            {"parquet": {"schema": {"fields": [{"name": "id", "type": "inr8"}]}}},
            r"format\.parquet\.schema\.fields\[0\]\.type: unknown type 'inr8' \(did you mean 'int8'\?\)",
        ),
    ],
)
def test_what_is_wrong_with_a_format_is_said_once_where_it_stands(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(ExportConfig, {"source": {"files": "a.csv"}, "format": given})
