"""`up`, and the other commands while it runs."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from export_pipeline import labels
from export_pipeline.errors import ConfigError
from export_pipeline.home import Home
from export_pipeline.results import ExportResult
from export_pipeline.service import ExportService
from export_pipeline_tests.cli.conftest import COMMANDS, Up, make_home, started
from export_pipeline_tests.cli.terminal import command, living, terminal
from export_pipeline_tests.dagster_server import wait_for

pytestmark = pytest.mark.server
BUSY = 20.0
"""Seconds for what takes five on a quiet machine."""


def _latest(up: Up) -> ExportResult:
    ((_, result),) = ExportService(Home(up.home)).get_export_history(limit=1)
    return result


def _tags(up: Up, run_id: str) -> dict[str, str]:
    text = "query($id: ID!) { runOrError(runId: $id) { ... on Run { tags { key value } } } }"
    return {tag["key"]: tag["value"] for tag in up.instance.query(text, id=run_id)["runOrError"]["tags"]}


def test_it_says_where_it_is(up: Up) -> None:
    port = int(up.instance.url.rsplit(":", 1)[1])
    assert port > up.busy
    assert f"port {up.busy} is busy; taking {port}" in up.text
    assert f"Dagster UI   http://127.0.0.1:{port}\n" in up.text
    assert f"GraphQL      http://127.0.0.1:{port}/graphql\n" in up.text
    assert "max_concurrent_runs: 1" in (up.home / ".dagster" / "dagster.yaml").read_text()


def test_a_second_one_says_so(up: Up) -> None:
    done = command(up.home, "up")
    assert (done.code, done.out) == (0, f"Dagster is up already for {up.home}: {up.instance.url}\n")
    assert command(up.home, "status").out.splitlines()[1] == f"up    {up.instance.url}"


def test_run_goes_through_it(up: Up) -> None:
    done = command(up.home, "run", "failed-commands", "--set", "limit=3", "--json")
    assert done.code == 0, done.err
    assert done.json["state"] == "done"
    assert done.json["rows"] == 3
    assert done.json["files"][0]["path"] == str(up.home / "out/reports/failed-commands.csv")
    tags = _tags(up, done.json["run_id"])
    assert labels.WORKER not in tags
    assert tags[labels.TRIGGER] == "command"
    assert _latest(up).run_id == done.json["run_id"]


def test_run_with_the_rights_of_a_person_goes_its_own_way(up: Up, tmp_path: Path) -> None:
    done = command(up.home, "run", "failed-commands", "--output", str(tmp_path), "--json")
    assert done.code == 0, done.err
    assert done.json["files"][0]["path"] == str(tmp_path / "reports/failed-commands.csv")
    assert labels.WORKER in _tags(up, done.json["run_id"])


def test_bad_values_are_refused_before_a_run(up: Up) -> None:
    before = _latest(up).run_id
    done = command(up.home, "run", "failed-commands", "--set", "filter.status=[failed]", "--set", "sort=[-nope]")
    assert done.code in (1, 2)
    assert "nope" in done.told[-3]
    done = command(up.home, "run", "failed-commands", "--set", "formt=csv")
    assert done.code == 2
    assert done.told[0] == "unknown option 'formt' (did you mean 'format'?)"
    assert _latest(up).run_id == before or _latest(up).state == "failed"


def test_a_saved_file_is_a_job(up: Up) -> None:
    saved = time.monotonic()
    (up.home / "exports" / "fresh.yaml").write_text(COMMANDS.replace('"{name}"', "fresh"))
    wait_for(lambda: "fresh" in up.instance.jobs(), BUSY, lambda: up.text)
    print(f"a saved file was a job after {time.monotonic() - saved:.1f} s")
    done = command(up.home, "run", "newest", "--json")
    assert done.code == 2
    (up.home / "exports" / "newest.yaml").write_text(COMMANDS.replace('"{name}"', "newest"))
    done = command(up.home, "run", "newest", "--json")  # at once: it need not wait for the watch
    assert (done.code, done.json["state"]) == (0, "done")
    (up.home / "exports" / "fresh.yaml").write_text("source: {files: x.csv}\nformt: csv\n")
    wait_for(lambda: "fresh.yaml, line 2: unknown option 'formt'" in up.text, BUSY, lambda: up.text)
    assert command(up.home, "run", "failed-commands", "--json").code == 0
    (up.home / "exports" / "fresh.yaml").unlink()


def test_an_edited_file_is_what_runs(up: Up) -> None:
    (up.home / "exports" / "newest.yaml").write_text(COMMANDS.replace('"{name}"', "newest") + "limit: 7\n")
    assert command(up.home, "run", "newest", "--json").json["rows"] == 7


@pytest.mark.parametrize("export", ["waiting", "slow"])
def test_ctrl_c(up: Up, export: str) -> None:
    with terminal(up.home, "run", export) as run:
        run.until(f"{export}: (plan|extract|write)", 90)
        pressed = time.monotonic()
        run.press("\x03")
        assert run.wait() == 130
        print(f"cancelled {time.monotonic() - pressed:.2f} s after Ctrl-C")
        assert time.monotonic() - pressed < BUSY
    cancelled = _latest(up)
    assert cancelled.state == "cancelled"
    wait_for(lambda: not (up.home / ".staging" / cancelled.run_id).exists(), BUSY, lambda: "its folder is left")


def test_cancel_of_queued_and_running(up: Up) -> None:
    with terminal(up.home, "run", "waiting") as first:
        first.until("waiting: plan", 90)
        running = _latest(up).run_id
        with terminal(up.home, "run", "failed-commands") as second:
            second.until("failed-commands: queued", 60)
            queued = _latest(up).run_id
            assert command(up.home, "cancel", queued).out == "failed-commands: cancelled\n"
            assert second.wait() == 130
        assert command(up.home, "cancel", running).out == "waiting: cancelled\n"
        assert first.wait() == 130


def test_the_ui_cancels_a_run_of_the_command(up: Up, tmp_path: Path) -> None:
    with terminal(up.home, "run", "waiting", "--output", str(tmp_path)) as run:
        run.until("waiting: plan", 60)
        up.instance.terminate(_latest(up).run_id)  # as the button of the Dagster UI does
        assert run.wait(BUSY) == 130
    assert _latest(up).state == "cancelled"


def test_two_ends(tmp_path: Path) -> None:
    """Ctrl-C ends everything that it started; so does a SIGKILL, after which the next `up` sees to the rest."""
    home = make_home(tmp_path / "home")
    with started(home, 4300) as one:
        group = one.instance.pid
        assert _group(group)
        run_id = one.instance.launch("failed_commands", {}, {})
        wait_for(lambda: ExportService(Home(home)).get_export_status(run_id)[0].state == "done", 60, lambda: one.text)
        os.kill(one.pid, signal.SIGINT)
        wait_for(lambda: not living(one.pid), 40, lambda: one.text)
        assert _group(group) == []
        assert not (home / ".dagster" / "instance.json").exists()
        assert one.text.endswith("stopped\n")
    with started(home, 4300) as two:
        group = two.instance.pid
        os.kill(two.pid, signal.SIGKILL)
        assert re.search(r'"url"', (home / ".dagster" / "instance.json").read_text())
        done = command(home, "run", "failed-commands", "--json")  # nobody is up: it needs nobody
        assert done.code == 0
        wait_for(lambda: _group(group) == [], BUSY, lambda: two.text)
    states = [result.state for _, result in ExportService(Home(home)).get_export_history()]
    assert states == ["done", "done"]


def _group(leader: int) -> list[int]:
    """Return the living processes of a group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(entry.name)) == leader and living(int(entry.name)):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(("host", "told"), [("nope.invalid", "is no address"), ("203.0.113.1", "of this machine")])
def test_hosts_that_cannot_be(host: str, told: str) -> None:
    from export_pipeline.cli.ports import free_port

    with pytest.raises(ConfigError, match=told):
        free_port(host, 4400)
