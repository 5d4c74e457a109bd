"""What is refused before anything is read: unknown names, wrong options, files and folders out of bounds."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from export_pipeline.errors import ConfigError, DeliveryError, ExportError, NotFoundError, StorageError
from export_pipeline_tests.acceptance.desk import Desk, desk_in, with_stores


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_in(tmp_path)


@pytest.fixture
def stored(tmp_path: Path) -> Desk:
    return with_stores(desk_in(tmp_path))


def where(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"filter": {"where": {"field": field, "operator": operator, "value": value}}}


FILES = {"files": "commands.parquet"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (where("statuss", "eq", "failed"), ["'statuss'", "did you mean 'status'"]),
        (
            {"filter": {"or": [{"not": where("cots", "gt", 1)["filter"]}, {"status": "failed"}]}},
            ["'cots'", "did you mean 'cost'"],
        ),
        ({"sort": ["-costt"]}, ["sort", "'costt'", "did you mean 'cost'"]),
        ({"columns": ["id", "agnet"]}, ["columns.include", "'agnet'", "did you mean 'agent'"]),
        ({"columns": {"exclude": ["stats"]}}, ["columns.exclude", "'stats'", "did you mean 'status'"]),
        ({"columns": {"rename": {"staus": "x"}}}, ["columns.rename", "'staus'", "did you mean 'status'"]),
        (
            {"aggregate": {"group_by": ["agen"], "measures": {"n": "count"}}},
            ["group_by", "'agen'", "did you mean 'agent'"],
        ),
        ({"aggregate": {"measures": {"c": {"sum": "coost"}}}}, ["measure 'c'", "'coost'", "did you mean 'cost'"]),
        (
            {"aggregate": {"time_bucket": {"field": "att", "every": "day"}, "measures": {"n": "count"}}},
            ["time_bucket", "'att'"],
        ),
        (
            {"aggregate": {"group_by": ["agent"], "measures": {"n": "count"}, "having": where("m", "gt", 1)["filter"]}},
            ["'m'", "valid: agent, n"],
        ),
        ({"pivot": {"rows": "agent", "columns": "stat"}}, ["pivot.columns", "'stat'", "did you mean 'status'"]),
        ({"source": {**FILES, "time": "when"}}, ["no column 'when' for 'time'"]),
        (
            {"source": {**FILES, "schema": {"costs": "float"}}},
            ["no column 'costs' for 'schema'", "did you mean 'cost'"],
        ),
        (where("cost", "gt", "cheap"), ["'cheap' cannot be compared with the column 'cost'"]),
        (where("agent", "gt", 5), ["5 cannot be compared with the column 'agent'", "quotes"]),
        (where("cost", "contains", "1"), ["contains compares text", "'cost'", "operators for it: .*gt"]),
        ({"source": FILES, "filter": {"time_range": "yesterday"}}, ["time_range", "time"]),
        ({"aggregate": {"measures": {"c": {"avg": "agent"}}}}, ["measure 'c'", "'agent' is text", "fits: "]),
        ({"format": {"csv": {"headers": ["one"]}}}, ["headers names 1 columns, there are 6"]),
    ],
)
def test_columns_that_do_not_fit_are_refused_before_reading(
    desk: Desk, changes: dict[str, Any], words: list[str]
) -> None:
    desk.refused(ConfigError, *words, nothing_read=True, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            where("cost", "greater", 5),
            [r"unknown operator 'greater' \(", r"report\.yaml, line \d+", r"filter\.where\.operator"],
        ),
        (where("cost", "gtt", 5), ["unknown operator 'gtt'", "did you mean 'gt'"]),
        ({"filter": {"agent_id": ["a"]}}, ["'agent_id'", "did you mean 'agent_ids'"]),
        ({"formt": "csv"}, ["'formt'", "did you mean 'format'", r"report\.yaml, line \d+"]),
        ({"format": "exel"}, ["'exel'", "did you mean 'excel'"]),
        ({"format": {"csv": {"delimeter": ";"}}}, ["'delimeter'", "did you mean 'delimiter'", r"format\.csv"]),
        ({"format": {"json": {"compression": "gzipp"}}}, ["'gzipp'", "did you mean 'gzip'"]),
        ({"format": {"parquet": {"compression": "lzo", "bloom_filters": ["id"]}}}, ["lzo", "lz4 or snappy"]),
        ({"deliver": {"lokal": "x"}}, ["'lokal'", "did you mean 'local'"]),
        ({"deliver": {"local": {"if_exists": "replace"}}}, ["if_exists", "'replace'", "overwrite"]),
        ({"aggregate": {"measures": {"n": {"averge": "cost"}}}}, ["'averge'"]),
        ({"timezone": "Europe/Berlinn"}, ["'Europe/Berlinn'", "did you mean 'Europe/Berlin'"]),
        ({"on_empty": "ignore"}, ["on_empty", "'ignore'", "skip"]),
        ({"limit": 0}, ["limit", "0"]),
        ({"source": {"files": "commands.parquet", "store": "x"}}, ["source"]),
        ({"filter": {"time_range": {"last": "7"}}}, ["'7'"]),
    ],
)
def test_wrong_options_are_refused_by_name_line_and_suggestion(
    desk: Desk, changes: dict[str, Any], words: list[str]
) -> None:
    desk.refused(ConfigError, *words, nothing_read=True, **changes)


@pytest.mark.parametrize(
    "template",
    [
        "../report",
        "/tmp/report",
        "a/../../report",
        "..",
        "x/..",
        "a\\..\\report",
        "{name}/../../x",
        "{date:[../../]YYYY}",
        "{date:[/etc/]}",
        "C:report",
        "CON",
        "a//b",
        ".hidden/../x",
        "a\x00b",
        "a\nb",
        "{run_id:/}",
        "{unknown}",
        "{name",
    ],
)
def test_a_file_name_cannot_leave_its_folder(desk: Desk, template: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    desk.refused(ConfigError, "file_name", nothing_read=True, file_name=template)
    new = {path.name for path in tmp_path.rglob("*")} - {path.name for path in before}
    assert new <= {"report.yaml", "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"}


@pytest.mark.parametrize("folder", ["..", "../x", "a/../../b", "~/x", "~", "{name}", "a\x07b"])
def test_a_folder_cannot_leave_the_output_folder(desk: Desk, folder: str) -> None:
    desk.refused(ConfigError, "folder", nothing_read=True, deliver={"local": {"folder": folder}})


def test_folders_outside_are_for_the_local_command_line_only(desk: Desk, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    where_ = {"deliver": {"local": {"folder": str(outside)}}}
    desk.refused(
        ConfigError, "elsewhere is not inside an allowed folder", "relative folder", nothing_read=True, **where_
    )
    assert list(outside.iterdir()) == []
    desk.run(desk.config(**where_), trusted=True)
    assert [path.name for path in outside.iterdir()] == ["report.csv"]


def test_files_outside_are_for_the_local_command_line_only(desk: Desk, tmp_path: Path) -> None:
    outside = tmp_path / "secret.parquet"
    shutil.copy(desk.home.root / "commands.parquet", outside)
    (desk.home.root / "innocent.parquet").symlink_to(outside)
    (desk.home.root / "linked").symlink_to(tmp_path)
    for name in (
        str(outside),
        "../secret.parquet",
        "innocent.parquet",
        "linked/secret.parquet",
        f"{tmp_path}/*.parquet",
    ):
        desk.refused(
            ConfigError, "outside of the folders", r"roots: in stores\.yaml", source={"files": name}, nothing_read=True
        )
    assert desk.run(desk.config(source={"files": str(outside)}), trusted=True).written.rows == 2000


def test_a_link_in_the_output_folder_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (desk.out / "reports").symlink_to(target)
    desk.refused(DeliveryError, "reports", "symbolic link", deliver={"local": "reports"})
    assert list(target.iterdir()) == []


def test_an_absolute_folder_that_is_missing_is_not_made(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        desk.run(desk.config(deliver={"local": str(tmp_path / "mnt" / "usb")}), trusted=True)
    desk.check(caught.value, StorageError, "mnt/usb", "does not exist", "mounted")
    assert not (tmp_path / "mnt").exists()


WRITES = {
    "insert": "insert into commands values (1, 'a', 'b', 2.0)",
    "update": "update commands set cost = 0",
    "delete": "delete from commands",
    "drop": "drop table commands",
    "create": "create table stolen as select * from commands",
    "two": "select 1 as a; drop table commands",
    "with": "with gone as (select 1) delete from commands",
    "pragma": "pragma user_version = 7",
    "attach": "attach 'other.db' as other",
    "begin": "begin",
}
ONLY = {
    "live": {"replace": "replace into commands values (1, 'a', 'b', 2.0)", "vacuum": "vacuum into 'copy.db'",
             "returning": "delete from commands returning *", "extension": "select load_extension('x')"},
    "archive": {"copy": "copy commands to 'stolen.csv'", "read": "select * from read_csv('/etc/passwd')",
                "text": "select * from read_text('/etc/passwd')", "file": "select * from '/etc/passwd'",
                "set": "set threads = 1", "install": "install httpfs", "export": "export database 'stolen'"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("store", "query"),
    [
        pytest.param(store, query, id=f"{store}-{name}")
        for store in ONLY
        for name, query in (WRITES | ONLY[store]).items()
    ],
)
def test_queries_that_do_more_than_read_are_refused(stored: Desk, store: str, query: str) -> None:
    path = stored.home.root / {"live": "live.sqlite", "archive": "archive.duckdb"}[store]
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    listed = sorted(path.parent.rglob("*"))
    stored.refused(ConfigError, f"store {store}, query", source={"store": store, "query": query}, nothing_read=True)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    new = {each.name for each in path.parent.rglob("*")} - {each.name for each in listed}
    assert new <= {"report.yaml", "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"}


def test_stores_and_data_sets_that_are_not_there_are_refused_with_the_nearest(stored: Desk) -> None:
    stored.refused(
        NotFoundError,
        "no store 'archiv'",
        "did you mean 'archive'",
        source={"store": "archiv", "dataset": "x"},
        nothing_read=True,
    )
    for store in ("live", "archive"):
        source = {"store": store, "dataset": "comands"}
        stored.refused(NotFoundError, "no table 'comands'", "did you mean 'commands'", source=source, nothing_read=True)
