"""The list of delivered files."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from export_pipeline.destinations import Local, Request, deliver_manifest
from export_pipeline.errors import StorageError
from export_pipeline.ledger import Ledger
from export_pipeline.manifest import Manifest, ManifestFile
from export_pipeline.verification import Artifact, Loss

NOON = datetime(2026, 11, 23, 11, tzinfo=UTC)


def artifact(folder: Path, name: str, data: bytes) -> Artifact:
    path = folder / f"staged-{name}"
    path.write_bytes(data)
    return Artifact(
        path=path,
        name=name,
        format="csv",
        rows=2,
        columns={"agent": "String", "cost": "Float64"},
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        checksums={"agent": "0" * 16, "cost": "1" * 16},
        losses=(Loss(column="cost", why="NaN is written as text"),),
    )


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    return Request("orders", "run-1", NOON, "csv", "c0ffee", ledger, tmp_path / "out")


def test_what_is_written_reads_back_and_leaves_nothing_else(tmp_path: Path) -> None:
    file = ManifestFile(name="a.csv", output="csv", format="csv", rows=1, bytes=2, sha256="ab", columns={"a": "Int64"})
    manifest = Manifest(export="orders", run_id="r", logical_time=NOON, plan_hash="c0ffee", files=[file])
    written = manifest.write(tmp_path / "manifest.json")
    assert Manifest.read(tmp_path / "manifest.json") == manifest
    data = (tmp_path / "manifest.json").read_bytes()
    assert (written.bytes, written.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert json.loads(data)["files"][0]["rows"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    with pytest.raises(StorageError):
        manifest.write(tmp_path / "not there" / "manifest.json")


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (True, "orders-2026-11-23-1200.manifest.json"),
        ("manifest.json", "manifest.json"),
        ("{name}/all", "orders/all.json"),
    ],
)
def test_a_folder_that_wants_one_gets_it_last(tmp_path: Path, request_: Request, option: bool | str, name: str) -> None:
    folder = Local(folder="reports", if_exists="version", manifest=option)
    (tmp_path / "out" / "reports").mkdir(parents=True)
    (tmp_path / "out" / "reports" / "orders.csv").write_bytes(b"somebody else's")
    file = artifact(tmp_path, "orders.csv", b"agent,cost\na,1\nb,2\n")
    receipt = folder.deliver(file, request_)
    zone = ZoneInfo("Europe/Berlin")
    made = deliver_manifest(folder, {"csv": (file, receipt)}, request_, zone=zone, staging=tmp_path)
    assert made is not None
    assert made.name == name
    listed = Manifest.read(tmp_path / "out" / "reports" / name)
    assert (listed.export, listed.run_id, listed.logical_time, listed.plan_hash) == ("orders", "run-1", NOON, "c0ffee")
    (only,) = listed.files
    there = (tmp_path / "out" / "reports" / only.name).read_bytes()
    assert (only.name, only.rows, only.columns) == ("orders (2).csv", 2, {"agent": "String", "cost": "Float64"})
    assert (only.bytes, only.sha256) == (len(there), hashlib.sha256(there).hexdigest())
    assert only.losses == ({"column": "cost", "why": "NaN is written as text"},)
    again = deliver_manifest(folder, {"csv": (file, receipt)}, request_, zone=zone, staging=tmp_path)
    assert again is not None
    assert again.skipped


def test_by_default_a_folder_gets_only_the_files(tmp_path: Path, request_: Request) -> None:
    file = artifact(tmp_path, "orders.csv", b"agent,cost\n")
    receipt = Local().deliver(file, request_)
    assert deliver_manifest(Local(), {"csv": (file, receipt)}, request_, zone=ZoneInfo("UTC"), staging=tmp_path) is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["orders.csv"]


def test_its_name_is_checked_when_the_export_is_read() -> None:
    with pytest.raises(ValidationError, match="may leave its folder"):
        Local(manifest="../manifest.json")
