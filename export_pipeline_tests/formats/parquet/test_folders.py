"""Hive folders of Parquet: read by others, damaged, refused."""

from __future__ import annotations

import base64
import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from export_pipeline.errors import FormatError, VerificationError
from export_pipeline.formats.parquet import hive, joined, sections
from export_pipeline.names import check_relative
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.parquet.test_parquet import CODECS, parquet
from export_pipeline_tests.formats.parts import sample, written
from export_pipeline_tests.formats.test_contract import bits


def test_hive_folders_are_read_by_duckdb_arrow_and_polars(tmp_path: Path) -> None:
    frame = sample()
    form = parquet(partition_by=["agent", "ok"], partition_values={"dt": "2026-11-23"}, commit_marker=True)
    artifact = written(form, frame, tmp_path)
    assert artifact.parts[-1].name == "_SUCCESS" and artifact.parts[-1].bytes == 0
    assert all(part.name.startswith("dt=2026-11-23/agent=") for part in artifact.parts[:-1])
    wanted = frame.sort("n")
    hive_options = "hive_partitioning=true, hive_types={agent: VARCHAR, ok: BOOLEAN}"
    sql = f"SELECT n, agent, ok, cost FROM read_parquet(?, {hive_options}) ORDER BY n"
    assert duckdb.execute(sql, [f"{artifact.path}/**/*.parquet"]).fetchall() == wanted.rows()
    assert_frame_equal(
        pl.scan_parquet(
            f"{artifact.path}/**/*.parquet", hive_schema={"dt": pl.Date, "agent": pl.String, "ok": pl.Boolean}
        )
        .select("n", "agent", "ok", "cost")
        .collect()
        .sort("n"),
        wanted,
    )
    import pyarrow as pa

    keys = pa.schema([("dt", pa.string()), ("agent", pa.string()), ("ok", pa.string())])
    table = ds.dataset(artifact.path, format="parquet", partitioning=ds.partitioning(keys, flavor="hive")).to_table()
    found = pl.DataFrame(pl.from_arrow(table)).with_columns(pl.col("ok").replace_strict({"true": True, "false": False}))
    assert_frame_equal(found.select("n", "agent", "ok", "cost").sort("n"), wanted)


def test_a_column_may_be_called_as_what_rows_are_scattered_by(tmp_path: Path) -> None:
    frame = pl.DataFrame({"bucket": [1, 2, 3], "k": ["a", "b", "a"]})
    artifact = written(parquet(partition_by=["k"]), frame, tmp_path)
    assert artifact.columns == {"bucket": "Int64", "k": "String"}


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_in_partitions(codec: str, tmp_path: Path) -> None:
    artifact = written(parquet(partition_by=["ok"], compression=codec, row_group_size="auto"), sample(), tmp_path)
    assert len(artifact.parts) == 3


def test_rows_keep_their_order_inside_a_partition(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(300_000)}).with_columns(k=pl.col("n") % 7)
    frame.write_parquet(tmp_path / "source.parquet", row_group_size=20_000)
    artifact = parquet(partition_by=["k"]).write(pl.scan_parquet(tmp_path / "source.parquet"), tmp_path / "out")
    for part in artifact.files:
        found = pl.read_parquet(part.path, hive_partitioning=False)["n"]
        assert found.is_sorted() and found.len() > 40_000


def test_the_nasty_table_in_partitions(tmp_path: Path) -> None:
    frame = nasty.table().filter(pl.col("text") != "")
    form = parquet(partition_by=["text", "int8", "bool", "uint64", "date", "enum"])
    held = frame.filter(pl.col("enum").cast(pl.String).ne_missing(""), pl.col("text").str.len_bytes() < 100)
    artifact = written(form, held, tmp_path)
    rendered = form.render(held.lazy()).collect()
    back = pl.concat(form.read(artifact.path, rendered.schema))
    assert_frame_equal(bits(back).sort("float64", "text"), bits(rendered).sort("float64", "text"))


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    form, frame = parquet(partition_by=["agent"]), sample(60_000)
    assert written(form, frame, tmp_path, "one").parts == written(form, frame, tmp_path, "two").parts


