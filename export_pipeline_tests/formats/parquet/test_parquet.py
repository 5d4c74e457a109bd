"""Parquet: what other readers see, and every option."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter, ValidationError

from export_pipeline.errors import FormatError, VerificationError
from export_pipeline.formats import AnyFormat, Parquet
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.test_contract import proven

CODECS = {"zstd": "ZSTD", "snappy": "SNAPPY", "gzip": "GZIP", "brotli": "BROTLI", "lz4": "LZ4", "none": "UNCOMPRESSED"}


def parquet(**options: Any) -> Parquet:
    form = TypeAdapter(AnyFormat).validate_python({"parquet": options})
    assert isinstance(form, Parquet)
    return form


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read_by_arrow_and_duckdb(codec: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(5000), "t": [f"text {n % 7}" for n in range(5000)]})
    path = proven(parquet(compression=codec), frame, tmp_path).path
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == CODECS[codec]
    assert duckdb.execute("SELECT count(*), sum(n) FROM read_parquet(?)", [str(path)]).fetchone() == (5000, 12497500)


def test_levels_are_heard(tmp_path: Path) -> None:
    texts = [f"{n * 7919 % 10007} of {n % 13} hosts were not reachable" for n in range(20_000)]
    for codec in ("zstd", "gzip", "brotli"):
        sizes = {proven(parquet(compression={codec: n}), pl.DataFrame({"t": texts}), tmp_path).bytes for n in (1, 9)}
        assert len(sizes) == 2, codec


def test_the_whole_table_with_every_codec(tmp_path: Path) -> None:
    for codec in CODECS:
        proven(parquet(compression=codec), nasty.table(), tmp_path)


def test_types_stay(tmp_path: Path) -> None:
    frame = nasty.table(without=("int128",))
    artifact = proven(Parquet(), frame, tmp_path)
    assert artifact.losses == ()
    schema = pq.read_schema(artifact.path)
    assert schema.field("decimal").type == pa.decimal128(38, 10)
    assert schema.field("zoned").type == pa.timestamp("us", "Europe/Berlin")
    assert schema.field("ns").type == pa.timestamp("ns")
    assert pl.read_parquet(artifact.path).schema == frame.schema


def test_wide_integers_become_decimals(tmp_path: Path) -> None:
    artifact = proven(Parquet(), pl.DataFrame([nasty.column("int128")]), tmp_path)
    assert [(loss.column, loss.why) for loss in artifact.losses] == [("int128", "a 128-bit integer becomes a decimal")]
    assert pq.read_schema(artifact.path).field("int128").type == pa.decimal128(38, 0)


@pytest.mark.parametrize("options", [{}, {"sorting_columns": ["n"]}, {"partition_by": ["n"]}])
def test_wide_integers_inside_of_others_become_decimals(options: dict[str, Any], tmp_path: Path) -> None:
    wide = pl.List(pl.Struct({"a": pl.Int128(), "b": pl.Array(pl.UInt128(), 1)}))
    frame = pl.DataFrame({"n": [1, 2], "x": [[{"a": 2**100, "b": [1]}], None]}, schema={"n": pl.Int64(), "x": wide})
    form = parquet(**options)
    artifact = form.write(frame.lazy(), tmp_path / "x")
    verify(artifact, form)
    assert [loss.column for loss in artifact.losses] == ["x"]
    assert artifact.columns["x"].count("Decimal(precision=38, scale=0)") == 2


def test_row_groups(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(10_000)})
    metadata = pq.ParquetFile(proven(parquet(row_group_size=3000), frame, tmp_path).path).metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [3000, 3000, 3000, 1000]
    for size, groups in ((None, 2), ("auto", 1)):
        form = parquet() if size is None else parquet(row_group_size=size)
        assert pq.ParquetFile(proven(form, frame, tmp_path).path).metadata.num_row_groups == groups


@pytest.mark.parametrize("statistics", [True, False])
def test_statistics(statistics: bool, tmp_path: Path) -> None:
    path = proven(parquet(statistics=statistics), pl.DataFrame({"n": [3, 1, None]}), tmp_path).path
    found = pq.ParquetFile(path).metadata.row_group(0).column(0).statistics
    assert (
        found is not None and found.has_min_max and (found.min, found.max, found.null_count) == (1, 3, 1)
    ) is statistics


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"compression": "zst"}, "did you mean 'zstd'"),
        ({"compression": {"zstd": 23}}, "less than or equal to 22"),
        ({"compression": {"snappy": 1}}, r"options by name \(here are none\)"),
        ({"compression": {"lzo": 1}}, r"options by name \(here are none\)"),
        ({"row_group_size": 0}, "greater than or equal to 1"),
        ({"page_size": 1}, "greater than or equal to 1024"),
        ({"schema": {"fields": [{"name": "a", "type": "int46"}]}}, "did you mean 'int64'"),
        ({"schema": {"fields": [{"name": "a"}, {"name": "a"}]}}, "lists 'a' twice"),
        ({"schema": {"metadata": {"a": "1"}}, "metadata": {"a": "2"}}, "differ in 'a'"),
        ({"metadata": {"ARROW:schema": "x"}}, "the writer's own"),
        ({"bloom_filters": ["a", "a"]}, "names a column twice"),
        ({"bloom_filters": ["a"], "encryption": {"key": {"env": "EXPORT_K"}}}, "cannot be used with encryption"),
        ({"bloom_filters": ["a"], "partition_by": ["b"]}, "cannot be used with partition_by"),
        ({"commit_marker": True}, "is for folders"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        parquet(**given)


@pytest.mark.parametrize("dtype", [pl.Struct({}), pl.List(pl.Struct({"a": pl.Struct({})}))])
def test_structs_without_fields_are_refused(dtype: pl.DataType) -> None:
    with pytest.raises(FormatError, match="column 's' holds a struct without fields"):
        Parquet().check(pl.Schema({"s": dtype}))


def test_a_renamed_column_is_found(tmp_path: Path) -> None:
    artifact = Parquet().write(pl.LazyFrame({"a": [1]}), tmp_path / "x.parquet")
    pl.DataFrame({"b": [1]}).write_parquet(artifact.path)
    with pytest.raises(VerificationError, match=r"the columns are \['b'\], not \['a'\]"):
        verify(artifact, Parquet())
