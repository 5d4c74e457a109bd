"""`up`, and the other commands while it runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from export_pipeline import labels
from export_pipeline.cli.ports import address, free_port
from export_pipeline.cli.servers import end_leftovers
from export_pipeline.defs.instance import open_instance
from export_pipeline.defs.lives import bury_abandoned
from export_pipeline.errors import ConfigError, ExportError
from export_pipeline.home import Home
from export_pipeline.instance import claimed, is_claimed
from export_pipeline.results import ExportResult
from export_pipeline.service import ExportService
from export_pipeline_tests.cli.conftest import COMMANDS, Up, started
from export_pipeline_tests.cli.terminal import command, inside, living, terminal
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
    done = inside(up.home, "run", "failed-commands", "--output", str(tmp_path), "--json")
    assert done.code == 0, done.err
    assert done.json["files"][0]["path"] == str(tmp_path / "reports/failed-commands.csv")
    assert labels.WORKER in _tags(up, done.json["run_id"])


def test_bad_values_are_refused_before_a_run(up: Up) -> None:
    before = _latest(up).run_id
    done = inside(up.home, "run", "failed-commands", "--set", "filter.status=[failed]", "--set", "sort=[-nope]")
    assert done.code in (1, 2)
    assert "nope" in done.told[-3]
    done = inside(up.home, "run", "failed-commands", "--set", "formt=csv")
    assert done.code == 2
    assert done.told[0] == "unknown option 'formt' (did you mean 'format'?)"
    assert _latest(up).run_id == before or _latest(up).state == "failed"


def test_a_saved_file_is_a_job(up: Up) -> None:
    saved = time.monotonic()
    (up.home / "exports" / "fresh.yaml").write_text(COMMANDS.replace('"{name}"', "fresh"))
    wait_for(lambda: "fresh" in up.instance.jobs(), BUSY, lambda: up.text)
    print(f"a saved file was a job after {time.monotonic() - saved:.1f} s")
    done = inside(up.home, "run", "newest", "--json")
    assert done.code == 2
    (up.home / "exports" / "newest.yaml").write_text(COMMANDS.replace('"{name}"', "newest"))
    done = inside(up.home, "run", "newest", "--json")  # at once: it need not wait for the watch
    assert (done.code, done.json["state"], done.json["rows"]) == (0, "done", 200)
    (up.home / "exports" / "newest.yaml").write_text(COMMANDS.replace('"{name}"', "newest") + "limit: 7\n")
    assert inside(up.home, "run", "newest", "--json").json["rows"] == 7  # the file as it is now
    (up.home / "exports" / "fresh.yaml").write_text("source: {files: x.csv}\nformt: csv\n")
    wait_for(lambda: "fresh.yaml, line 2: unknown option 'formt'" in up.text, BUSY, lambda: up.text)
    assert "failed_commands" in up.instance.jobs()
    (up.home / "exports" / "fresh.yaml").unlink()


def test_ctrl_c(up: Up) -> None:
    with terminal(up.home, "run", "slow") as run:
        run.until("slow: (plan|extract|write)", 90)
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
            assert inside(up.home, "cancel", queued).out == "failed-commands: cancelled\n"
            assert second.wait() == 130
        assert inside(up.home, "cancel", running).out == "waiting: cancelled\n"
        assert first.wait() == 130


def test_the_ui_cancels_a_run_of_the_command(up: Up, tmp_path: Path) -> None:
    with terminal(up.home, "run", "waiting", "--output", str(tmp_path)) as run:
        run.until("waiting: plan", 60)
        up.instance.terminate(_latest(up).run_id)  # as the button of the Dagster UI does
        assert run.wait(BUSY) == 130
    assert _latest(up).state == "cancelled"


def test_jobs_that_dagster_lost_come_back(up: Up) -> None:
    """Its code server ends by itself when the computer slept."""
    for pid in _group(up.instance.pid):
        if b"\0grpc\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
    wait_for(lambda: "had lost the exports" in up.text, 90, lambda: up.text)

    def are_back() -> bool:
        with contextlib.suppress(ExportError):
            return "failed_commands" in up.instance.jobs()
        return False

    wait_for(are_back, 60, lambda: up.text)
    done = command(up.home, "run", "failed-commands", "--set", "limit=2", "--set", "file_name=back", "--json")
    assert (done.code, done.json["rows"]) == (0, 2), done.err


def test_ctrl_c_ends_everything(up: Up) -> None:
    """The last test of the session's `up`."""
    group = up.instance.pid
    assert _group(group)
    running = up.instance.launch("waiting", {}, {})
    service = ExportService(Home(up.home))
    wait_for(lambda: service.get_export_status(running)[0].state == "running", 60, lambda: up.text)
    queued = up.instance.launch("failed_commands", {}, {})
    os.kill(up.pid, signal.SIGINT)
    wait_for(lambda: not living(up.pid), 60, lambda: up.text)
    assert up.text.endswith("cancelling 1 running exports\nstopped\n")
    assert _group(group) == []
    assert not (up.home / ".dagster" / "instance.json").exists()
    assert service.get_export_status(running)[0].state == "cancelled"
    assert service.get_export_status(queued)[0].state == "queued"
    assert inside(up.home, "cancel", queued).out == "failed-commands: cancelled\n"  # nobody is needed for that


def test_a_killed_one(shared: Path) -> None:
    former = [result.run_id for _, result in ExportService(Home(shared)).get_export_history(limit=1000)]
    with started(shared, 4300) as again:
        runs = again.instance.query("query { runsOrError { ... on Runs { results { runId } } } }")["runsOrError"]
        assert [run["runId"] for run in runs["results"]] == former  # the history is kept
        group = again.instance.pid
        lost = again.instance.launch("waiting", {}, {})
        service = ExportService(Home(shared))
        wait_for(lambda: service.get_export_status(lost)[0].state == "running", 60, lambda: again.text)
        os.kill(again.pid, signal.SIGKILL)
        wait_for(lambda: not is_claimed(Home(shared)), 10, lambda: again.text)  # a process dies a little later
        assert "http" in (shared / ".dagster" / "instance.json").read_text()
        done = inside(shared, "run", "failed-commands", "--json")
        assert done.code == 0  # it needs nobody, and is not misled by what was left
        with claimed(Home(shared)) as mine, open_instance(Home(shared)) as dagster:  # as the next `up` does
            assert mine
            end_leftovers(group)
            wait_for(lambda: _group(group) == [], BUSY, lambda: f"{_group(group)} live")
            assert bury_abandoned(dagster, Home(shared)) in ([lost], [])
        assert service.get_export_status(lost)[0].state == "failed"


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_leftovers_are_ended() -> None:
    script = "import time; time.sleep(600)  # as long as dagster"
    left = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        assert end_leftovers(left.pid)
        assert left.wait(10) == -signal.SIGTERM
        assert not end_leftovers(left.pid)
        assert not end_leftovers(other.pid)  # an id that somebody else has now
        assert other.poll() is None
    finally:
        for process in (left, other):
            process.kill()
            process.wait()


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
    with pytest.raises(ConfigError, match=told):
        free_port(host, 4400)


def test_addresses() -> None:
    assert [address(host) for host in ("127.0.0.1", "0.0.0.0", "::", "fe80::1", "box")] == [
        "127.0.0.1",
        "127.0.0.1",
        "[::1]",
        "[fe80::1]",
        "box",
    ]