def test_constant_keys_alone_make_a_folder(tmp_path: Path) -> None:
    artifact = written(parquet(partition_values={"dt": "2026-11-23", "full": True, "v": 2}), sample(), tmp_path)
    assert [part.name for part in artifact.parts] == ["dt=2026-11-23/full=true/v=2/part-0.parquet"]


def test_constant_keys_alone_make_a_file_of_sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "COLUMNS", 8)
    begun: list[joined.Joined] = []
    begin = joined.Joined.begin

    def counted(file: joined.Joined) -> None:
        begun.append(file)
        begin(file)

    monkeypatch.setattr(joined.Joined, "begin", counted)
    form = parquet(partition_values={"dt": "2026-11-23"}, row_group_size=10)
    artifact = written(form, sample(), tmp_path)
    verify(artifact, form)
    assert len(begun) > 2
    (part,) = artifact.parts
    assert_frame_equal(pl.read_parquet(artifact.path / part.name, hive_partitioning=False), sample())


def test_no_rows_are_no_parts(tmp_path: Path) -> None:
    form = parquet(partition_by=["ok"], commit_marker=True)
    assert [part.name for part in written(form, sample(0), tmp_path).parts] == ["_SUCCESS"]
    assert written(parquet(partition_by=["ok"]), sample(0), tmp_path, "bare").parts == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [("", "'' cannot be a partition"), (hive.NULL, "cannot be a partition"), ("x" * 300, "at most 200 are safe")],
)
def test_values_that_make_no_folder_are_refused(value: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=said):
        parquet(partition_by=["k"]).write(pl.LazyFrame({"k": ["a", value], "n": [1, 2]}), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@given(st.text(min_size=1, max_size=20))
def test_every_text_stays_in_its_folder_and_comes_back(text: str) -> None:
    name = f"{hive.segment('k', text)}/part-0.parquet"
    assert check_relative(name).count("/") == 1
    assert hive.values_of(name, {}, ["k"]) == {"k": text}


def test_dates_and_numbers_are_keys(tmp_path: Path) -> None:
    frame = pl.DataFrame({"d": [dt.date(2026, 1, 1), None], "i": [-5, 2**63 - 1], "n": [1, 2]})
    artifact = written(parquet(partition_by=["d", "i"]), frame, tmp_path)
    assert {part.name for part in artifact.parts} == {
        "d=2026-01-01/i=-5/part-0.parquet",
        f"d={hive.NULL}/i=9223372036854775807/part-0.parquet",
    }


def test_partitions_are_encrypted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PARTS_KEY", base64.b64encode(b"k" * 32).decode())
    form = parquet(partition_by=["ok"], encryption={"key": {"env": "EXPORT_PARTS_KEY"}})
    artifact = written(form, sample(), tmp_path)
    assert all(part.path.read_bytes()[:4] == b"PARE" for part in artifact.files)


@pytest.mark.parametrize("damage", ["swapped folders", "lost", "foreign", "moved cell", "twice"])
def test_damage_is_found(damage: str, tmp_path: Path) -> None:
    form, frame = parquet(partition_by=["k"]), pl.DataFrame({"k": ["a", "b"] * 10, "n": range(20), "m": range(20)})
    artifact = written(form, frame, tmp_path)
    a, b = artifact.path / "k=a", artifact.path / "k=b"
    if damage == "swapped folders":
        (a / "part-0.parquet").rename(a / "x")
        (b / "part-0.parquet").rename(a / "part-0.parquet")
        (a / "x").rename(b / "part-0.parquet")
    elif damage == "lost":
        (b / "part-0.parquet").unlink()
    elif damage == "foreign":
        (artifact.path / "k=c").mkdir()
        (artifact.path / "k=c" / "part-0.parquet").write_bytes((b / "part-0.parquet").read_bytes())
    else:
        other = (
            frame.with_columns(pl.col("n").shift(-2).fill_null(0)) if damage == "moved cell" else frame[[*range(19), 0]]
        )
        wrong = form.write(other.lazy(), tmp_path / "wrong")
        artifact = artifact.replace(path=wrong.path, parts=wrong.parts, bytes=wrong.bytes, sha256=wrong.sha256)
    with pytest.raises(VerificationError):
        verify(artifact, form)


def test_many_partitions_are_open_few_at_a_time(tmp_path: Path) -> None:
    """Half of the keys that a process may have files open for; the rest of the machine's limit is not touched."""
    pl.DataFrame({"n": range(60_000)}).with_columns(k=pl.col("n") % 1500).write_parquet(tmp_path / "source.parquet")
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))\n"
        "from pathlib import Path; import polars as pl\n"
        "from export_pipeline.formats import Parquet; from export_pipeline.verification import verify\n"
        "form = Parquet(partition_by=['k'])\n"
        "a = form.write(pl.scan_parquet(sys.argv[1]), Path(sys.argv[2])); verify(a, form); print(len(a.parts))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "source.parquet", tmp_path / "out"], capture_output=True, text=True
    )
    assert found.stdout.strip() == "1500", found.stderr


