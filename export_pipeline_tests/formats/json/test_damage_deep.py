"""Damage far behind the first records, in files of many pieces: what lenient parsers pass over is found."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipeline.formats.json import duck
from export_pipeline.formats.json import lines as reading
from export_pipeline.formats.json.records import Style, records
from export_pipeline.formats.json.sizes import Sizes
from export_pipeline.formats.json.spelling import INDENT, Spelling
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.json.documents import assert_damage_is_found, json_form, written

ROWS = pl.DataFrame({"n": range(1_000)}).select(
    "n",
    k=pl.format("k{}", pl.col("n") // 50),
    m=pl.col("n") + 10_000,
    t=pl.format('a "{}"\\n', "n"),
    e=pl.lit(None, dtype=pl.String),
    d=pl.lit(dt.date(1969, 2, 3)),
    f=pl.col("n") / 2,
)
LISTS = ROWS.with_columns(l=pl.concat_list("n", "m"))
"""Arrow reads them all."""
NESTED = {"nested": {"by": [{"key": "k", "name": "ks"}]}}
NORMALIZED = {"normalized": {"entities": {"ns": {"key": "n"}}}}
DAMAGE = [
    ("}", ",}"),
    ("}", " }"),
    ('"d":', '"x":1,"d":'),
    ('"m":10900', '"m":"10900"'),
    ('"m":10900', '"m":10900.4'),
    ('"e":null', '"ee":null'),
    ('"e":null', '"e":null,"e":null'),
    ('"e":null', '"e": null'),
    (',"e":null', ""),
    ('"1969-02-03"', '"1969-02-3"'),
    ("450.0", "450.00"),
]


def pretty(text: str, depth: int) -> str:
    return text.replace('":', '": ').replace(',"', ",\n" + INDENT * (depth + 1) + '"')


@pytest.mark.parametrize("frame", [ROWS, LISTS], ids=["plain", "lists"])
@pytest.mark.parametrize(
    ("options", "depth"),
    [
        ({"layout": "lines"}, 0),
        ({"layout": "lines", "compression": "gzip"}, 0),
        ({}, 2),
        ({"structure": NESTED}, 4),
        ({"structure": NORMALIZED}, 2),
        ({"layout": "array", "pretty_print": True}, 1),
        ({"structure": NESTED, "pretty_print": True}, 4),
        ({"structure": NORMALIZED, "pretty_print": True}, 2),
    ],
    ids=["file", "lines", "flat", "nested", "normalized", "pretty array", "pretty nested", "pretty normalized"],
)
def test_damage_deep_inside_is_found(
    frame: pl.DataFrame, options: dict[str, Any], depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaced = "pretty_print" in options
    monkeypatch.setattr(duck, "PIECE", 1 << 13)
    monkeypatch.setattr(reading, "_LOOK", 1 << 12)
    artifact, form = written(frame, tmp_path, **options), json_form(options)
    with form.compression.decompressing(artifact.path) as file:
        text = file.read().decode()
    begin = text.index(pretty('"m":10900', depth) if spaced else '"m":10900')
    record = text[begin : text.index("}", begin) + 1]
    for good, bad in DAMAGE:
        if spaced:
            good, bad = pretty(good, depth), pretty(bad, depth)
        assert good in record, good
        assert_damage_is_found(artifact, form, record, record.replace(good, bad, 1), "cannot be read")
        with artifact.path.open("wb") as back, form.compression.compressing(back) as stage:
            stage.write(text.encode())


@pytest.mark.parametrize("layout", ["lines", "records"])
def test_an_empty_line_deep_inside_is_found(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_LOOK", 1 << 12)
    artifact = written(ROWS, tmp_path, layout=layout)
    assert_damage_is_found(artifact, json_form({"layout": layout}), '\n{"n":900,', '\n\n{"n":900,', "cannot be read")


@pytest.mark.parametrize("depth", [0, 3])
@pytest.mark.parametrize("nulls", ["include", "exclude"])
@pytest.mark.parametrize("shown", [False, True])
def test_sizes_are_those_of_what_is_written(shown: bool, nulls: Any, depth: int) -> None:
    style = Style(Spelling(shown), nulls)
    frame = json_form({}).render(nasty.table().lazy()).collect()
    frame = frame.select(name for name, dtype in frame.schema.items() if not isinstance(dtype, pl.Datetime))
    sizes = Sizes(style, depth)
    for part in (frame, frame.head(0), frame.clear(3), *frame.iter_slices(1)):
        texts = records(part, style, depth)
        assert sizes.of(part) == texts.str.len_bytes().sum() + part.height


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=9),
    floats=st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=9),
    texts=st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=9),
)
def test_sizes_of_any_values(values: list[int | None], floats: list[float | None], texts: list[str | None]) -> None:
    style = Style(Spelling())
    for column in (
        pl.Series("v", values, dtype=pl.Int64),
        pl.Series("v", floats, dtype=pl.Float64),
        pl.Series("v", texts, dtype=pl.String),
    ):
        frame = column.to_frame()
        assert Sizes(style).of(frame) == records(frame, style, 0).str.len_bytes().sum() + frame.height
