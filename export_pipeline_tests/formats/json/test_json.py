"""JSON: strict for every reader, and every option."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import TypeAdapter, ValidationError

from export_pipeline.errors import FormatError, VerificationError
from export_pipeline.formats import AnyFormat, Json
from export_pipeline.formats.json import duck
from export_pipeline.formats.json.lines import by_arrow, lines
from export_pipeline.formats.json.records import Style
from export_pipeline.formats.json.sizes import Sizes
from export_pipeline.formats.json.spelling import Spelling
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.test_contract import bits, proven

LAYOUTS = ["records", "array", "lines"]


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")


def records(frame: pl.DataFrame, folder: Path, **options: Any) -> list[dict[str, Any]]:
    """Return the records of the verified file, read by Python's parser, which is told to refuse NaN."""
    form = TypeAdapter(Json).validate_python(options)
    path = proven(form, frame, folder).path
    with form.compression.decompressing(path) as file:
        text = file.read().decode()
    if form.layout == "lines":
        return [json.loads(line, parse_constant=refuse) for line in text.split("\n") if line]
    document = json.loads(text, parse_constant=refuse)
    return document["records"] if form.layout == "records" else document  # type: ignore[no-any-return]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["x", ""]})
    path = proven(Json(layout=layout), frame, tmp_path).path
    assert (
        path.read_text()
        == {
            "records": '{"records":[\n{"a":1,"b":"x"},\n{"a":null,"b":""}\n]}\n',
            "array": '[\n{"a":1,"b":"x"},\n{"a":null,"b":""}\n]\n',
            "lines": '{"a":1,"b":"x"}\n{"a":null,"b":""}\n',
        }[layout]
    )
    assert path.suffix == (".ndjson" if layout == "lines" else ".json")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_rows(layout: str, tmp_path: Path) -> None:
    assert records(pl.DataFrame({"a": pl.Series([], dtype=pl.Int64)}), tmp_path, layout=layout) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_nasty_value_in_every_layout(layout: str, tmp_path: Path) -> None:
    frame = nasty.table()
    found = records(frame, tmp_path, layout=layout) if layout != "lines" else None
    if found is not None:
        assert [record["text"] for record in found] == frame["text"].to_list()
        assert [record["int64"] for record in found] == frame["int64"].to_list()
    else:
        proven(Json(layout="lines"), frame, tmp_path)


def test_values_as_python_reads_them(tmp_path: Path) -> None:
    frame = nasty.table()
    first = records(frame, tmp_path)[0]
    assert first["uint64"] == 2**64 - 1
    assert first["non_finite"] is None
    assert first["decimal"] == "-0.1000000000"
    assert first["date"] == "0001-01-01"
    assert first["us"] == "0001-01-01T00:00:00.000000"
    assert first["utc"] == first["zoned"] == "0001-01-01T00:00:00.000000+00:00"
    assert first["binary"] == ""
    assert first["list"] == [1, None, 2**53 + 1]
    assert first["struct"]["c"][0]["z"] == "0001-01-01T00:00:00.000000+00:00"
    assert first["struct_leaves"] == {"f": None, "n": "1.10", "b": "/w==", "t": None, "u": "P1D", "e": ""}
    numbers = [record["float64"] for record in records(frame, tmp_path)]
    assert [str(n) for n in numbers] == [str(n) for n in frame["float64"].to_list()]  # -0.0 too


OPTIONS: dict[str, list[Any]] = {
    "layout": LAYOUTS,
    "integers": ["number", "text"],
    "decimals": ["text", "number"],
    "non_finite": ["null", "string", "error"],
    "compression": ["none", "gzip", "zstd", "brotli"],
}


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(OPTIONS, 2)))
def test_every_pair_of_options(one: str, other: str, tmp_path: Path) -> None:
    for first, second in itertools.product(OPTIONS[one], OPTIONS[other]):
        options = {one: first, other: second}
        without: tuple[str, ...] = ("text",)
        if options.get("decimals") == "number":
            without += ("decimal", "decimal0", "int128")
        if options.get("non_finite") == "error":
            without += ("non_finite", "struct_leaves")
        assert records(nasty.table(without=without), tmp_path, **options)


def test_integers_as_text(tmp_path: Path) -> None:
    frame = pl.DataFrame({"i": [2**53 + 1, None], "small": pl.Series([1, 2], dtype=pl.Int32)})
    assert records(frame, tmp_path, integers="text")[0] == {"i": "9007199254740993", "small": 1}


def test_integers_inside_of_lists_and_structs_are_text_too(tmp_path: Path) -> None:
    long = 2**53 + 1
    frame = pl.DataFrame({"l": [[long, None]], "s": [{"a": long, "b": [{"c": 1}]}]})
    assert records(frame, tmp_path, integers="text") == [
        {"l": [str(long), None], "s": {"a": str(long), "b": [{"c": "1"}]}}
    ]
    found = records(frame, tmp_path, integers="text", array_handling="stringify")[0]
    assert json.loads(found["l"]) == [str(long), None]
    assert [loss.why for loss in Json(integers="text").losses(frame.schema)] == [
        "64-bit integers inside become text"
    ] * 2