@pytest.mark.parametrize("days", [-800_000, 3_000_000])
def test_dates_that_no_folder_can_be_called_after_are_refused(days: int, tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": [1, 2, 3], "day": pl.Series([None, 20_000, days], dtype=pl.Int32).cast(pl.Date)})
    with pytest.raises(FormatError, match=r"column 'day', row 3: a date in the year -?\d+ cannot be a partition"):
        parquet(partition_by=["day"]).write(frame.lazy(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    written(parquet(partition_by=["day"]), frame.head(2), tmp_path)


def test_letters_beyond_ascii_stand_in_names_as_they_are(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": [1, 2], "agent": ["Köln ö", "a\u202eb"]})
    names = [part.name for part in written(parquet(partition_by=["agent"]), frame, tmp_path).parts]
    assert names == ["agent=Köln ö/part-0.parquet", "agent=a%E2%80%AEb/part-0.parquet"]


@pytest.mark.parametrize(
    "options",
    [
        {"bloom_filters": ["agent"]},
        {"sorting_columns": ["n"]},
        {"partition_by": ["agent", "ok"], "commit_marker": True},
    ],
)
def test_other_writers_give_the_same_bytes_too(options: dict[str, Any], tmp_path: Path) -> None:
    form = parquet(**options)
    made = [form.write(sample().lazy(), tmp_path / name) for name in ("first", "second")]
    assert made[0].sha256 == made[1].sha256 and made[0].parts == made[1].parts


_PEAK = """
import sys
from pathlib import Path
import polars as pl
from export_pipeline.formats import Parquet
rows = pl.scan_parquet([sys.argv[1]] * int(sys.argv[2]))
artifact = Parquet(partition_by=["agent"]).write(rows, Path(sys.argv[3]))
assert len(artifact.parts) == 200
print(artifact.rows, int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) // 1024)
"""


@pytest.mark.slow
def test_memory_is_that_of_the_buckets_however_many_rows_there_are(tmp_path: Path) -> None:
    source = pl.DataFrame({"n": range(200_000)}).lazy()
    source = source.with_columns(
        pl.format("agent-{}", pl.col("n").hash() % 200).alias("agent"),
        *(pl.format("step {} of {}", pl.col("n") * 31 % 9_973, pl.lit(name)).alias(name) for name in "abcdefgh"),
    )
    source.collect().write_parquet(tmp_path / "rows.parquet", row_group_size=30_000, compression="lz4")

    def peak(times: int) -> int:
        out = subprocess.run(
            [sys.executable, "-c", _PEAK, str(tmp_path / "rows.parquet"), str(times), str(tmp_path / str(times))],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        assert int(out[0]) == times * 200_000
        return int(out[1])

    small, large = peak(3), peak(15)
    # 2.4 million rows more are some 500 MB of values; readers read further ahead on a busy machine.
    assert large < small + 120
