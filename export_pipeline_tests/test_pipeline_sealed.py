"""Whole runs whose files only some people can read: what is delivered, what is refused, what is nowhere to be seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import pyzipper

from export_pipeline.config import ExportConfig
from export_pipeline.defs.metadata import SHOWN
from export_pipeline.errors import ConfigError
from export_pipeline.home import Home
from export_pipeline.parsing import parse
from export_pipeline.pipeline import Context, plan, run
from export_pipeline.results import result_of
from export_pipeline_tests.gnupg import Gnupg, gnupg

WHEN = datetime(2026, 11, 5, 9, 30, tzinfo=UTC)
WORD = "a-word-that-nobody-may-see"
LOCKED = {"csv": {"compression": {"zip": {"password": {"env": "EXPORT_TEST_ZIP"}}}}}
SEALED = {"seal": {"pgp": ["keys/partner.asc"]}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("EXPORT_TEST_ZIP", WORD)
    made = Home(tmp_path / "home").create()
    pl.DataFrame({"id": range(3000), "who": [f"agent-{n % 7}" for n in range(3000)], "team": "a"}).write_parquet(
        made.root / "commands.parquet"
    )
    (made.root / "keys").mkdir()
    return made


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gnupg]:
    with gnupg() as made:
        yield made


@pytest.fixture(scope="module")
def key(gpg: Gnupg, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("key")
    return gpg.key("partner@example.com", folder / "partner.asc", kind="future-default").read_bytes()


def config(form: Any, **changes: Any) -> ExportConfig:
    given = {"name": "commands", "source": {"files": "commands.parquet"}, "file_name": "{name}", "format": form}
    return parse(ExportConfig, given | changes)


def test_a_zip_with_a_password_is_delivered_and_the_password_is_nowhere(home: Home) -> None:
    done = run(config(LOCKED), Context(home), logical_time=WHEN)
    (receipt,) = done.delivered.receipts["csv"]
    assert Path(receipt.place).name == "commands.csv.zip"
    with pyzipper.AESZipFile(receipt.place) as file:
        file.setpassword(WORD.encode())
        assert file.namelist() == ["commands.csv"]
        assert file.read("commands.csv").count(b"\n") == 3001
    result = result_of(done.plan, done.written, done.delivered, run_id="r")
    for model in (done.plan, done.written, done.delivered, result):
        assert WORD not in model.model_dump_json()
    for path in home.root.rglob("*"):
        assert not path.is_file() or WORD.encode() not in path.read_bytes(), path


def test_rows_of_a_confidential_file_are_not_shown(home: Home, key: bytes) -> None:
    (home.root / "keys" / "partner.asc").write_bytes(key)
    for form in (LOCKED, {"parquet": SEALED}, {"excel": SEALED}):
        done = run(config(form), Context(home), logical_time=WHEN)
        shown = SHOWN["write"](done.written, done.plan)
        assert "preview" not in shown
        if form != LOCKED:  # what is written is not yet what is delivered, and is not called so
            assert {"file", "bytes", "sha256"}.isdisjoint(shown)
            assert shown["plain_file"] == f"commands{'.parquet' if 'parquet' in form else '.xlsx'}"
        if form == {"excel": SEALED}:  # a row for each reason, not for each column
            assert [record.data["columns"] for record in shown["losses"].value.records] == ["id", "who, team"]


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ({"csv": SEALED | {"compression": "gzip"}}, "commands.csv.gz.pgp"),
        ({"json": SEALED | {"compression": "zip", "layout": "lines"}}, "commands.ndjson.zip.pgp"),
        ({"excel": SEALED}, "commands.xlsx.pgp"),
        ({"parquet": SEALED}, "commands.parquet.pgp"),
    ],
    ids=["csv", "json", "excel", "parquet"],
)
def test_a_sealed_file_is_delivered(home: Home, gpg: Gnupg, key: bytes, form: Any, name: str, tmp_path: Path) -> None:
    (home.root / "keys" / "partner.asc").write_bytes(key)
    done = run(config(form), Context(home), logical_time=WHEN)
    ((receipt,),) = done.delivered.receipts.values()
    place = Path(receipt.place)
    assert place.name == name
    assert [path.name for path in home.out.iterdir()] == [name]
    (artifact,) = done.written.artifacts.values()
    assert (receipt.bytes, receipt.sha256) == (artifact.bytes, artifact.sha256)
    shown = SHOWN["verify"](done.written, done.plan)
    assert (shown["sealed_file"], shown["sealed_bytes"], shown["sealed_sha256"]) == (
        name, receipt.bytes, receipt.sha256,
    )  # fmt: skip
    opened = tmp_path / "opened"
    opened.write_bytes(gpg.opened(place))
    if name.endswith(".zip.pgp"):
        assert zipfile.ZipFile(opened).namelist() == ["commands.ndjson"]
    elif name.endswith(".parquet.pgp"):
        assert pl.read_parquet(opened).height == 3000
    elif name.endswith(".csv.gz.pgp"):
        assert pl.read_csv(opened).height == 3000
    else:
        assert zipfile.is_zipfile(opened)
    assert list(home.staging.iterdir()) == []


def test_what_is_missing_is_refused_by_the_plan(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"keys/partner.asc' cannot be read"):
        plan(Context(home), config({"parquet": SEALED}), WHEN)
    with pytest.raises(ConfigError, match="outside of the folders"):
        plan(Context(home), config({"excel": {"seal": {"pgp": ["/etc/partner.asc"]}}}), WHEN)
    monkeypatch.delenv("EXPORT_TEST_ZIP")
    with pytest.raises(ConfigError, match="EXPORT_TEST_ZIP is not set"):
        plan(Context(home), config(LOCKED), WHEN)


_DIES = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from export_pipeline.config import ExportConfig
from export_pipeline.formats.pgp import Sieve
from export_pipeline.formats.sink import Sink
from export_pipeline.home import Home
from export_pipeline.parsing import parse
from export_pipeline.pipeline import Context, run
dies = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Sieve.finish = dies
config = parse(ExportConfig, {"name": "commands", "source": {"files": "commands.parquet"}, "file_name": "{name}",
    "format": {"csv": {"seal": {"pgp": ["keys/partner.asc"]}}}})
run(config, Context(Home(Path(sys.argv[1]))), logical_time=datetime(2026, 11, 5, tzinfo=UTC))
"""


def test_a_process_that_is_killed_while_it_seals_leaves_nothing_that_looks_finished(home: Home, key: bytes) -> None:
    (home.root / "keys" / "partner.asc").write_bytes(key)
    died = subprocess.run([sys.executable, "-c", _DIES, str(home.root)], env=dict(os.environ), check=False)
    assert died.returncode == -signal.SIGKILL
    assert not home.out.exists() or list(home.out.iterdir()) == []
    assert [path for path in home.staging.rglob("*.pgp") if not path.name.startswith(".")] == []
