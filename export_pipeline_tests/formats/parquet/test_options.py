"""Parquet: declared schemas, notes, page sizes, bloom filters, sorting columns, encryption, and pairs of options."""

from __future__ import annotations

import base64
import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from export_pipeline.errors import ConfigError, FormatError, VerificationError
from export_pipeline.formats.parquet.readers import open_arrow
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.pairwise import pairwise
from export_pipeline_tests.formats.parquet.test_parquet import CODECS, parquet
from export_pipeline_tests.formats.test_contract import proven

KEY = bytes(range(32))


def declared(*fields: dict[str, Any], **more: Any) -> Any:
    return parquet(schema={"fields": list(fields)}, **more)


def test_page_size_bounds_pages(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(100_000)}).select(pl.col("n").hash())
    small, large = (
        pq.ParquetFile(proven(parquet(page_size=size, row_group_size="auto", compression="none"), frame, tmp_path).path)
        .metadata.row_group(0)
        .column(0)
        .total_uncompressed_size
        for size in (1024, 1 << 20)
    )
    assert small > large  # each page has a header


def test_page_index_is_there(tmp_path: Path) -> None:
    for options in ({}, {"bloom_filters": ["n"]}):
        path = proven(parquet(**options), pl.DataFrame({"n": [1, 2]}), tmp_path).path
        column = pq.ParquetFile(path).metadata.row_group(0).column(0)
        assert column.has_column_index and column.has_offset_index


def test_a_declared_schema_is_what_others_read(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"n": [1, 2], "cost": [1.5, 2.25], "at": [dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2)], "t": ["x", None]}
    )
    form = declared(
        {"name": "n", "type": "int16", "nullable": False, "rename": "id", "metadata": {"unit": "piece"}},
        {"name": "cost", "type": "decimal(10,2)"},
        {"name": "at", "type": "timestamp[ms]"},
        metadata={"owner": "ops", "about": "ä"},
    )
    artifact = proven(form, frame, tmp_path)
    schema = pq.read_schema(artifact.path)
    assert schema.names == ["id", "cost", "at", "t"]
    assert schema.field("id") == pa.field("id", pa.int16(), nullable=False)
    assert (schema.field("id").metadata or {})[b"unit"] == b"piece"
    assert schema.field("cost").type == pa.decimal128(10, 2)
    assert schema.field("at").type == pa.timestamp("ms")
    found = pq.ParquetFile(artifact.path).metadata.metadata
    assert (found[b"owner"], found[b"about"]) == (b"ops", "ä".encode())
    assert pl.read_parquet(artifact.path)["cost"].to_list() == [Decimal("1.50"), Decimal("2.25")]
    assert duckdb.execute("SELECT sum(id) FROM read_parquet(?)", [str(artifact.path)]).fetchone() == (3,)


