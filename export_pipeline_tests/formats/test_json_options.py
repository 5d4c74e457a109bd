"""The options of JSON that change values or the text around them, in every structure."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.errors import Cancelled, FormatError, VerificationError
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.documents import document, json_form, spilling, strict, text_of, written
from export_pipeline_tests.formats.test_contract import proven

NESTED = {"nested": {"by": [{"key": "k", "name": "ks"}]}}
NORMALIZED = {"normalized": {"entities": {"ns": {"key": "n"}}}}
STRUCTURES: list[Any] = ["flat", NESTED, NORMALIZED]
FRAME = pl.DataFrame({"n": [1, 2], "k": ["x", None], "f": [1.5, None], "l": [[1, None], None]})


def records_in(found: Any) -> list[dict[str, Any]]:
    """Return the records of any of the structures above."""
    if isinstance(found, list):
        return found
    if "records" in found:
        return list(found["records"])
    if "ks" in found:
        return [record for group in found["ks"].values() for record in group["records"]]
    return list(found["ns"].values())


# Pretty print.


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


# Metadata.


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


# Nulls.


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


# Arrays.


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


# Dates.

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


# Readers of others.


@pytest.mark.parametrize("options", [{}, {"pretty_print": True}, {"null_handling": "exclude"}, {"layout": "lines"}])
def test_duckdb_reads_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    layout = {"layout": "array"} | options
    path = written(MOMENTS.select("n", "k", "d", "us"), tmp_path, **layout).path
    types = "{n: 'BIGINT', k: 'VARCHAR', d: 'DATE', us: 'TIMESTAMP'}"
    with duckdb.connect() as database:
        found = database.execute(f"select * from read_json('{path}', columns = {types})").fetchall()
    assert found == MOMENTS.select("n", "k", "d", "us").rows()


# Ends.


@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
@pytest.mark.parametrize("after", [1, 60_000])
def test_a_stop_leaves_nothing(structure: Any, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spilling(monkeypatch, 100_000)
    stop = threading.Event()

    def progress(rows: int) -> None:
        if rows >= after:
            stop.set()

    frame = pl.DataFrame({"n": range(60_000)}).with_columns(k=pl.format("k{}", pl.col("n") % 7))
    frame.write_parquet(tmp_path / "source.parquet", row_group_size=1_000)
    form = json_form({"structure": structure})
    with pytest.raises(Cancelled):
        form.write(pl.scan_parquet(tmp_path / "source.parquet"), tmp_path / "x.json", progress=progress, stop=stop)
    assert [entry.name for entry in tmp_path.iterdir()] == ["source.parquet"]


@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
def test_a_value_that_is_refused_is_named_by_its_row_in_the_source(structure: Any, tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": [3, 2, 1], "k": ["c", "b", "a"], "x": [1.0, 2.0, float("inf")]})
    with pytest.raises(FormatError, match="column 'x', row 3"):
        written(frame, tmp_path, structure=structure, non_finite="error")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
@pytest.mark.parametrize("compression", ["none", {"gzip": 1}, {"brotli": 2}, {"zstd": 3}])
def test_the_same_rows_give_the_same_bytes(structure: Any, compression: Any, tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(40_000)}).with_columns(k=pl.format("k{}", pl.col("n") % 7), f=pl.col("n") / 7)
    options = {"structure": structure, "compression": compression, "include_metadata": True}
    assert written(frame, tmp_path, **options).sha256 == written(frame, tmp_path, **options).sha256


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


_PEAK = """
import json, sys
from pathlib import Path
import polars as pl
from export_pipeline.formats import Json
from export_pipeline.verification import verify
form = Json.model_validate({"structure": json.loads(sys.argv[1])})
artifact = form.write(pl.scan_parquet(sys.argv[2]), Path(sys.argv[3]))
verify(artifact, form)
print(int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("structure", [NESTED, NORMALIZED], ids=["nested", "normalized"])
def test_memory_is_bounded_whatever_is_sorted(structure: Any, tmp_path: Path) -> None:
    rows = pl.DataFrame({"n": range(2_000_000)}).lazy()
    rows = rows.with_columns(
        k=pl.format("agent-{}", pl.col("n").hash() % 200),
        n=pl.col("n").reverse(),
        f=pl.col("n").hash().cast(pl.Float64) / 7.0,
        text=pl.format("completed step {} of many", pl.col("n") * 31 % 99_991),
        host=pl.format("host-{}.example.org", pl.col("n") % 50),
        more=pl.format("one more text, number {}", "n"),
    )
    rows.sink_parquet(tmp_path / "source.parquet", row_group_size=30_000, compression="lz4")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _PEAK,
            json.dumps(structure),
            str(tmp_path / "source.parquet"),
            str(tmp_path / "x.json"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) <= 500  # the rows alone are 300 MB, and sorting in memory needs them twice
