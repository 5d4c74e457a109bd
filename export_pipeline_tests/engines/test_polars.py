"""What Polars adds: a stable order, sums that are never cut, and native calls that can be interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextvars import ContextVar

import polars as pl
import pytest

from export_pipeline.engines.polars import run_native, sorted_by
from export_pipeline.errors import Cancelled

NAN = float("nan")


def test_nulls_and_nan_come_last_both_ways_and_ties_keep_their_order() -> None:
    rows = pl.LazyFrame({"x": [NAN, 1.0, None, 2.0, NAN, 1.0], "place": range(6)})
    assert sorted_by(rows, [("x", False)]).collect()["place"].to_list() == [1, 5, 3, 0, 2, 4]
    assert sorted_by(rows, [("x", True)]).collect()["place"].to_list() == [3, 1, 5, 0, 2, 4]


def test_ties_keep_their_order_in_many_batches() -> None:
    rows = pl.LazyFrame({"place": range(200_000)}).with_columns(x=pl.col("place") % 7)
    found = sorted_by(rows, [("x", True)]).collect(engine="streaming")
    assert found["x"].to_list() == sorted(found["x"].to_list(), reverse=True)
    assert all(found.filter(pl.col("x") == x)["place"].is_sorted() for x in range(7))


def test_categories_are_sorted_as_text() -> None:
    rows = pl.LazyFrame({"x": ["b", "c", "a"]}, schema={"x": pl.Categorical})
    assert sorted_by(rows, [("x", False)]).collect()["x"].to_list() == ["a", "b", "c"]


def test_a_native_call_returns_and_raises_as_it_is() -> None:
    assert run_native(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        run_native(lambda: 1 // 0)


def test_a_native_call_runs_in_the_context_of_its_caller() -> None:
    place: ContextVar[str] = ContextVar("place", default="nowhere")
    place.set("here")
    assert run_native(place.get) == "here"


def test_an_interrupt_sets_stop_and_is_raised_at_once() -> None:
    stop, ended = threading.Event(), threading.Event()

    def call() -> None:
        stop.wait(30)
        ended.set()

    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_native(call, stop=stop)
    assert time.monotonic() - began < 2
    assert stop.is_set()
    assert ended.wait(2)


def test_stop_from_elsewhere_cancels_a_call_that_does_not_end_by_itself() -> None:
    stop, release = threading.Event(), threading.Event()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        run_native(lambda: release.wait(30), stop=stop)
    assert time.monotonic() - began < 3
    release.set()


def test_a_call_that_ends_by_itself_after_stop_has_the_last_word() -> None:
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    assert run_native(lambda: stop.wait(30), stop=stop) is True


LONG_SORT = """
import signal, sys, threading, time
import polars as pl
from export_pipeline.engines.polars import run_native

class Interrupted(BaseException):
    pass

def interrupt(number, frame):
    raise Interrupted

signal.signal(signal.SIGTERM, interrupt)  # as Dagster does; SIGINT keeps Python's own handler
rows = pl.select(a=pl.int_range(1_000_000).shuffle(seed=1)).lazy()
for step in range(1, 200):
    rows = rows.sort((pl.col("a") * (2 * step + 1) % 1_000_003).cast(pl.String), maintain_order=True)
class Sink:
    def write(self, data):
        return len(data)
    def flush(self):
        pass
call = {"collect": rows.collect, "sink": lambda: rows.sink_csv(Sink())}[sys.argv[1]]
stop = threading.Event()
print("sorting", flush=True)
try:
    run_native(call, stop=stop)
except (Interrupted, KeyboardInterrupt):
    print("interrupted", stop.is_set(), flush=True)
    sys.exit(3)
print("finished", flush=True)
"""


@pytest.mark.parametrize(
    ("call", "number"), [("collect", signal.SIGTERM), ("sink", signal.SIGTERM), ("collect", signal.SIGINT)]
)
def test_a_process_in_a_long_sort_is_gone_soon_after_the_signal(call: str, number: signal.Signals) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", LONG_SORT, call],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"POLARS_MAX_THREADS": "1"},
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "sorting\n"
        time.sleep(1)
        assert child.poll() is None
        child.send_signal(number)
        said = time.monotonic()
        assert child.wait(timeout=30) == 3
        assert time.monotonic() - said < 2
        assert child.stdout.read() == "interrupted True\n"
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
