"""What every source keeps to, whatever it is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal
from pydantic import TypeAdapter

from export_pipeline.errors import ConfigError, SourceError
from export_pipeline.filters import Filter, time_range, where
from export_pipeline.snapshots import Snapshot, stage
from export_pipeline.snapshots.arrow import arrow_schema
from export_pipeline.sources import AnySource, Opened, open_sources
from export_pipeline_tests.sources.kinds import HEADED, KINDS, ROWS, SCHEMA, TYPED, Make

ZONE = ZoneInfo("Europe/Berlin")
every = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


def read(opened: Opened, columns: list[str] | None = None, only: Filter | None = None) -> pl.DataFrame:
    """Return all rows that come, after a look at the types of the batches."""
    wanted = pl.Schema({name: opened.schema[name] for name in columns or opened.schema.names()})
    batches = list(opened.batches(columns, only))
    for batch in batches:
        assert batch.schema.equals(arrow_schema(wanted)), (batch.schema, arrow_schema(wanted))
    return pl.DataFrame(pl.from_arrow(pa.Table.from_batches(batches, arrow_schema(wanted)))).cast(wanted)


@every
def test_values_and_types_are_the_same(make: Make, tmp_path: Path) -> None:
    with make(tmp_path, ROWS).open() as opened:
        assert opened.schema == SCHEMA
        assert_frame_equal(read(opened), ROWS)
        if not opened.version.startswith("sqlite"):
            assert str(read(opened)["ms"][1]) == "-0.0"  # SQLite itself keeps it as 0


@every
def test_a_second_read_gives_the_same(make: Make, tmp_path: Path) -> None:
    with make(tmp_path, ROWS).open() as opened:
        assert_frame_equal(read(opened), read(opened))


@every
def test_columns_are_projected_in_the_order_asked_for(make: Make, tmp_path: Path) -> None:
    with make(tmp_path, ROWS).open() as opened:
        assert_frame_equal(read(opened, ["ok", "id"]), ROWS.select("ok", "id"))
        with pytest.raises(ConfigError, match=r"no column 'agnt' .*did you mean 'agent'"):
            list(opened.batches(["agnt"]))


@every
@pytest.mark.parametrize(
    "only",
    [
        where("id", "gt", 0),
        ~where("agent", "contains", "a"),
        where("ms", "ge", 0.1) | where("ok", "eq", value=False),
        where("note", "is_null") & where("id", "ne", 0),
        where("agent", "in", ["00123", "x"]),
        where("day", "lt", "2000-01-01"),
        time_range(start="2026-03-29T00:00:00+01:00", end="2027-01-01", field="started_at"),
    ],
    ids=lambda only: only.sentence(),
)
def test_a_pushed_filter_loses_no_row(make: Make, only: Filter, tmp_path: Path) -> None:
    with make(tmp_path, ROWS).open() as opened:
        bound = only.resolve(datetime(2026, 6, 1, tzinfo=UTC), ZONE).bind(opened.schema, opened.roles, ZONE)
        test = bound.expression(opened.schema, ZONE)
        found, expected = (nw.from_native(rows).filter(test).to_native() for rows in (read(opened, only=bound), ROWS))
        assert not expected.is_empty()
        assert_frame_equal(found, expected)


@every
def test_a_snapshot_holds_the_rows_and_survives_json(make: Make, tmp_path: Path) -> None:
    seen: list[int] = []
    with make(tmp_path, ROWS).open() as opened:
        snapshot = stage(opened, tmp_path, name="taken", progress=seen.append)
    assert Snapshot.model_validate_json(snapshot.model_dump_json()) == snapshot
    assert (snapshot.rows, seen[-1], snapshot.dtypes) == (4, 4, SCHEMA)
    assert snapshot.bytes == sum(path.stat().st_size for path in snapshot.paths)
    assert snapshot.scan().collect_schema() == SCHEMA
    assert_frame_equal(snapshot.scan().collect(), ROWS)
    assert not list(tmp_path.glob(".*.part"))


@every
def test_no_rows_keep_the_columns(make: Make, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.id
    made = make(tmp_path, ROWS.clear())
    if kind not in TYPED + HEADED:  # nothing in the file tells a column
        with pytest.raises(SourceError, match="nothing tells its columns"):
            made.open()
        with made.open(schema={"id": "integer", "day": "date"}) as opened:
            assert opened.schema == pl.Schema({"id": pl.Int64(), "day": pl.Date()})
            assert stage(opened, tmp_path, name="taken").scan().collect().is_empty()
        return
    with made.open() as opened:
        expected = SCHEMA if kind in TYPED else pl.Schema(dict.fromkeys(SCHEMA, pl.String()))
        assert opened.schema == expected
        snapshot = stage(opened, tmp_path, name="taken")
        assert snapshot.rows == 0
        assert snapshot.scan().collect().schema == expected


@every
def test_a_column_of_nulls_is_a_column(make: Make, tmp_path: Path) -> None:
    rows = ROWS.with_columns(note=pl.lit(None, dtype=pl.String))
    with make(tmp_path, rows).open() as opened:
        assert_frame_equal(read(opened), rows)


@every
def test_types_can_be_given(make: Make, tmp_path: Path) -> None:
    with make(tmp_path, ROWS).open(schema={"id": "text", "ok": "text", "ms": "text"}) as opened:
        assert read(opened)["id"].to_list() == [str(value) for value in ROWS["id"]]
        assert [value and float(value) for value in read(opened)["ms"]] == ROWS["ms"].to_list()
        snapshot = stage(opened, tmp_path, name="taken")
        assert not snapshot.pinned
        assert snapshot.dtypes["id"] == pl.String()


@every
def test_a_value_that_does_not_fit_is_named_by_row_and_column(make: Make, tmp_path: Path) -> None:
    with (
        make(tmp_path, ROWS).open(schema={"agent": "integer"}) as opened,
        pytest.raises(SourceError, match="row 2, column 'agent': 'agent-é😀' is no integer"),
    ):
        list(opened.batches())


@every
def test_options_that_name_unknown_columns_are_refused(make: Make, tmp_path: Path) -> None:
    made = make(tmp_path, ROWS)
    with pytest.raises(ConfigError, match=r"'startet_at' for 'time' .*did you mean 'started_at'"):
        made.open(time="startet_at")
    with pytest.raises(ConfigError, match=r"'idd' for 'schema' .*did you mean 'id'"):
        made.open(schema={"idd": "text"})
    with made.open(time="day") as opened:
        assert opened.roles.time == "day"


@every
def test_sources_survive_json(make: Make, tmp_path: Path) -> None:
    source = make(tmp_path, ROWS).source.replace(schema={"id": "decimal(20,2)"}, time="day")
    assert TypeAdapter(AnySource).validate_python(source.dump()) == source


@every
def test_nothing_happens_when_there_is_nothing_to_interrupt(make: Make, tmp_path: Path) -> None:
    with make(tmp_path, ROWS).open() as opened:
        opened.interrupt()
        assert read(opened).height == 4
        assert opened.count() in (4, None)
        assert opened.what


@every
def test_a_file_that_is_gone_is_named(make: Make, tmp_path: Path) -> None:
    made = make(tmp_path, ROWS)
    made.paths[0].rename(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match=made.paths[0].name):
        made.open()


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"csv", "tsv"}))  # any text is a CSV file
def test_a_file_that_is_garbage_is_named(kind: str, tmp_path: Path) -> None:
    make = KINDS[kind]
    made = make(tmp_path, ROWS)
    made.paths[0].write_bytes(b"garbage " * 1000)
    if kind == "csv.gz":  # told by its first bytes, it is plain text
        made.paths[0].write_bytes(b"\x1f\x8bgarbage " * 1000)
    for log in tmp_path.glob("*-wal"):
        log.unlink()
    with pytest.raises(SourceError, match=made.paths[0].name):
        made.open()


@every
def test_files_stand_still_and_stores_move_on(make: Make, tmp_path: Path) -> None:
    with make(tmp_path, ROWS).open() as opened:
        opened.expect(opened.version)
        if opened.still:
            with pytest.raises(SourceError, match="changed after the export was planned"):
                opened.expect("another version")
        else:
            opened.expect("another version")


def test_sources_of_one_store_share_one_view(tmp_path: Path) -> None:
    made = KINDS["sqlite"](tmp_path, ROWS)
    import sqlite3

    both = {"a": made.source, "b": made.source.replace(time="day")}
    with open_sources(both, made.stores) as opened:
        assert read(opened["a"]).height == 4
        with sqlite3.connect(made.paths[0]) as writer:
            writer.execute("DELETE FROM rows")
        writer.close()
        assert read(opened["b"]).height == 4
    with made.open() as later:
        assert read(later).is_empty()
