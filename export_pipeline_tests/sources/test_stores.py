"""``stores.yaml``, and what both kinds of stores do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from export_pipeline.errors import ConfigError, NotFoundError, SourceError
from export_pipeline.parsing import parse_value
from export_pipeline.sources import AnySource, FilesSource, Stores, StoreSource
from export_pipeline_tests.sources.kinds import KINDS, ROWS

YAML = """
stores:
  live:
    sqlite:
      path: data/live.sqlite
      datasets:
        commands: {table: cmds, time: started_at, command_type: command}
  archive: {duckdb: /srv/archive.duckdb}
roots: [data]
environment: [OPS_HOOK]
"""


def test_relative_paths_stand_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "stores.yaml").write_text(YAML)
    stores = Stores.load(tmp_path / "stores.yaml")
    assert stores.store("live").dump()["path"] == str(tmp_path / "data" / "live.sqlite")
    assert stores.store("archive").dump()["path"] == "/srv/archive.duckdb"
    assert stores.roots == [tmp_path / "data"]
    assert stores.dataset("live", "commands").table == "cmds"
    assert stores.dataset("live", "commands").time == "started_at"
    assert Stores.model_validate(stores.dump()) == stores
    assert Stores.load(tmp_path / "nowhere.yaml") == Stores()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stores:\n  a: {duckdbb: x}", r"stores\.yaml, line 2: .*unknown store 'duckdbb' \(did you mean 'duckdb'"),
        ("stores:\n  a:\n    sqlite: {pth: x}", r"line 3: .*unknown option 'pth' \(did you mean 'path'"),
        ("stores:\n  a:\n    sqlite: {path: x, datasets: {c: {tme: x}}}", "'tme'"),
        ("stores:\n  a: {sqlite: {}}", "'path' is missing"),
        ("store: {}", r"unknown option 'store' \(did you mean 'stores'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "stores.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        Stores.load(tmp_path / "stores.yaml")


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_unknown_names_are_answered_with_near_ones(kind: str, tmp_path: Path) -> None:
    stores = KINDS[kind](tmp_path, ROWS).stores
    with pytest.raises(NotFoundError, match=r"no store 't' \(valid: s\)"):
        StoreSource(store="t", dataset="rows").open(stores)
    with pytest.raises(NotFoundError, match=r"store 's' has no data set 'row' \(did you mean 'rows'"):
        StoreSource(store="s", dataset="row").open(stores)
    bare = Stores.model_validate({"stores": {"s": {kind: stores.store("s").dump()["path"]}}})
    with pytest.raises(NotFoundError, match=r"store 's' has no table 'row' \(did you mean 'rows'"):
        StoreSource(store="s", dataset="row").open(bare)
    with StoreSource(store="s", dataset="rows").open(bare) as opened:
        assert opened.roles.time is None


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_roles_come_from_the_store_and_the_source(kind: str, tmp_path: Path) -> None:
    stores = KINDS[kind](tmp_path, ROWS).stores
    with StoreSource(store="s", dataset="rows", time="day").open(stores) as opened:
        assert (opened.roles.time, opened.roles.agent) == ("day", "agent")


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_role_of_a_column_that_is_gone_is_an_error(kind: str, tmp_path: Path) -> None:
    stores = KINDS[kind](tmp_path, ROWS.drop("agent")).stores
    with pytest.raises(ConfigError, match="dataset rows has no column 'agent' for 'agent'"):
        StoreSource(store="s", dataset="rows").open(stores)


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("DELETE FROM rows", "DELETE is refused"),
        ("INSERT INTO rows SELECT * FROM rows", "INSERT is refused"),
        ("UPDATE rows SET id = 1", "UPDATE is refused"),
        ("DROP TABLE rows", "DROP is refused"),
        ("CREATE TABLE x AS SELECT 1", "CREATE.* is refused"),
        ("ATTACH 'other.db' AS o", "ATTACH is refused"),
        ("SELECT 1; DELETE FROM rows", "one"),
        ("SELECT 1 AS a; SELECT 2", "one"),
        ("", "."),
        ("-- nothing", "."),
        ("SELEC 1", "(?i)syntax error"),
        ("SELECT nope FROM rows", "nope"),
        ("SELECT * FROM nope", "nope"),
        ("SELECT 1 AS a, 2 AS a", "two columns named 'a'"),
        ('SELECT id AS a, ok AS "A", id AS a FROM rows', "two columns named 'a'"),
    ],
)
def test_queries_only_read(kind: str, query: str, message: str, tmp_path: Path) -> None:
    made = KINDS[kind](tmp_path, ROWS)
    with pytest.raises(ConfigError, match=message):
        StoreSource(store="s", query=query).open(made.stores)
    with made.open() as opened:
        assert opened.count() == 4


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
@pytest.mark.parametrize(
    "query", ["SELECT * FROM rows ORDER BY id DESC -- last", "SELECT * FROM rows ORDER BY id DESC;\n"]
)
def test_the_order_of_a_query_is_kept(kind: str, query: str, tmp_path: Path) -> None:
    from zoneinfo import ZoneInfo

    from export_pipeline.filters import where

    made = KINDS[kind](tmp_path, ROWS)
    with StoreSource(store="s", query=query).open(made.stores) as opened:
        only = where("id", "ge", 0).bind(opened.schema, opened.roles, ZoneInfo("UTC"))
        for columns in (None, ["ok", "id"], ["id"]):
            ids = [value for batch in opened.batches(columns, only) for value in batch.column("id").to_pylist()]
            assert [value for value in ids if value >= 0] == [9223372036854775807, 9007199254740993, 0]


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_odd_names(kind: str, tmp_path: Path) -> None:
    made = KINDS[kind](tmp_path, ROWS)
    query = 'SELECT id AS "select", id AS "a ""b""", id AS "%s $1 ?", id AS "ü;--" FROM rows'
    with StoreSource(store="s", query=query).open(made.stores) as opened:
        from zoneinfo import ZoneInfo

        from export_pipeline.filters import where

        assert opened.schema.names() == ["select", 'a "b"', "%s $1 ?", "ü;--"]
        for name in opened.schema:
            only = where(name, "eq", 0).bind(opened.schema, opened.roles, ZoneInfo("UTC"))
            assert sum(batch.num_rows for batch in opened.batches([name], only)) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"store": "s"}, "either 'dataset' or 'query'"),
        ({"store": "s", "dataset": "a", "query": "b"}, "either 'dataset' or 'query'"),
        ({"dataset": "a"}, "'store' is missing"),
        ({"stor": "s", "dataset": "a"}, r"unknown option 'stor' \(did you mean 'store'"),
        ({"files": []}, "at least 1 item"),
        ({"files": "a.csv", "store": "s"}, "unknown option 'store'"),
        ({"files": "a.csv", "schema": {"a": "interger"}}, r"unknown column type 'interger' \(did you mean 'integer'"),
        ({"files": "a.csv", "format": "cvs"}, r"unknown file format 'cvs' \(did you mean 'csv'"),
    ],
)
def test_wrong_sources(data: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_value(AnySource, data)


def test_sources_are_told_by_their_keys() -> None:
    assert isinstance(parse_value(AnySource, {"files": "a.csv"}), FilesSource)
    assert isinstance(parse_value(AnySource, {"store": "s", "commandType": "c", "dataset": "d"}), StoreSource)


def test_a_missing_database_is_named(tmp_path: Path) -> None:
    for kind in ("duckdb", "sqlite"):
        stores = Stores.model_validate({"stores": {"s": {kind: str(tmp_path / "gone.db")}}})
        with pytest.raises(SourceError, match=r"store s: there is no file .*gone\.db"):
            StoreSource(store="s", dataset="rows").open(stores)
    assert not (tmp_path / "gone.db").exists()