@pytest.mark.parametrize(
    ("values", "wanted", "said"),
    [
        ([1, 300], "int8", "row 2: 300 does not fit into int8"),
        ([1.0, 1.5], "int64", "row 2: 1.5 does not fit"),
        ([0.1], "float32", "row 1: 0.1 does not fit"),
        ([2**53, 2**53 + 1], "float64", "row 2: 9007199254740993 does not fit"),
        ([None, "00123"], "int64", "row 2: '00123' does not fit"),
        (["x"], "date", "row 1: 'x' does not fit"),
        ([Decimal("1.25")], "decimal(10,1)", "row 1: 1.25 does not fit"),
        ([dt.datetime(2026, 1, 1, 0, 0, 0, 1)], "timestamp[ms]", "does not fit"),
        ([dt.datetime(2026, 1, 1, 5)], "date", "does not fit"),
        ([float("nan")], "int32", "row 1: nan does not fit"),
        ([-1], "uint8", "row 1: -1 does not fit"),
        (["1.2", "1.239"], "decimal(10,2)", "row 2: '1.239' does not fit"),
        (["125e-4"], "decimal(10,3)", "row 1: '125e-4' does not fit"),
        (["1e400"], "float64", "row 1: '1e400' does not fit"),
        (["2026-01-01T00:00:00.123456"], "timestamp[ms]", "row 1: '2026-01-01T00:00:00.123456' does not fit"),
        (["1600-01-01"], "timestamp[ns]", "row 1: '1600-01-01' does not fit"),
        (["x"], "timestamp[us]", "row 1: 'x' does not fit"),
        (["01/02/2026"], "date", "row 1: '01/02/2026' does not fit"),
        (["26-01-02"], "date", "row 1: '26-01-02' does not fit"),
        (["2026-01-01T00:00:00Z"], "timestamp[us]", "row 1: '2026-01-01T00:00:00Z' does not fit"),
        (["2025-10-26T02:30:00"], "timestamp[us, Europe/Berlin]", "row 1: '2025-10-26T02:30:00' does not fit"),
        (["true", "yes"], "boolean", "row 2: 'yes' does not fit"),
        ([b"a", b"\xff"], "string", r"row 2: b'\\xff' does not fit"),
    ],
)
def test_casts_that_lose_are_refused(values: list[Any], wanted: str, said: str, tmp_path: Path) -> None:
    form = declared({"name": "c", "type": wanted})
    with pytest.raises(FormatError, match=f"column 'c'.*{said}"):
        form.write(pl.LazyFrame({"c": values}), tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1, None, -128], "int8"),
        ([1.0, -2.0, None], "int64"),
        ([0.5, float("nan"), float("inf")], "float32"),
        ([2**53], "double"),
        (["123", None], "int64"),
        (["1.50"], "decimal(10,2)"),
        (["2026-01-01", None], "date"),
        ([dt.datetime(2026, 1, 1)], "date"),
        ([1, 0], "string"),
        (["1.2300", "5e-1", None], "decimal(10,2)"),
        (["inf", "nan", "1e300"], "float64"),
        (["true", "false", None], "boolean"),
        (["12:30", "12:30:01.123456789"], "time"),
        ([True, None], "string"),
        ([dt.datetime(2026, 1, 1, 5, tzinfo=dt.UTC), None], "string"),
        ([dt.time(5), None], "string"),
        ([dt.timedelta(days=-1, microseconds=1), None], "string"),
        ([None], "int64"),
    ],
)
def test_casts_that_keep_every_value_are_made(values: list[Any], wanted: str, tmp_path: Path) -> None:
    proven(declared({"name": "c", "type": wanted}), pl.DataFrame({"c": values}), tmp_path)


def test_texts_become_the_moments_that_they_are(tmp_path: Path) -> None:
    texts = ["2026-01-01T10:00Z", "2026-01-01 10:00:00.5+0200", "2026-01-01", "2026-01-01T10:00", "0001-01-01T12:00"]
    form = declared({"name": "c", "type": "timestamp[us, Europe/Berlin]"})
    path = proven(form, pl.DataFrame({"c": texts[:4]}), tmp_path).path
    assert pl.read_parquet(path)["c"].dt.to_string("%FT%T%.f%z").to_list() == [
        "2026-01-01T11:00:00+0100",
        "2026-01-01T09:00:00.500+0100",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T10:00:00+0100",
    ]
    plain = proven(declared({"name": "c", "type": "timestamp[us]"}), pl.DataFrame({"c": texts[2:]}), tmp_path).path
    assert pl.read_parquet(plain)["c"].to_list() == [
        dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, 10), dt.datetime(1, 1, 1, 12)
    ]  # fmt: skip


def test_moments_become_texts_of_iso_8601(tmp_path: Path) -> None:
    frame = pl.DataFrame({"c": [dt.datetime(2026, 1, 1, 5)]})
    path = proven(declared({"name": "c", "type": "string"}), frame, tmp_path).path
    assert pl.read_parquet(path)["c"].to_list() == ["2026-01-01T05:00:00.000000"]


