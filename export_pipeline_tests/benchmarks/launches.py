"""What Dagster adds: from GraphQL launch to delivered file, eight launches at once, how fast a cancel is.

A person does not launch every second: before each single launch the next process gets the time to be ready. Those one
after another and those at once get none.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from export_pipeline.defs.standby import PROGRAM
from export_pipeline.home import Home
from export_pipeline_tests.benchmarks.measure import Line
from export_pipeline_tests.dagster_server import Server, dagster_server, wait_for

EXPORT = """\
version: 1
source: {store: bench, dataset: commands}
format: csv
file_name: "{run_id}"
"""
LONG = """\
version: 1
source: {files: long/*.parquet}
sort: [message, id]
format: csv
file_name: "{run_id}"
"""
COPIES = 10
"""How often the table is repeated for the export that is cancelled inside its sort."""
DIRECT = "run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}\n"
"""Settings that take the place of the queue's."""
AT_ONCE = 8
REST = 15.0
"""Seconds at most that a process gets to be ready."""


def measure(source: Path, folder: Path, runs: int) -> list[Line]:
    """Return the median seconds of each kind; exports of 1M rows, cancels inside a sort of 10M."""
    made = []
    with _serving(source, folder, "queued", None) as (server, home):
        made.append(_line("launch to file", "queued", [_one(server, home) for _ in range(runs)]))
        one_by_one = _several(server, at_once=False)
        together = _several(server, at_once=True)
        made += [_line(f"{AT_ONCE} exports", "one after another", [one_by_one]), _line("", "at once", [together])]
    with _serving(source, folder, "direct", DIRECT) as (server, home):
        made.append(_line("launch to file", "no queue", [_one(server, home) for _ in range(runs)]))
        cancels = [_cancel(server) for _ in range(4 * runs)]
        made.append(_line("cancel to end", "median", cancels))
        made.append(_line("cancel to end", "p95", [statistics.quantiles(cancels, n=20)[-1]]))
        made.append(_line("cancel to end", "worst", [max(cancels)]))
    return made


class _serving:
    """A Dagster with the two exports, warmed by one run: the first one fills its caches."""

    def __init__(self, source: Path, folder: Path, name: str, settings: str | None) -> None:
        self.home = Home(folder / f"home {name}").create()
        store = f"stores: {{bench: {{duckdb: {{path: {source.with_suffix('.duckdb')}}}}}}}\n"
        self.home.stores.write_text(store, encoding="utf-8")
        (self.home.exports / "bench.yaml").write_text(EXPORT, encoding="utf-8")
        (self.home.exports / "long.yaml").write_text(LONG, encoding="utf-8")
        (self.home.root / "long").mkdir()
        for copy in range(COPIES):
            (self.home.root / "long" / f"{copy}.parquet").hardlink_to(source)
        self._server = dagster_server(self.home.root, folder / f"dagster {name}", settings=settings)

    def __enter__(self) -> tuple[Server, Home]:
        server = self._server.__enter__()
        server.finished("bench")
        return server, self.home

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(None, None, None)


def _line(group: str, name: str, seconds: list[float]) -> Line:
    return Line(group, name, 1_000_000, round(statistics.median(seconds), 3), 0, 0, 0, len(seconds), None, None)


def _one(server: Server, home: Home) -> float:
    _rest(server)
    before = set(home.out.iterdir())
    began = time.perf_counter()
    run_id = server.launch("bench")
    while not set(home.out.glob("*.csv")) - before:
        time.sleep(0.01)
    seconds = time.perf_counter() - began
    server.wait(run_id)
    return seconds


def _several(server: Server, *, at_once: bool) -> float:
    """Return the seconds until all of several exports are delivered and right."""
    began = time.perf_counter()
    launched = []
    for _ in range(AT_ONCE):
        launched.append(server.launch("bench"))
        if not at_once:
            assert server.wait(launched[-1]) == "SUCCESS"
    assert [server.wait(run_id, timeout=300) for run_id in launched] == ["SUCCESS"] * AT_ONCE
    return time.perf_counter() - began


def _cancel(server: Server) -> float:
    """Return the seconds from the cancel of a run inside its sort until its status is final and its process gone."""
    _rest(server)
    run_id = server.launch("long")
    assert server.wait(run_id, ("STARTED",)) == "STARTED"
    wait_for(lambda: "aggregate" in server.steps(run_id), 60, lambda: "the sort did not begin")
    time.sleep(0.5)
    worker = _worker(server, run_id)
    began = time.perf_counter()
    server.terminate(run_id)
    wait_for(lambda: server.run(run_id)["status"] == "CANCELED" and not _alive(worker), 60, lambda: "it goes on")
    return time.perf_counter() - began


def _rest(server: Server) -> None:
    """Wait until a process waits for a run, and no other runs."""
    until = time.monotonic() + REST
    while not len(server.processes(PROGRAM)) == len(server.waiting()) == 1 and time.monotonic() < until:
        time.sleep(0.1)


def _worker(server: Server, run_id: str) -> int:
    """Return the process of a run, as its own log names it."""
    told = next(line for line in server.told(run_id) if "pid:" in line)
    return int(told.split("pid:")[1].strip(" ).").split(")")[0])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
