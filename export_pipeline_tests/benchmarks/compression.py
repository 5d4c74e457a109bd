"""Compression alone: ours beside the command line tools, over the same bytes of CSV.

Ours runs in a process of its own and is timed without start and imports; tools are timed from start to end.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PIECE = 2_600_000
"""Bytes that Polars writes at once."""


@dataclass(frozen=True)
class Packed:
    """Medians of one way to compress."""

    group: str
    name: str
    megabytes: float
    """Of the input, 10**6 bytes."""
    seconds: float
    cpu: float
    size: float
    """Of the result, MB."""
    runs: int

    @property
    def speed(self) -> float:
        """MB of input per second."""
        return self.megabytes / self.seconds

    @property
    def ratio(self) -> float:
        """The result's share of the input."""
        return self.size / self.megabytes


OURS = "export_pipeline"
CASES: tuple[tuple[str, str, Any], ...] = (
    *((f"gzip {n}", OURS, {"gzip": n}) for n in (1, 2, 6, 9)),
    ("gzip 6, 2 threads", OURS, {"gzip": {"level": 6, "threads": 2}}),
    *((f"gzip {n}", "gzip", ["gzip", f"-{n}", "-nc"]) for n in (1, 2, 6, 9)),
    *((f"gzip {n}", "pigz -p1", ["pigz", f"-{n}", "-np1", "-c"]) for n in (1, 6)),
    ("gzip 6, 2 threads", "pigz -p2", ["pigz", "-6", "-np2", "-c"]),
    *((f"zstd {n}", OURS, {"zstd": n}) for n in (1, 3, 9)),
    ("zstd 9, 2 threads", OURS, {"zstd": {"level": 9, "threads": 2}}),
    *((f"zstd {n}", "zstd --single-thread", ["zstd", f"-{n}", "-qc", "--single-thread"]) for n in (1, 3, 9)),
    ("zstd 9, 2 threads", "zstd -T2", ["zstd", "-9", "-qc", "-T2"]),
    *((f"brotli {n}", OURS, {"brotli": n}) for n in (1, 4)),
    *((f"brotli {n}", "brotli", ["brotli", f"-{n}", "-c"]) for n in (1, 4)),
    ("zip 2", OURS, {"zip": 2}),
    ("zip 6", OURS, {"zip": 6}),
    ("zip 6", "zip", ["zip", "-6", "-qX", "-"]),
    ("zip 6", "7zz", ["7zz", "a", "-tzip", "-mx5", "-mmt1", "-bd", "-bso0", "-so", "x.zip"]),
    ("zip 2, password", OURS, {"zip": {"level": 2, "password": {"env": "EXPORT_BENCH_WORD"}}}),
    ("zip 6, password", OURS, {"zip": {"level": 6, "password": {"env": "EXPORT_BENCH_WORD"}}}),
)


def _tool(command: list[str], source: Path, out: Path) -> tuple[float, float]:
    """Return wall and CPU seconds of a command line tool."""
    with source.open("rb") as given, out.open("wb") as taken:
        began = time.perf_counter()
        place = [str(source)] if command[0] in ("zip", "7zz") else []
        with subprocess.Popen([*command, *place], stdin=given, stdout=taken) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"{command} failed: exit {process.returncode}")
        return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def _ours(options: Any, source: Path, out: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", __name__, json.dumps(options), str(source), str(out)]
    environment = {**os.environ, "EXPORT_BENCH_WORD": "pass word"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    seconds, cpu = json.loads(done.stdout)
    return seconds, cpu


def _work(options: Any, source: Path, out: Path) -> tuple[float, float]:
    """Compress here; return wall and CPU seconds."""
    import io

    from pydantic import TypeAdapter

    from export_pipeline.compression import AnyCompression

    codec = TypeAdapter[Any](AnyCompression).validate_python(options)
    with codec.compressing(io.BytesIO()) as stage:  # what is imported late is imported now
        stage.write(b"x")
    began, used = time.perf_counter(), time.process_time()
    with source.open("rb") as given, out.open("wb") as taken, codec.compressing(taken) as stage:
        while piece := given.read(PIECE):
            stage.write(piece)
    return time.perf_counter() - began, time.process_time() - used


def measure(source: Path, folder: Path, runs: int, say: Callable[[str], None]) -> list[Packed]:
    """Return the medians; cases take turns. Tools that are not there are left out."""
    listed = []
    for group, name, how in CASES:
        if isinstance(how, list) and shutil.which(how[0]) is None:
            say(f"{how[0]} is not installed")
        else:
            listed.append((group, name, how))
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
    sizes = {}
    for turn in range(runs):
        for group, name, how in listed:
            out = folder / "packed"
            taken.setdefault((group, name), []).append((_tool if isinstance(how, list) else _ours)(how, source, out))
            sizes[group, name] = out.stat().st_size / 1e6
            out.unlink()
        say(f"{turn + 1}/{runs}")
    read = source.stat().st_size / 1e6
    made = []
    for (group, name), samples in taken.items():
        seconds, cpu = (statistics.median(values) for values in zip(*samples, strict=True))
        made.append(Packed(group, name, read, seconds, cpu, sizes[group, name], runs))
    return made


def show(table: list[Packed]) -> None:
    """Print the medians, each group with ours beside the fastest tool."""
    head = f"{'what':<18} {'who':<22} {'MB/s':>7} {'MB/CPU s':>9} {'size %':>7}  against"
    print(f"\n{head}\n{'-' * len(head)}")
    for line in sorted(table, key=lambda line: (line.group, line.name != OURS)):
        tools = [other for other in table if other.group == line.group and other.name != OURS]
        fastest = min(tools, key=lambda other: other.seconds, default=None)
        against = f"{line.seconds / fastest.seconds:.2f}x {fastest.name}" if line.name == OURS and fastest else ""
        print(
            f"{line.group:<18} {line.name:<22} {line.speed:>7.0f} {line.megabytes / line.cpu:>9.0f}"
            f" {100 * line.ratio:>7.1f}  {against}"
        )


if __name__ == "__main__":
    _, given, source, out = sys.argv
    print(json.dumps(_work(json.loads(given), Path(source), Path(out))))
