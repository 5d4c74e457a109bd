from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from export_pipeline.defs.progress import Reporter
from export_pipeline.pace import Pace


@given(st.integers(0, 10**12), st.none() | st.integers(0, 10**12), st.integers(0, 10**9))
def test_a_line_says_to_programs_what_it_says_to_people(rows: int, total: int | None, rate: int) -> None:
    pace = Pace("write", rows, total, float(rate))
    assert Pace.parse(str(pace)) == pace


def test_a_line_reads_well() -> None:
    assert str(Pace("write", 250_000, 1_000_000, 125_000.4)) == (
        "write: 250,000 of 1,000,000 rows, 125,000 rows/s, about 6 s left"
    )
    assert str(Pace("extract", 5, None, 2.0)) == "extract: 5 rows, 2 rows/s"
    assert Pace("write", 5, 10, 0.0).seconds_left is None
    assert Pace("write", 12, 10, 4.0).seconds_left == 0
    assert Pace.parse("write: done") is None


def test_it_speaks_now_and_then_and_only_of_news() -> None:
    said: list[str] = []
    with Reporter(said.append, interval=0.05).running() as reporter:
        threads = [threading.Thread(target=lambda: reporter.update("write", 7, 9)) for _ in range(4)]
        for thread in threads:
            thread.start()
            thread.join()
        time.sleep(0.3)
        first = list(said)
        for rows in range(1000):
            reporter.update("write", rows, 1000)
        time.sleep(0.15)
    assert len(first) == 1
    assert first[0].startswith("write: 7 of 9 rows")
    assert len(said) == 2
    assert said[1].startswith("write: 999 of 1,000 rows")


def test_the_rate_is_that_of_the_rows_not_of_the_wait_for_them() -> None:
    said: list[tuple[float, str]] = []
    start = time.monotonic()
    with Reporter(lambda line: said.append((time.monotonic(), line)), interval=0.2).running() as reporter:
        time.sleep(0.6)  # as long as rows are sorted none come
        for rows in range(100, 400):
            reporter.update("write", rows, 1000)
            time.sleep(0.002)
    spoken, line = said[-1]
    pace = Pace.parse(line)
    assert pace is not None
    assert (pace.rows - 100) / pace.rate < spoken - start - 0.5


def test_a_quick_stage_says_nothing() -> None:
    said: list[str] = []
    with Reporter(said.append).running() as reporter:
        reporter.update("write", 7)
    assert said == []
