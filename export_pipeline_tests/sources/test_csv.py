"""CSV files as people and programs write them."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from export_pipeline.errors import SourceError
from export_pipeline.parsing import parse
from export_pipeline.snapshots import stage
from export_pipeline.sources import FilesSource
from export_pipeline_tests.sources.test_contract import read


def rows_of(path: Path, data: bytes | str, **options: Any) -> pl.DataFrame:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with FilesSource(files=[str(path)], **options).open() as opened:
        return read(opened)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_delimiters_are_found(path: Path, sign: str) -> None:
    text = f'a{sign}"b{sign}c"{sign}d\n1{sign}"x, ; | y"{sign}2026-01-01\n2{sign}{sign}\n'
    assert rows_of(path, text).to_dict(as_series=False)[f"b{sign}c"] == ["x, ; | y", None]


def test_a_decimal_comma_is_no_delimiter(path: Path) -> None:
    assert rows_of(path, "a;b\n1,5;2,5\n").rows() == [("1,5", "2,5")]


def test_one_column_keeps_blank_lines(path: Path) -> None:
    assert rows_of(path, "a\n1\n\n2\n")["a"].to_list() == [1, None, 2]
    assert rows_of(path, "a,b\n1,2\n\n3,4\n")["a"].to_list() == [1, 3]


def test_nothing_is_missing_and_quotes_are_an_empty_text(path: Path) -> None:
    found = rows_of(path, 'a,b\n"",""\n,\nx,1\n')
    assert found["a"].to_list() == ["", None, "x"]
    assert found["b"].to_list() == [None, None, 1]


def test_quotes_line_ends_and_zeros(path: Path) -> None:
    found = rows_of(path, b'zip,text\r\n00123,"two\r\nlines, ""quoted"""\r\n00004,\xf0\x9f\x98\x80\r\n')
    assert found.rows() == [("00123", 'two\r\nlines, "quoted"'), ("00004", "😀")]


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (b"\xef\xbb\xbfn\xc3\xa4me,b\nx,1\n", {}),
        ("näme,b\nx,1\n".encode("utf-16"), {}),
        ("näme,b\nx,1\n".encode("latin-1"), {"format": {"csv": {"encoding": "latin-1"}}}),
        ("näme,b\nx,1\n".encode("utf-16-le"), {"format": {"csv": {"encoding": "UTF-16LE"}}}),
        (gzip.compress("näme,b\nx,1\n".encode()), {}),
        (gzip.compress("näme,b\n".encode()) + gzip.compress(b"x,1\n"), {}),
        (zstd.compress("näme,b\nx,1\n".encode()), {}),
    ],
    ids=["bom", "utf-16", "latin-1", "utf-16-le", "gz", "gz of two", "zst"],
)
def test_encodings_and_compression(path: Path, data: bytes, options: dict[str, Any]) -> None:
    assert rows_of(path, data, **options).rows(named=True) == [{"näme": "x", "b": 1}]


def test_another_encoding_is_refused_with_its_cure(path: Path) -> None:
    with pytest.raises(SourceError, match=r"rows\.csv is not text in the encoding(?s:.*)windows-1252"):
        rows_of(path, "name\nMüller\n".encode("latin-1"))
    with pytest.raises(SourceError, match="encoding"):
        rows_of(path, b"name\n" + b"x\n" * 500_000 + b"M\xfcller\n")


@pytest.mark.parametrize("cut", [3, 30])
@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gz", "zst"])
def test_a_truncated_file_is_refused(path: Path, pack: Any, cut: int) -> None:
    with pytest.raises(SourceError, match=r"rows\.csv cannot be read: .*[Tt]runcated"):
        rows_of(path, pack(b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(50_000)))[:-cut])


def test_rows_of_another_length_are_named(path: Path) -> None:
    with pytest.raises(SourceError, match=r"rows\.csv: Row #4: Expected 2 columns, got 3: 1,2,3"):
        rows_of(path, "a,b\n1,2\n3,4\n1,2,3\n")


@pytest.mark.parametrize("text", ['a,b\n1,"open\n2,3\n', 'a,b\n1,"open', 'a,b\n1,2\n"open,5\n' + "6,7\n" * 300_000])
def test_a_quote_that_is_never_closed_is_refused(path: Path, text: str) -> None:
    with pytest.raises(SourceError, match=r"a quoted value is not closed|Expected 2 columns, got 1"):
        rows_of(path, text)


def test_a_lone_quote_inside_a_value_is_a_sign(path: Path) -> None:
    assert rows_of(path, 'a,b\n1,5" pipe\n2,x\n')["b"].to_list() == ['5" pipe', "x"]


