"""From the GraphQL launch to the delivered file, queued and without a queue."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from export_pipeline.home import Home
from export_pipeline_tests.benchmarks.measure import Line
from export_pipeline_tests.dagster_server import Server, dagster_server

EXPORT = """\
version: 1
source: {store: bench, dataset: commands}
format: csv
file_name: "{run_id}"
"""
COORDINATORS = {
    "queued": None,
    "no queue": "run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}\n",
}
"""Name -> settings that take the place of the queue's; None leaves them."""


def measure(source: Path, folder: Path, runs: int) -> list[Line]:
    """Return the median seconds from launch to a file of 1M rows at its place, for each coordinator."""
    store = f"stores: {{bench: {{duckdb: {{path: {source.with_suffix('.duckdb')}}}}}}}\n"
    made = []
    for name, coordinator in COORDINATORS.items():
        home = Home(folder / f"home {name}").create()
        home.stores.write_text(store, encoding="utf-8")
        (home.exports / "bench.yaml").write_text(EXPORT, encoding="utf-8")
        with dagster_server(home.root, folder / f"dagster {name}", settings=coordinator) as server:
            server.finished("bench")  # the first run of a server also fills its caches
            taken = [_one(server, home) for _ in range(runs)]
        size = next(home.out.iterdir()).stat().st_size / 1e6
        made.append(
            Line(
                "launch to file", name, 1_000_000, statistics.median(taken), 0.0, 0.0, round(size, 1), runs, None, None
            )
        )
    return made


def _one(server: Server, home: Home) -> float:
    before = set(home.out.iterdir())
    began = time.perf_counter()
    run_id = server.launch("bench")
    while not set(home.out.glob("*.csv")) - before:
        time.sleep(0.01)
    seconds = time.perf_counter() - began
    server.wait(run_id)
    return round(seconds, 3)
