"""Whole runs whose output is a folder: every part arrives once, whatever dies; what is shown of thousands of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from export_pipeline.config import ExportConfig
from export_pipeline.defs.metadata import SHOWN
from export_pipeline.destinations import Local
from export_pipeline.destinations.base import Steps
from export_pipeline.destinations.unfinished import Unfinished
from export_pipeline.errors import Cancelled, ConfigError, DeliveryError, TransientDeliveryError
from export_pipeline.home import Home
from export_pipeline.ledger import Ledger, State
from export_pipeline.manifest import Manifest
from export_pipeline.parsing import parse
from export_pipeline.pipeline import Context, Result, run
from export_pipeline.results import result_of

WHEN = datetime(2026, 11, 5, 9, 30, tzinfo=UTC)
HIVE = {"parquet": {"partition_by": ["agent"], "partition_values": {"dt": "2026-11-05"}, "commit_marker": True}}
SPLIT = {"csv": {"split": {"rows": 300}}}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home").create()
    rows = pl.DataFrame({"id": range(2000), "agent": [f"agent-{n % 7}" for n in range(2000)]})
    rows.write_parquet(made.root / "commands.parquet")
    return made


def config(**changes: Any) -> ExportConfig:
    plain = {"name": "commands", "source": {"files": "commands.parquet"}, "file_name": "lake/{name}", "format": HIVE}
    return parse(ExportConfig, plain | changes)


def once(home: Home, settings: ExportConfig, **context: Any) -> Result:
    return run(settings, Context(home, **context), logical_time=WHEN)


def files(home: Home) -> set[str]:
    return {path.relative_to(home.out).as_posix() for path in home.out.rglob("*") if path.is_file()}


def test_a_folder_is_delivered_part_by_part(home: Home) -> None:
    done = once(home, config(deliver=[{"local": {"manifest": "lake/manifest.json"}}]))
    (receipt,) = done.delivered.receipts["parquet"]
    assert (receipt.place, receipt.name, receipt.files) == (str(home.out / "lake/commands"), "lake/commands", 8)
    parts = [f"lake/commands/dt=2026-11-05/agent=agent-{n}/part-0.parquet" for n in range(7)]
    assert [part.name for part in receipt.parts] == [*parts, "lake/commands/_SUCCESS"]
    assert files(home) == {*parts, "lake/commands/_SUCCESS", "lake/manifest.json"}
    (listed,) = Manifest.read(home.out / "lake/manifest.json").files
    assert {part.name: part.rows for part in listed.parts}[parts[0]] == 286
    assert sum(part.rows for part in listed.parts) == listed.rows == 2000
    assert [(part.name, part.sha256) for part in listed.parts] == [(part.name, part.sha256) for part in receipt.parts]
    entries = Ledger(home.ledger_url).entries()
    assert len(entries) == 9 and {entry.state for entry in entries} == {State.VERIFIED}
    order = [entry.output for entry in sorted(entries, key=lambda entry: entry.updated_at)]
    assert order[-2:] == ["parquet/_SUCCESS", "manifest"]
    total = "SELECT count(*), count(DISTINCT agent) FROM read_parquet(?, hive_partitioning=true)"
    assert duckdb.execute(total, [f"{home.out}/lake/commands/**/*.parquet"]).fetchone() == (2000, 7)
    assert list(home.staging.iterdir()) == []


def test_csv_parts_are_delivered_in_order(home: Home) -> None:
    done = once(home, config(format=SPLIT))
    (receipt,) = done.delivered.receipts["csv"]
    names = [f"lake/commands/commands-part-{n:05d}.csv" for n in range(1, 8)]
    assert [part.name for part in receipt.parts] == names
    assert files(home) == set(names)


def test_results_and_events_show_a_folder_not_its_files(home: Home) -> None:
    done = once(home, config())
    made = result_of(done.plan, done.written, done.delivered, run_id="r")
    assert [(file.path, file.files, file.rows) for file in made.files] == [(str(home.out / "lake/commands"), 8, 2000)]
    assert [(receipt.files, receipt.parts) for receipt in made.receipts] == [(8, ())]
    shown = SHOWN["deliver"](done.delivered, done.plan)
    (record,) = shown["receipts"].records
    assert record.data["note"] == "a folder of 8 files"
    assert shown["path"].path == str(home.out / "lake/commands")
    plain = json.loads(json.dumps(done.delivered.dump()))
    assert type(done.delivered).model_validate(plain) == done.delivered


class _Dies(TransientDeliveryError):
    pass


def _interrupted(monkeypatch: pytest.MonkeyPatch, after: int, how: BaseException) -> None:
    """Let the delivery fail before the part after this many."""
    sent: list[str] = []
    send = Local.send

    def sending(self: Local, file: Any, request: Any) -> Steps:
        if len(sent) == after:
            raise how
        sent.append(file.name)
        return send(self, file, request)

    monkeypatch.setattr(Local, "send", sending)


@pytest.mark.parametrize("how", [_Dies("the disk is away"), KeyboardInterrupt(), Cancelled("stopped")], ids=repr)
@pytest.mark.parametrize("after", [0, 3, 7])
def test_a_delivery_that_dies_is_taken_up_where_it_was(
    home: Home, monkeypatch: pytest.MonkeyPatch, after: int, how: BaseException
) -> None:
    with monkeypatch.context() as patch:
        _interrupted(patch, after, how)
        with pytest.raises(type(how)):
            once(home, config())
    there = files(home)
    assert len(there) == after and "lake/commands/_SUCCESS" not in there
    before = {name: (home.out / name).stat().st_ino for name in there}
    done = once(home, config())
    (receipt,) = done.delivered.receipts["parquet"]
    assert [part.skipped for part in receipt.parts] == [True] * after + [False] * (8 - after)
    assert {name: (home.out / name).stat().st_ino for name in there} == before  # not sent again
    assert len(files(home)) == 8
    assert (f"{after} of 8 files were delivered before" in receipt.reason) is (after > 0)
    again = once(home, config()).delivered.receipts["parquet"][0]
    assert again.skipped and all(part.skipped for part in again.parts)


_VICTIM = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from export_pipeline.config import ExportConfig
from export_pipeline.destinations.unfinished import Unfinished
from export_pipeline.home import Home
from export_pipeline.pipeline import Context, run
root, given, when, after, moment = sys.argv[1:]
sent = []
def dying(publish):
    def call(*args):
        if len(sent) == int(after) and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = publish(*args)
        if len(sent) == int(after):
            os.kill(os.getpid(), signal.SIGKILL)
        sent.append(args[1])
        return result
    return call
Unfinished.replace, Unfinished.create = dying(Unfinished.replace), dying(Unfinished.create)
run(ExportConfig.model_validate_json(given), Context(Home(Path(root))), logical_time=datetime.fromisoformat(when))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("mode", "after"), [("overwrite", 4), ("fail", 4), ("overwrite", 7)])
def test_killed_between_parts_each_part_arrives_once(home: Home, moment: str, mode: str, after: int) -> None:
    settings = config(deliver=[{"local": {"if_exists": mode}}])
    given = settings.model_dump_json(exclude_unset=True, by_alias=True)
    victim = subprocess.run(
        [sys.executable, "-c", _VICTIM, str(home.root), given, WHEN.isoformat(), str(after), moment],
        env=os.environ.copy(),
    )
    assert victim.returncode == -signal.SIGKILL
    there = {name: (home.out / name).stat().st_ino for name in files(home) if not Path(name).name.startswith(".")}
    assert len(there) == after + (moment == "after")
    assert ("lake/commands/_SUCCESS" in there) is (after == 7 and moment == "after")
    (receipt,) = once(home, settings).delivered.receipts["parquet"]
    before = sum(part.skipped for part in receipt.parts)
    assert before == (7 if after == 7 else 0)  # the receipts of a batch come together; the marker is its own batch
    assert {name: (home.out / name).stat().st_ino for name in there} == there  # not sent again
    assert len(files(home)) == 8
    entries = Ledger(home.ledger_url).entries()
    assert len(entries) == 8 and {(entry.state, entry.attempt) for entry in entries} == {(State.VERIFIED, 1)}
    assert sum((entry.receipt or {}).get("recovered", False) for entry in entries) == len(there) - before


@pytest.mark.parametrize("after", [1, 3, 7])
def test_a_stop_between_parts_ends_it(home: Home, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    stop = threading.Event()
    publish, published = Unfinished.replace, []

    def stopping(part: Unfinished, name: str) -> None:
        publish(part, name)
        published.append(name)
        if len(published) == after:
            stop.set()

    monkeypatch.setattr(Unfinished, "replace", stopping)
    with pytest.raises(Cancelled):
        once(home, config(), stop=stop)
    assert len(files(home)) == after
    receipts = Ledger(home.ledger_url).entries(state=State.VERIFIED)
    assert len(receipts) == after


def test_parts_of_a_former_run_stay_and_are_named(home: Home) -> None:
    once(home, config())
    other = config(filter={"where": {"field": "agent", "operator": "in", "value": ["agent-1", "agent-2"]}})
    (receipt,) = once(home, other).delivered.receipts["parquet"]
    assert len(receipt.parts) == 3 and len(files(home)) == 8
    assert receipt.reason.startswith("files of other runs are in the folder, too: lake/commands/dt=2026-11-05/agent=")
    assert receipt.reason.endswith(" and 2 more")


def test_the_files_of_a_folder_are_not_numbered(home: Home) -> None:
    with pytest.raises(ConfigError, match="if_exists: version cannot be used with an output of several files"):
        once(home, config(deliver=[{"local": {"if_exists": "version"}}]))


def test_a_folder_s_name_has_no_number_of_a_part(home: Home) -> None:
    with pytest.raises(ConfigError, match="numbers parts, but it names the folder"):
        once(home, config(format={"csv": {"split": {"rows": 10}}}, file_name="{name}-{part:3}"))


def test_a_part_that_is_there_already_can_be_a_failure(home: Home) -> None:
    settings = config(deliver=[{"local": {"if_exists": "fail"}}])
    place = home.out / "lake/commands/dt=2026-11-05/agent=agent-2"
    place.mkdir(parents=True)
    (place / "part-0.parquet").write_text("somebody else's")
    with pytest.raises(DeliveryError, match="is there already"):
        once(home, settings)
    assert (place / "part-0.parquet").read_text() == "somebody else's"
    assert not (home.out / "lake/commands/_SUCCESS").exists()


def test_a_folder_without_rows(home: Home) -> None:
    nothing = {"where": {"field": "id", "value": -1}}
    (receipt,) = once(home, config(filter=nothing)).delivered.receipts["parquet"]
    assert [part.name for part in receipt.parts] == ["lake/commands/_SUCCESS"]
    bare = config(filter=nothing, format={"parquet": {"partition_by": ["agent"]}}, file_name="bare")
    (receipt,) = once(home, bare).delivered.receipts["parquet"]
    assert (receipt.files, receipt.place) == (0, str(home.out / "bare"))


def test_rows_of_an_encrypted_file_are_not_shown(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_FOLDER_KEY", "a2tra2tra2tra2tra2traw==")
    for form, seen in (
        ("parquet", True),
        ({"parquet": {"encryption": {"key": {"env": "EXPORT_FOLDER_KEY"}}}}, False),
    ):
        done = once(home, config(format=form))
        home.staging.joinpath("keep").mkdir(exist_ok=True)
        artifact = done.written.artifacts["parquet"]
        held = artifact.replace(path=Path(done.delivered.receipts["parquet"][0].place))
        shown = SHOWN["write"](done.written.replace(artifacts={"parquet": held}), done.plan)
        assert ("preview" in shown) is seen
        assert "a2tra2tra2tra2tra2traw" not in (done.plan.model_dump_json() + done.delivered.model_dump_json())


def test_a_key_that_stores_yaml_lists_may_be_used(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKE_KEY", "a2tra2tra2tra2tra2traw==")
    settings = config(format={"parquet": {"encryption": {"key": {"env": "LAKE_KEY"}}}})
    with pytest.raises(ConfigError, match="may not be read"):
        once(home, settings)
    home.stores.write_text("environment: [LAKE_KEY]\n")
    place = Path(once(home, settings).delivered.receipts["parquet"][0].place)
    assert place.read_bytes()[:4] == b"PARE"