def test_headers(path: Path) -> None:
    assert rows_of(path, "a,,a, b \n1,2,3,4\n").columns == ["a", "column_2", "a_2", "b"]
    assert rows_of(path, "\n\na,b\n1,2\n").rows() == [(1, 2)]
    assert rows_of(path, '"two\nlines",b\n1,2\n').columns == ["two\nlines", "b"]
    assert rows_of(path, "1,2\n3,4\n", format={"csv": {"header": False}}).rows(named=True) == [
        {"column_1": 1, "column_2": 2},
        {"column_1": 3, "column_2": 4},
    ]


@pytest.mark.parametrize("text", ["a,b", "a,b\n", "\ufeffa,b\r\n"])
def test_a_header_alone(path: Path, text: str) -> None:
    found = rows_of(path, text)
    assert found.is_empty()
    assert found.schema == pl.Schema({"a": pl.String(), "b": pl.String()})
    assert rows_of(path, text, schema={"a": "integer"}).schema["a"] == pl.Int64()


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_an_empty_file(path: Path, text: str) -> None:
    with pytest.raises(SourceError, match=r"rows\.csv: it is empty"):
        rows_of(path, text)
    assert rows_of(path, text, schema={"a": "integer"}).schema == pl.Schema({"a": pl.Int64()})


def test_words_for_missing_values(path: Path) -> None:
    found = rows_of(path, "a,b\nNA,NA\n1,x\n", format={"csv": {"null_values": ["NA"]}})
    assert found.rows() == [(None, None), (1, "x")]
    assert rows_of(path, "a\nNA\n1\n")["a"].to_list() == ["NA", "1"]


def test_the_type_is_that_of_all_rows(path: Path) -> None:
    text = "a,b,c\n" + "1,1,2026-01-01\n" * 300_000 + "x,1.5,2026-01-01\n"
    found = rows_of(path, text)
    assert found.schema == pl.Schema({"a": pl.String(), "b": pl.Float64(), "c": pl.Date()})
    assert found.row(-1)[:2] == ("x", 1.5)
    assert found["a"][0] == "1"


def test_a_row_larger_than_a_block(path: Path) -> None:
    long = "x" * 5_000_000
    found = rows_of(path, "a,b\n" + "1,y\n" * 600_000 + f'2,"{long}"\n3,z\n')
    assert found.height == 600_002
    assert found["b"][-2] == long
    assert found["a"].sum() == 600_005


def test_several_files_are_united_by_name(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("id,name\n1,x\n")
    (tmp_path / "2.csv").write_text("extra;name;id\n2026-01-01;y;2.5\n")
    (tmp_path / "3.csv").write_text("")
    (tmp_path / "4.csv.gz").write_bytes(gzip.compress(b"id,name\n3,00z\n"))
    with FilesSource(files="*.csv*").open(folder=tmp_path) as opened:
        assert opened.schema == pl.Schema({"id": pl.Float64(), "name": pl.String(), "extra": pl.Date()})
        assert [row[:2] for row in read(opened).rows()] == [(1.0, "x"), (2.5, "y"), (3.0, "00z")]
        assert read(opened, ["extra"])["extra"].null_count() == 2
        assert opened.count() == 3


def test_a_file_that_changes_is_refused(path: Path, tmp_path: Path) -> None:
    path.write_text("a\n1\n")
    with FilesSource(files=[str(path)]).open() as opened:
        path.write_text("a\n1\n2\n")
        with pytest.raises(SourceError, match=r"rows\.csv was changed after it was read first"):
            stage(opened, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["rows.csv"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimitre": ";"}, "unknown option 'delimitre' .did you mean 'delimiter'"),
        ({"encoding": "utf-9"}, "unknown encoding 'utf-9'"),
        ({"delimiter": ";;"}, "at most 1 character"),
        ({"quote": "\n"}, "line end"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(FilesSource, {"files": "a.csv", "format": {"csv": options}})


cells = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.lists(st.tuples(cells, cells, st.integers(-(2**70), 2**70)), min_size=1, max_size=5))
def test_what_polars_writes_is_read_as_it_was(tmp_path: Path, rows: list[tuple[str | None, str | None, int]]) -> None:
    texts = pl.DataFrame(
        {"a": [f"_{a}" if a else a for a, _, _ in rows], "b": [b and f"'{b}" for _, b, _ in rows]},
        schema={"a": pl.String, "b": pl.String},
    ).with_columns(n=pl.Series([str(n) for *_, n in rows]))
    found = rows_of(tmp_path / "rows.csv", texts.write_csv())
    assert found["a"].cast(pl.String).to_list() == texts["a"].to_list()
    assert found["b"].cast(pl.String).to_list() == texts["b"].to_list()
    assert [int(n) for n in found["n"]] == [n for *_, n in rows]