def test_the_row_of_a_lossy_cast_is_that_of_the_whole(tmp_path: Path) -> None:
    rows = pl.DataFrame({"c": [1] * 70_000 + [300] + [1] * 70_000})
    with pytest.raises(FormatError, match="row 70,001: 300 does not fit into int8"):
        declared({"name": "c", "type": "int8"}).write(rows.lazy(), tmp_path / "x.parquet")


@pytest.mark.parametrize("options", [{}, {"bloom_filters": ["c"]}])
def test_an_empty_value_is_refused_where_none_may_be(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="column 'c', row 2: it is empty"):
        declared({"name": "c", "nullable": False}, **options).write(pl.LazyFrame({"c": [1, None]}), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"schema": {"fields": [{"name": "aa"}]}}, "did you mean 'a'"),
        ({"schema": {"fields": [{"name": "a", "rename": "b"}]}}, "two columns would be called 'b'"),
        ({"schema": {"fields": [{"name": "l", "type": "int64"}]}}, "cannot become int64"),
        ({"schema": {"fields": [{"name": "a", "type": "Enum(['x'])"}]}}, "cannot become Enum"),
        ({"schema": {"fields": [{"name": "d", "type": "boolean"}]}}, "cannot become boolean"),
        ({"schema": {"fields": [{"name": "n", "nullable": False}]}}, "nothing but empty values"),
        ({"schema": {"fields": [{"name": "n", "type": "Object"}]}}, "cannot become Object"),
        ({"bloom_filters": ["x"]}, "bloom_filters names 'x'"),
        ({"bloom_filters": ["l"]}, "which it cannot be used with"),
        ({"sorting_columns": ["x"]}, "sorting_columns names 'x'"),
        ({"partition_by": ["x"]}, "partition_by names 'x'"),
        ({"partition_by": ["f"]}, "no one text"),
        ({"partition_by": ["b", "ä"]}, "cannot name a partition"),
        ({"partition_values": {"a": 1}}, "is a column too"),
        ({"partition_values": {"dt": ""}}, "missing value"),
        ({"encryption": {"key": {"env": "EXPORT_PARQUET_NONE"}}}, "is not set"),
        ({"encryption": {"key": {"env": "HOME"}}}, "may not be read"),
    ],
)
def test_what_does_not_fit_the_columns_is_refused(options: dict[str, Any], said: str) -> None:
    schema = pl.Schema({"a": pl.Int64(), "b": pl.String(), "l": pl.List(pl.Int64), "f": pl.Float64(), "ä": pl.Int8()})
    schema |= pl.Schema({"d": pl.Duration("us"), "n": pl.Null()})
    with pytest.raises((ConfigError, FormatError), match=said):
        parquet(**options).check(schema)


def test_bloom_filters_are_used_by_duckdb(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(20_000)}).with_columns(t=pl.format("text {}", pl.col("n").hash()))
    path = proven(parquet(bloom_filters=["t"]), frame, tmp_path).path
    wanted = frame["t"][12_345]
    probe = "SELECT bloom_filter_excludes FROM parquet_bloom_probe(?, 't', ?)"
    assert [row[0] for row in duckdb.execute(probe, [str(path), wanted]).fetchall()] == [True, True, False, True]
    assert duckdb.execute("SELECT n FROM read_parquet(?) WHERE t = ?", [str(path), wanted]).fetchall() == [(12_345,)]


def test_sorting_columns_are_noted(tmp_path: Path) -> None:
    frame = pl.DataFrame({"s": [{"x": 1, "y": 2}] * 4, "a": [1, 1, 2, None], "b": ["y", "x", "z", "z"]})
    form = parquet(sorting_columns=["a", {"column": "b", "descending": True, "nulls_first": True}])
    found = pq.ParquetFile(proven(form, frame, tmp_path).path).metadata.row_group(0).sorting_columns
    assert found == (pq.SortingColumn(2), pq.SortingColumn(3, descending=True, nulls_first=True))


