"""Run one case in this process and print its seconds: ``python -m ...benchmarks.one CASE SOURCE OUT``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from export_pipeline_tests.benchmarks.cases import find


def peak() -> float:
    """Return this process's peak resident memory in MB; what `wait4` says also counts the parent's before the exec."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1.024 / 1000


if __name__ == "__main__":
    _, key, source, out = sys.argv
    seconds = find(key).work(Path(source), Path(out))
    print(json.dumps({"seconds": seconds, "peak": peak()}))
