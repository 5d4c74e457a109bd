"""Outputs of several files: Hive folders of Parquet, and CSV that is split."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import TypeAdapter, ValidationError

from export_pipeline.errors import Cancelled, FormatError, VerificationError
from export_pipeline.formats import AnyFormat, Csv
from export_pipeline.formats.parquet import hive
from export_pipeline.names import check_relative
from export_pipeline.verification import Artifact, Meter, verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.test_contract import bits
from export_pipeline_tests.formats.test_parquet import CODECS, parquet

KEYS = [
    "a",
    "b/c",
    "..",
    ".",
    "x=y",
    "100%",
    "ä ö",
    "\U0001f600",
    " ",
    "a b.",
    "it's",
    "null",
    "A",
    "~",
    "\x00\n",
    None,
]


def sample(rows: int = 5000) -> pl.DataFrame:
    return pl.DataFrame({"n": range(rows)}).with_columns(
        agent=pl.Series([KEYS[n % len(KEYS)] for n in range(rows)], dtype=pl.String),
        ok=pl.Series([(True, False, None)[n % 3] for n in range(rows)], dtype=pl.Boolean),
        cost=pl.col("n") / 7,
    )


def written(form: Any, frame: pl.DataFrame, folder: Path, name: str = "out") -> Artifact:
    """Write and verify; the sums are those of the files."""
    artifact: Artifact = form.write(frame.lazy(), folder / name)
    verify(artifact, form)
    assert artifact.is_folder and artifact.rows == frame.height == sum(part.rows for part in artifact.parts)
    assert artifact.bytes == sum(p.stat().st_size for p in artifact.path.rglob("*") if p.is_file())
    assert [entry.name for entry in folder.iterdir() if entry.name.startswith(".")] == []
    return artifact


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


def test_unordered_checksums_bind_cells_to_rows_whatever_the_order() -> None:
    frame = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"]})

    def sums(given: pl.DataFrame) -> dict[str, str]:
        meter = Meter(given.schema, ordered=False)
        meter.add(given)
        return meter.checksums

    assert sums(frame) == sums(frame.reverse())
    assert sums(frame) != sums(frame.with_columns(b=pl.Series(["y", "x", "x"])))
    assert sums(frame) != sums(frame.with_columns(a=pl.Series([2, 1, 3])))


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


# Split CSV.


def split(**options: Any) -> Csv:
    form = TypeAdapter(AnyFormat).validate_python({"csv": options})
    assert isinstance(form, Csv)
    return form


@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip"}, {"compression": "zstd", "headers": False}, {"quotes": "all"}]
)
def test_csv_is_split_by_rows(options: dict[str, Any], tmp_path: Path) -> None:
    frame = sample(25_000).with_columns(agent=pl.lit("a"))
    artifact = written(split(split={"rows": 10_001}, **options), frame, tmp_path, "report")
    ending = Csv.model_validate(options).suffix
    assert [(part.name, part.rows) for part in artifact.parts] == [
        (f"report-part-00001{ending}", 10_001),
        (f"report-part-00002{ending}", 10_001),
        (f"report-part-00003{ending}", 4_998),
    ]
    header = options.get("headers", True)
    back = [pl.read_csv(part.path, has_header=header, new_columns=frame.columns) for part in artifact.files]
    assert pl.concat(back)["n"].to_list() == list(range(25_000))


def test_csv_is_split_by_bytes(tmp_path: Path) -> None:
    artifact = written(split(split={"bytes": 100_000}), sample(20_000), tmp_path)
    assert len(artifact.parts) > 3
    assert all(100_000 <= part.bytes < 150_000 for part in artifact.parts[:-1])


def test_split_parts_are_those_of_the_whole(tmp_path: Path) -> None:
    frame = nasty.table()
    whole = split().write(frame.lazy(), tmp_path / "whole.csv")
    artifact = written(split(split={"rows": 7}), frame, tmp_path)
    assert artifact.checksums == whole.checksums
    first, *rest = [part.path.read_bytes() for part in artifact.files]
    header = split().write(frame.head(0).lazy(), tmp_path / "header.csv").path.read_bytes()
    assert first + b"".join(part.removeprefix(header) for part in rest) == whole.path.read_bytes()


@pytest.mark.parametrize("bom", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_each_part_has_one_byte_order_mark_at_most(encoding: str, bom: bool, tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(25_000), "text": ["é"] * 25_000})
    artifact = written(split(split={"rows": 12_000}, encoding=encoding, bom=bom), frame, tmp_path)
    codec = "utf-16-le" if encoding == "utf-16" else "utf-8"
    for part, rows in zip(artifact.files, [12_000, 12_000, 1_000], strict=True):
        text = part.path.read_bytes().decode(codec)
        assert text.startswith("\ufeffn,text\r\n" if bom else "n,text\r\n") and text.count("\ufeff") == bom
        assert text.count("\r\n") == 1 + rows


def test_parts_that_are_zip_files_hold_what_they_are_called_after(tmp_path: Path) -> None:
    artifact = written(split(split={"rows": 10}, compression={"zip": {"threads": 2}}), sample(15), tmp_path, "report")
    names = [zipfile.ZipFile(part.path).namelist() for part in artifact.files]
    assert names == [["report-part-00001.csv"], ["report-part-00002.csv"]]


@pytest.mark.parametrize("form", [{"csv": {"split": {"rows": 1}}}, {"parquet": {"partition_by": ["a"]}}])
def test_a_folder_is_not_sealed(form: dict[str, Any]) -> None:
    ((tag, options),) = form.items()
    with pytest.raises(ValidationError, match="a folder of several files is not sealed"):
        TypeAdapter(AnyFormat).validate_python({tag: options | {"seal": {"pgp": ["a.asc"]}}})


def test_any_row_may_be_the_first_of_a_part(tmp_path: Path) -> None:
    frame = pl.DataFrame({"text": ["a", "\ufeffb"]})
    split(headers=False).write(frame.lazy(), tmp_path / "whole.csv")
    with pytest.raises(FormatError, match="byte order mark"):
        split(headers=False, split={"rows": 1}).write(frame.lazy(), tmp_path / "parts")


def test_swapped_parts_are_found(tmp_path: Path) -> None:
    form = split(split={"rows": 10})
    artifact = written(form, pl.DataFrame({"n": range(10, 30)}), tmp_path)
    one, two = (part.path for part in artifact.files)
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)
    with pytest.raises(VerificationError, match="column 'n'"):
        verify(artifact, form)


def test_an_empty_table_is_one_part_with_its_header(tmp_path: Path) -> None:
    artifact = written(split(split={"rows": 10}), sample(0), tmp_path)
    assert artifact.files[0].path.read_bytes() == b"n,agent,ok,cost\r\n"


@pytest.mark.parametrize("given", [{}, {"rows": 1, "bytes": 5000}, {"rows": 0}, {"bytes": 1}])
def test_wrong_splits_are_refused(given: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        split(split=given)


# Bad days.

FOLDERS = [parquet(partition_by=["k"]), split(split={"rows": 1000})]
each_folder = pytest.mark.parametrize("form", FOLDERS, ids=lambda form: form.tag)


@each_folder
def test_a_stop_leaves_nothing(form: Any, tmp_path: Path) -> None:
    stop = threading.Event()
    pl.DataFrame({"n": range(300_000)}).with_columns(k=pl.col("n") % 5).write_parquet(
        tmp_path / "source.parquet", row_group_size=1_000
    )
    with pytest.raises(Cancelled):
        form.write(
            pl.scan_parquet(tmp_path / "source.parquet"), tmp_path / "out", progress=lambda _: stop.set(), stop=stop
        )
    assert [entry.name for entry in tmp_path.iterdir()] == ["source.parquet"]


@each_folder
def test_a_failing_query_leaves_nothing_and_the_former_folder_alone(form: Any, tmp_path: Path) -> None:
    good = form.write(pl.LazyFrame({"k": [1], "n": [1]}), tmp_path / "out")
    rows = pl.DataFrame({"t": ["1"] * 90_000 + ["x"]}).lazy().select(pl.col("t").str.to_integer(), k=1)
    with pytest.raises(pl.exceptions.PolarsError):
        form.write(rows, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    verify(good, form)


@each_folder
def test_killed_in_the_middle_nothing_has_the_name(form: Any, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import polars as pl; from pydantic import TypeAdapter\n"
        "from export_pipeline.formats import AnyFormat\n"
        "form = TypeAdapter(AnyFormat).validate_json(sys.argv[1])\n"
        "rows = pl.LazyFrame({'n': range(20_000_000)}).with_columns(k=pl.col('n') % 5)\n"
        "form.write(rows, Path(sys.argv[2]))"
    )
    given = json.dumps({form.tag: form.dump()})
    with subprocess.Popen([sys.executable, "-c", code, given, tmp_path / "out"]) as process:
        end = time.monotonic() + 30
        while not list(tmp_path.rglob("*part-*")) and time.monotonic() < end and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert {entry.name[0] for entry in tmp_path.iterdir()} == {"."}


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
