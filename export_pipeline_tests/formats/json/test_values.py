"""The options of JSON that change values, in every structure: nulls, arrays, dates and times."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.errors import FormatError
from export_pipeline_tests.formats.json.documents import document, json_form, written
from export_pipeline_tests.formats.json.structures import FRAME, NESTED, STRUCTURES, records_in
from export_pipeline_tests.formats.test_contract import proven


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
def test_nulls(structure: Any, pretty: bool, tmp_path: Path) -> None:
    def last(nulls: str) -> dict[str, Any]:
        found = records_in(document(FRAME, tmp_path, structure=structure, pretty_print=pretty, null_handling=nulls))
        assert [record.get("l") for record in found][0 if structure != NESTED else -1] == [1, None]
        record = next(record for record in found if record.get("l") != [1, None])
        return {name: value for name, value in record.items() if name in ("f", "l")}

    assert last("include") == {"f": None, "l": None}
    assert last("exclude") == {}
    assert last("empty") == {"f": "", "l": ""}


def test_records_of_nothing_but_nulls(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [None, 1, None], "b": ["x", None, None]})
    for layout in ("records", "lines", "array"):
        form = json_form({"layout": layout, "null_handling": "exclude"})
        proven(form, frame, tmp_path)
        assert records_in(document(frame, tmp_path, layout=layout, null_handling="exclude")) == [
            {"b": "x"},
            {"a": 1},
            {},
        ]


def test_empty_texts_are_a_named_loss(tmp_path: Path) -> None:
    losses = written(FRAME, tmp_path, null_handling="empty").losses
    assert {loss.column for loss in losses if loss.why == "null becomes the empty text"} == set(FRAME.columns)


def test_empty_texts_where_reading_back_would_mix_them_up_are_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1], "s": [{"a": ""}]})
    with pytest.raises(FormatError, match="column 's' has a field 'a'"):
        written(frame, tmp_path, null_handling="empty")
    named = pl.DataFrame({'x"a': [""], "a": [None], 'b":""': ["1"], "t": ['{"a":""']}, schema_overrides={"a": pl.Int8})
    assert records_in(document(named, tmp_path, null_handling="empty")) == [
        {'x"a': "", "a": "", 'b":""': "1", "t": '{"a":""'}
    ]


@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
def test_arrays_as_text(structure: Any, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "n": [1],
            "k": ["x"],
            "l": [[dt.date(2026, 3, 1), None]],
            "s": [{"a": [1.5, None], "b": [{"c": 'q"'}], "d": dt.time(1)}],
        }
    ).with_columns(a=pl.Series([[1, 2]], dtype=pl.Array(pl.Int8, 2)), none=pl.lit(None, dtype=pl.List(pl.Int8)))
    options: dict[str, Any] = {"structure": structure, "array_handling": "stringify"}
    (found,) = records_in(document(frame, tmp_path, **options))
    assert {name: found[name] for name in ("l", "s", "a", "none")} == {
        "l": '["2026-03-01",null]',
        "s": {"a": "[1.5,null]", "b": '[{"c":"q\\""}]', "d": "01:00:00"},
        "a": "[1,2]",
        "none": None,
    }
    losses = {loss.column for loss in written(frame, tmp_path, **options).losses if "JSON text" in loss.why}
    assert losses == {"l", "s", "a", "none"}


MOMENTS = pl.DataFrame(
    {
        "n": [1, 2],
        "k": ["x", "y"],
        "d": [dt.date(2026, 3, 1), dt.date(1969, 12, 31)],
        "us": [dt.datetime(2026, 3, 1, 6, 5, 4, 999999), dt.datetime(1969, 12, 31, 23, 59, 59, 999999)],
        "t": [dt.time(1, 2, 3), None],
        "l": [[dt.date(2026, 3, 1)], []],
    }
).with_columns(
    z=pl.col("us").dt.replace_time_zone("Europe/Berlin"),
    ns=pl.Series([1_500_000_001, -1]).cast(pl.Datetime("ns")),
    ms=pl.Series([1_500, None]).cast(pl.Datetime("ms")),
    s=pl.struct(pl.col("us").alias("inner")),
)


@pytest.mark.parametrize(("unit", "per"), [("s", 1), ("ms", 1000)])
@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
def test_unix_times_are_rounded_down(structure: Any, unit: str, per: int, tmp_path: Path) -> None:
    found = records_in(document(MOMENTS, tmp_path, structure=structure, date_format={"unix": unit}))
    first, second = ({name: record[name] for name in MOMENTS.columns if name not in "nk"} for record in found)
    day, moment = 1_772_323_200 * per, (1_772_345_104_999_999 * per) // 1_000_000
    assert first == {
        "d": day, "us": moment, "t": "01:02:03", "l": [day], "z": moment - 3600 * per,
        "ns": (1_500 * per) // 1000, "ms": (1_500 * per) // 1000, "s": {"inner": moment},
    }  # fmt: skip
    assert second == {
        "d": -86_400 * per, "us": -1, "t": None, "l": [], "z": -1 - 3600 * per,
        "ns": -1, "ms": None, "s": {"inner": -1},
    }  # fmt: skip


def test_unix_times_are_numbers_where_integers_are_texts(tmp_path: Path) -> None:
    (found,) = records_in(document(MOMENTS.head(1), tmp_path, date_format="unix", integers="text"))
    assert (found["d"], found["n"]) == (1_772_323_200, "1")


def test_unix_times_are_a_named_loss(tmp_path: Path) -> None:
    losses = written(MOMENTS, tmp_path, date_format={"unix": "ms"}).losses
    said = "a time becomes a number of milliseconds since 1970"
    assert {loss.column for loss in losses if loss.why == said} == {"d", "us", "z", "ns", "ms", "l", "s"}


@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
def test_dates_by_a_pattern(structure: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"structure": structure, "date_format": {"custom": "Do MMM YYYY [at] H:mm Z"}}
    first, second = records_in(document(MOMENTS, tmp_path, **options))
    assert {name: first[name] for name in ("d", "us", "z", "t", "l", "s")} == {
        "d": "1st Mar 2026 at 0:00 +00:00", "us": "1st Mar 2026 at 6:05 +00:00", "z": "1st Mar 2026 at 6:05 +01:00",
        "t": "01:02:03", "l": ["1st Mar 2026 at 0:00 +00:00"], "s": {"inner": "1st Mar 2026 at 6:05 +00:00"},
    }  # fmt: skip
    assert (second["ms"], second["l"]) == (None, [])
    losses = {loss.column for loss in written(MOMENTS, tmp_path, **options).losses if "Do MMM YYYY" in loss.why}
    assert losses == {"d", "us", "z", "ns", "ms", "l", "s"}


def test_rows_are_grouped_by_the_text_of_a_date(tmp_path: Path) -> None:
    frame = pl.DataFrame({"d": [dt.date(2026, 3, 1), dt.date(2026, 2, 1), dt.date(2026, 3, 9)], "n": [1, 2, 3]})
    shape = {"nested": {"by": [{"key": "d", "name": "months"}]}}
    assert document(frame, tmp_path, structure=shape, date_format={"custom": "YYYY-MM"}) == {
        "months": {"2026-02": {"records": [{"n": 2}]}, "2026-03": {"records": [{"n": 1}, {"n": 3}]}}
    }


@pytest.mark.parametrize(("pattern", "said"), [("%Y", "strftime"), ("[x]", "no date token"), ("zz", "'zz'")])
def test_patterns_that_are_none_are_refused(pattern: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        json_form({"date_format": {"custom": pattern}})
    with pytest.raises(ValidationError, match="pattern"):
        json_form({"dateFormat": "custom"})


def test_texts_in_arrays_that_are_text_mix_up_with_nothing(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, None], "l": [[{"a": ""}], [{"a": None}]]})
    with pytest.raises(FormatError, match="column 'l' has a field 'a'"):
        written(frame, tmp_path, null_handling="empty")
    found = records_in(document(frame, tmp_path, null_handling="empty", array_handling="stringify"))
    assert found == [{"a": 1, "l": '[{"a":""}]'}, {"a": "", "l": '[{"a":null}]'}]


@pytest.mark.parametrize("options", [{}, {"pretty_print": True}, {"null_handling": "exclude"}, {"layout": "lines"}])
def test_duckdb_reads_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    layout = {"layout": "array"} | options
    path = written(MOMENTS.select("n", "k", "d", "us"), tmp_path, **layout).path
    types = "{n: 'BIGINT', k: 'VARCHAR', d: 'DATE', us: 'TIMESTAMP'}"
    with duckdb.connect() as database:
        found = database.execute(f"select * from read_json('{path}', columns = {types})").fetchall()
    assert found == MOMENTS.select("n", "k", "d", "us").rows()