def test_a_sorting_column_is_not_a_field_of_the_same_path(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a.b": [1, 2], "a": [{"b": 2}, {"b": 1}]})
    found = pq.ParquetFile(proven(parquet(sorting_columns=["a.b"]), frame, tmp_path).path).metadata
    assert found.row_group(0).sorting_columns == (pq.SortingColumn(0),)


def test_categories_are_sorted_as_the_texts_that_readers_see(tmp_path: Path) -> None:
    sizes = pl.DataFrame({"c": ["small", "large"]}, schema={"c": pl.Enum(["small", "large"])})
    proven(parquet(sorting_columns=["c"]), sizes.reverse(), tmp_path)
    with pytest.raises(FormatError, match="row 2 is not in the order"):
        parquet(sorting_columns=["c"]).write(sizes.lazy(), tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("by", "values", "row"),
    [
        ("c", [1, 2, None], None),
        ("c", [1, 3, 2], 3),
        ("c", [None, 1], 2),
        ({"column": "c", "nulls_first": True}, [None, 1], None),
        ({"column": "c", "nulls_first": True}, [1, None], 2),
        ({"column": "c", "descending": True}, [3, 2, 2], None),
        ({"column": "c", "descending": True}, [2, 3], 2),
        ("c", [*range(10_000), 5], 10_001),
        ("c", [*range(12_000)], None),
    ],
)
def test_rows_that_are_not_sorted_are_refused(by: Any, values: list[Any], row: int | None, tmp_path: Path) -> None:
    form, frame = parquet(sorting_columns=[by]), pl.DataFrame({"c": values})
    if row is None:
        proven(form, frame, tmp_path)
        return
    with pytest.raises(FormatError, match=f"row {row:,} is not in the order"):
        form.write(frame.lazy(), tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == []


def test_the_second_sorting_column_counts_among_equals(tmp_path: Path) -> None:
    form = parquet(sorting_columns=["a", "b"])
    proven(form, pl.DataFrame({"a": [1, 1, 2], "b": [1, 2, 0]}), tmp_path)
    with pytest.raises(FormatError, match="row 2 is not"):
        form.write(pl.LazyFrame({"a": [1, 1, 2], "b": [2, 1, 0]}), tmp_path / "x")


def test_everything_goes_through_the_other_writer(tmp_path: Path) -> None:
    proven(parquet(bloom_filters=["text"]), nasty.table(), tmp_path)


@pytest.mark.parametrize("size", [2, "auto"], ids=["by Arrow", "by Polars"])
def test_everything_is_encrypted(size: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PARQUET_KEY", base64.b64encode(KEY).decode())
    form = parquet(encryption={"key": {"env": "EXPORT_PARQUET_KEY"}}, row_group_size=size)
    proven(form, nasty.table(), tmp_path)


@pytest.mark.parametrize("size", [10, "auto"], ids=["by Arrow", "by Polars"])
def test_an_encrypted_file_needs_its_key(size: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PARQUET_KEY", base64.b64encode(KEY).decode())
    form = parquet(encryption={"key": {"env": "EXPORT_PARQUET_KEY"}}, row_group_size=size)
    frame = pl.DataFrame({"n": range(100), "t": ["a very secret text"] * 100})
    artifact = proven(form, frame, tmp_path)
    raw = artifact.path.read_bytes()
    assert raw[:4] == raw[-4:] == b"PARE" and b"secret" not in raw
    with pytest.raises(OSError, match="encrypted"):
        pq.read_table(artifact.path)
    back = pl.read_parquet(artifact.path, decryption=pl.ParquetDecryptionProperties(footer_key=KEY))
    assert_frame_equal(back, frame)
    with duckdb.connect() as database:
        database.execute(f"PRAGMA add_parquet_key('k', '{base64.b64encode(KEY).decode()}')")
        query = f"FROM read_parquet('{artifact.path}', encryption_config = {{footer_key: 'k'}})"
        assert_frame_equal(database.sql(query).pl(), frame)
    with open_arrow(form, artifact.path) as file:
        assert_frame_equal(pl.DataFrame(pl.from_arrow(file.read())), frame)
        assert file.metadata.num_row_groups == (10 if size == 10 else 1)
    assert base64.b64encode(KEY).decode() not in str(form) + artifact.model_dump_json() + form.model_dump_json()
    monkeypatch.setenv("EXPORT_PARQUET_KEY", base64.b64encode(KEY[::-1]).decode())
    with pytest.raises(VerificationError, match="cannot be read"):
        verify(artifact, form)


@pytest.mark.parametrize("text", ["short", base64.b64encode(b"x" * 15).decode(), "not base64 !!!"])
def test_a_bad_key_is_refused_without_showing_it(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PARQUET_KEY", text)
    with pytest.raises(ConfigError, match="does not hold a key") as caught:
        parquet(encryption={"key": {"env": "EXPORT_PARQUET_KEY"}}).check(pl.Schema({"a": pl.Int64()}))
    assert text not in str(caught.value)


def test_a_listed_variable_may_be_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", base64.b64encode(KEY[:16]).decode())
    proven(parquet(encryption={"key": {"env": "THE_KEY"}}).using(["THE_KEY"]), pl.DataFrame({"n": [1]}), tmp_path)


def test_a_lost_declaration_is_found(tmp_path: Path) -> None:
    form = declared({"name": "n", "nullable": False, "metadata": {"unit": "m"}}, metadata={"a": "b"})
    frame = pl.DataFrame({"n": [1]})
    artifact = form.write(frame.lazy(), tmp_path / "x.parquet")
    for wrong, said in (
        ({}, "not declared nullable"),
        ({"schema": {"fields": [{"name": "n", "nullable": False}]}}, "lost its note 'unit'"),
        ({"schema": {"fields": form.dump()["schema"]["fields"]}}, "lost its note 'a'"),
    ):
        other = parquet(**wrong).write(frame.lazy(), tmp_path / "y.parquet")
        with pytest.raises(VerificationError, match=said):
            verify(artifact.replace(path=other.path, bytes=other.bytes, sha256=other.sha256), form)


OPTIONS: dict[str, list[Any]] = {
    "compression": [*CODECS, {"zstd": 9}, {"gzip": 1}, {"brotli": 4}],
    "row_group_size": [1, 7, 5000, "auto"],
    "page_size": [1024, 1 << 20],
    "statistics": [True, False],
    "metadata": [{}, {"b": "2", "a": "1"}],
    "schema": [
        {},
        {"fields": [{"name": "int8", "type": "int64", "rename": "wide", "metadata": {"unit": "m"}}]},
        {"fields": [{"name": "row", "nullable": False}], "metadata": {"c": "3"}},
    ],
    "bloom_filters": [[], ["text"], ["int64", "float64"]],
    "sorting_columns": [[], ["row"]],
    "encryption": [None, {"key": {"env": "EXPORT_PARQUET_KEY"}}],
}


def _allowed(row: dict[str, Any]) -> bool:
    return not (row.get("encryption") and row.get("bloom_filters"))


ROWS = pairwise(OPTIONS, _allowed)


@pytest.mark.parametrize("options", ROWS, ids=lambda o: str(o["compression"]))
def test_every_pair_of_options(options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PARQUET_KEY", base64.b64encode(KEY).decode())
    proven(parquet(**options), nasty.table().with_row_index("row"), tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"row_group_size": 1 << 31}, "less than or equal to 2147483647"),
        ({"schema": {"fields": [{"name": "a", "metadata": {"ARROW:extension:name": "x"}}]}}, "another type"),
    ],
)
def test_what_no_writer_can_do_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parquet(**options)
