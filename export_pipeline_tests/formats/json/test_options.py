"""The options of JSON that change the text around the values, in every structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.errors import VerificationError
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.json.documents import document, json_form, strict, text_of, written
from export_pipeline_tests.formats.json.structures import FRAME, STRUCTURES
from export_pipeline_tests.formats.test_contract import proven


def test_pretty_records(tmp_path: Path) -> None:
    assert (
        written(FRAME, tmp_path, pretty_print=True).path.read_text()
        == """{
  "records": [
    {
      "n": 1,
      "k": "x",
      "f": 1.5,
      "l": [1,null]
    },
    {
      "n": 2,
      "k": null,
      "f": null,
      "l": null
    }
  ]
}
"""
    )
    assert written(FRAME[["n"]], tmp_path, pretty_print=True, layout="array").path.read_text() == (
        '[\n  {\n    "n": 1\n  },\n  {\n    "n": 2\n  }\n]\n'
    )


@pytest.mark.parametrize("layout", ["records", "array"])
def test_every_nasty_value_pretty(layout: Any, tmp_path: Path) -> None:
    form = json_form({"pretty_print": True, "layout": layout})
    compact = document(nasty.table(), tmp_path, layout=layout)
    assert strict(text_of(form, proven(form, nasty.table(), tmp_path).path)) == compact


@pytest.mark.parametrize("names", [nasty.NAMES])
def test_names_of_columns_pretty(names: list[str], tmp_path: Path) -> None:
    frame = pl.DataFrame({name: [n, None] for n, name in enumerate(names)})
    for nulls in ("include", "exclude", "empty"):
        proven(json_form({"pretty_print": True, "null_handling": nulls}), frame, tmp_path)


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
def test_metadata_stand_first_and_the_count_last(structure: Any, pretty: bool, tmp_path: Path) -> None:
    found = document(FRAME, tmp_path, structure=structure, pretty_print=pretty, include_metadata=True)
    assert next(iter(found)) == "metadata" and list(found)[-1] == "row_count"
    assert found["row_count"] == 2
    assert found["metadata"] == {
        "name": "failed",
        "logical_time": "2026-03-01T06:00:00+00:00",
        "timezone": "Europe/Berlin",
        "filter": 'status is "failed"',
        "version": "v1",
        "schema": {"n": "integer", "k": "text", "f": "float", "l": "list(integer)"},
    }


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ('"row_count":2', '"row_count":3', "says that it has 3 rows"),
        ('"metadata":{', '"metadata":[', "read after row 0"),
        ('"metadata"', '"meta"', "does not begin with its metadata"),
        ("},\n", "}\n", "no metadata before|no comma"),
    ],
)
def test_metadata_that_are_wrong_are_found(good: str, bad: str, said: str, tmp_path: Path) -> None:
    artifact = written(FRAME, tmp_path, include_metadata=True)
    text = artifact.path.read_text()
    assert good in text
    artifact.path.write_text(text.replace(good, bad, 1))
    with pytest.raises(VerificationError, match=said):
        verify(artifact, json_form({"include_metadata": True}))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layout": "lines", "pretty_print": True}, "one line"),
        ({"layout": "lines", "include_metadata": True}, "no place"),
        ({"layout": "array", "include_metadata": True}, "no place"),
        ({"null_handling": "omit"}, "'include', 'exclude' or 'empty'"),
        ({"date_format": "unixx"}, "unix"),
        ({"date_format": {"unix": "us"}}, "'s' or 'ms'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        json_form(options)


def test_the_spellings_of_the_contract() -> None:
    form = json_form(
        {
            "prettyPrint": True, "includeMetadata": True, "nullHandling": "exclude", "arrayHandling": "stringify",
            "dateFormat": "unix", "compression": "brotli", "structure": "flat",
        }
    )  # fmt: skip
    assert form.pretty_print and form.include_metadata
    assert form.date_format.tag == "unix"
    assert json_form(form.dump()) == form