def test_decimals_as_numbers_are_exact_or_refused(tmp_path: Path) -> None:
    values = [Decimal("0.0000001"), Decimal("99999999.9999999"), Decimal("-1.1"), None]
    frame = pl.DataFrame({"d": pl.Series(values, dtype=pl.Decimal(15, 7))})
    text = proven(Json(decimals="number"), frame, tmp_path).path.read_text()
    found = json.loads(text, parse_float=Decimal)["records"]
    assert [record["d"] for record in found] == values
    with pytest.raises(FormatError, match="column 'd' has up to 16 digits"):
        Json(decimals="number").check(pl.Schema({"d": pl.Decimal(16, 7)}))


def test_non_finite_numbers_can_be_an_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="column 'x', row 2"):
        Json(non_finite="error").write(pl.LazyFrame({"x": [1.0, float("nan")]}), tmp_path / "x.json")


@pytest.mark.parametrize(
    "values",
    [
        [[1.0], None, [None, float("nan")]],
        [{"a": None, "b": 1}, None, {"a": float("inf"), "b": 1}],
        [[{"a": [1.0]}], [None], [{"a": None}, {"a": [float("nan")]}]],
    ],
)
def test_non_finite_numbers_inside_of_lists_and_structs_are_an_error_too(values: list[Any], tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": values})
    with pytest.raises(FormatError, match="column 'x', row 3"):
        Json(non_finite="error").write(frame.lazy(), tmp_path / "x.json")
    proven(Json(non_finite="error"), frame.head(2), tmp_path)
    assert not [loss for loss in Json(non_finite="error").losses(frame.schema) if "NaN" in loss.why]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_non_finite_numbers_can_be_texts(layout: str, tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    names = ["a", 'q"\n', "é"]
    frame = pl.DataFrame({"t": ["NaN", '"a":"NaN"', "", None]} | {name: [nan, inf, -inf, None] for name in names})
    frame = frame.with_columns(n=1, f=pl.Series([0.1, -0.0, 1e22, nan], dtype=pl.Float32))
    found = records(frame, tmp_path, layout=layout, non_finite="string")
    for name in names:
        assert [record[name] for record in found] == ["NaN", "Infinity", "-Infinity", None]
    assert [record["t"] for record in found] == frame["t"].to_list()
    assert [str(record["f"]) for record in found] == ["0.1", "-0.0", "1e+22", "NaN"]
    records(nasty.table(), tmp_path, layout=layout, non_finite="string")


def test_texts_that_reading_back_would_mix_up_are_refused() -> None:
    schema = pl.Schema({"f": pl.Float64(), "s": pl.List(pl.Struct({"f": pl.String}))})
    Json().check(schema)
    with pytest.raises(FormatError, match="column 's' has a field 'f'"):
        Json(non_finite="string").check(schema)


def test_non_finite_numbers_that_become_null_are_a_named_loss() -> None:
    (loss,) = Json().losses(pl.Schema({"x": pl.Float64(), "n": pl.Int8()}))
    assert (loss.column, loss.why) == ("x", "NaN and infinities become null")


def test_unknown_policies_are_refused() -> None:
    with pytest.raises(ValidationError, match="'null', 'string' or 'error'"):
        TypeAdapter(AnyFormat).validate_python({"json": {"non_finite": "NaN"}})


# The readers.

PLAIN = [
    name
    for name in nasty.COLUMNS
    if duck.is_plain(Json().render(pl.DataFrame([nasty.column(name)]).lazy()).collect_schema())
]


def test_the_fast_reader_knows_the_common_types() -> None:
    assert {"text", "int64", "uint64", "float64", "bool", "date", "us"} <= set(PLAIN)


@pytest.mark.parametrize("name", PLAIN)
def test_both_readers_read_the_same(name: str, tmp_path: Path) -> None:
    form = Json(layout="lines")
    rows = form.render(pl.DataFrame([nasty.column(name), pl.Series("n", range(len(nasty.column(name))))]).lazy())
    path = form.write(rows, tmp_path / "x.ndjson").path
    schema, sizes = rows.collect_schema(), Sizes(Style(Spelling()))
    fast = pl.concat(duck.of_file(path, schema))
    strict = pl.concat(by_arrow(lambda: path.open("rb"), schema, sizes))
    both = pl.concat(lines(lambda: path.open("rb"), schema, sizes))
    assert_frame_equal(bits(fast), bits(strict))
    assert_frame_equal(bits(both), bits(strict))
    assert_frame_equal(bits(fast), bits(rows.collect()))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_longer_than_a_block(layout: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(5), "text": ["x", "y" * 3_000_000, "z\n" * 9_000_000, None, "e"]})
    proven(Json(layout=layout), frame, tmp_path)


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ('{"records"', '{"recordz"', "must be"),
        ("]}\n", "]]\n", "does not end"),
        ("},\n", "} \n", "no comma"),
        ('"a":1', '"b":1', "unexpected field"),
        ('"a":1', '"a":x', "Invalid value"),
        ('"a":1', '"a":1.5', "Failed to convert"),
    ],
)
def test_a_document_that_is_not_strict_is_found(good: str, bad: str, said: str, tmp_path: Path) -> None:
    artifact = Json().write(pl.LazyFrame({"a": [1, 2]}), tmp_path / "x.json")
    text = artifact.path.read_text()
    assert good in text
    artifact.path.write_text(text.replace(good, bad, 1))
    with pytest.raises(VerificationError, match=said):
        verify(artifact, Json())


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.none() | st.text(max_size=5), st.none() | st.floats()), max_size=8),
    layout=st.sampled_from(LAYOUTS),
)
def test_any_texts_and_numbers_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str | None, float | None]], layout: Any
) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.Float64}, orient="row")
    proven(Json(layout=layout), frame, tmp_path_factory.mktemp("json"))
