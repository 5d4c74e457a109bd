"""Measure a case: a fresh process, its wall and CPU seconds, its peak memory, the size of its file."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from export_pipeline_tests.benchmarks.cases import EXTENSIONS, WHOLE, Case


@dataclass(frozen=True)
class Sample:
    """One process."""

    case: str
    seconds: float
    """Wall seconds of the work, without start and imports."""
    cpu: float
    """CPU seconds of the process, with start and imports."""
    peak: float
    """Peak resident memory, MB."""
    size: float
    """Size of the file, MB."""


@dataclass(frozen=True)
class Line:
    """Medians of one case, and how it compares."""

    group: str
    name: str
    rows: int
    seconds: float
    cpu: float
    peak: float
    size: float
    runs: int
    ratio: float | None
    """Our seconds divided by those of the fastest peer that keeps the order."""
    peer: str | None
    """That peer."""


def sample(case: Case, source: Path, folder: Path) -> Sample:
    """Run a case once."""
    extension = ".csv.zip" if case.name.endswith(", zip") else EXTENSIONS[case.group.split()[-1]]
    out = folder / f"out{extension}"
    command = [sys.executable, "-m", "export_pipeline_tests.benchmarks.one", case.key, str(source), str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        printed = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{case.key} failed: exit {process.returncode}")
    size = sum(file.stat().st_size for file in (out, *out.rglob("*")) if file.is_file()) / 1e6
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink()
    shutil.rmtree(folder / f"{out.name}.home", ignore_errors=True)
    said = json.loads(printed.strip().splitlines()[-1])
    return Sample(case.key, said["seconds"], usage.ru_utime + usage.ru_stime, said["peak"], size)


def interleaved(
    cases: Iterable[Case], source: Path, folder: Path, runs: int, say: Callable[[str], None]
) -> Iterator[Sample]:
    """Run all cases `runs` times, in turns, so that a busy minute does not fall on one of them.

    A peer that cannot write these rows is left out.
    """
    listed = list(cases)
    for turn in range(runs):
        for case in list(listed):
            try:
                made = sample(case, source, folder)
            except RuntimeError as error:
                if case.ours:
                    raise
                say(str(error))
                listed.remove(case)
                continue
            say(f"{turn + 1}/{runs} {case.key}: {made.seconds:.2f} s, {made.peak:.0f} MB")
            yield made


def lines(cases: Iterable[Case], samples: Iterable[Sample], rows: int) -> list[Line]:
    """Return the medians of each case."""
    taken = list(samples)
    listed = [case for case in cases if any(one.case == case.key for one in taken)]

    def median(case: Case, what: str) -> float:
        return float(statistics.median(asdict(one)[what] for one in taken if one.case == case.key))

    out = []
    for case in listed:
        group = WHOLE.get(case.group, case.group)
        peers = [peer for peer in listed if peer.group == group and not peer.ours and not peer.unordered]
        fastest = min(peers, key=lambda peer: median(peer, "seconds"), default=None)
        mine = median(case, "seconds")
        out.append(
            Line(
                case.group,
                case.name,
                rows,
                round(mine, 3),
                round(median(case, "cpu"), 2),
                round(median(case, "peak")),
                round(median(case, "size"), 1),
                sum(one.case == case.key for one in taken),
                round(mine / median(fastest, "seconds"), 2) if case.ours and fastest else None,
                fastest.name if case.ours and fastest else None,
            )
        )
    return out
