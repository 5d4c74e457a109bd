from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import dagster as dg
import pytest

from export_pipeline.defs.failures import explained, failure
from export_pipeline.errors import ConfigError, DeliveryError, ExportError, SourceError, SourceUnavailableError
from export_pipeline.retries import Retry

QUICK = Retry(attempts=4, delay=timedelta(seconds=0.1), max_delay=timedelta(seconds=0.25))


def run(fail: Callable[[int], None], retry: Retry | None) -> dg.ExecuteInProcessResult:
    """Run a job of one op that fails as told, by the number of the attempt."""

    def compute(op: dg.OpExecutionContext, _inputs: object) -> Iterator[dg.Output[None]]:
        with explained(op, retry):
            fail(op.retry_number)
        yield dg.Output(None)

    step = dg.OpDefinition(compute, "step", outs={"result": dg.Out(dg.Nothing)})
    return dg.GraphDefinition("job", node_defs=[step]).execute_in_process(raise_on_error=False)


def events(result: dg.ExecuteInProcessResult, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    return [event for event in result.all_events if event.event_type == kind]


def test_what_may_pass_is_tried_again_with_waits_that_grow_to_a_limit() -> None:
    at: list[float] = []

    def fail(attempt: int) -> None:
        at.append(time.monotonic())
        if attempt < 4:
            raise SourceUnavailableError("locked")

    result = run(fail, QUICK)
    assert result.success
    assert len(events(result, dg.DagsterEventType.STEP_UP_FOR_RETRY)) == 4
    assert [QUICK.wait(again) for again in range(1, 5)] == [0.1, 0.2, 0.25, 0.25]
    assert all(later - sooner >= QUICK.wait(n + 1) for n, (sooner, later) in enumerate(itertools.pairwise(at)))


def test_after_the_last_attempt_the_error_itself_is_shown() -> None:
    def fail(attempt: int) -> None:
        raise SourceUnavailableError(f"locked, attempt {attempt}", cure="Close it.")

    result = run(fail, QUICK.replace(attempts=2))
    (failed,) = events(result, dg.DagsterEventType.STEP_FAILURE)
    said = failed.step_failure_data.user_failure_data
    assert said is not None
    assert said.description == "locked, attempt 2\nClose it."
    assert {key: value.value for key, value in said.metadata.items()} == {
        "cause": "locked, attempt 2",
        "cure": "Close it.",
        "error": "SourceUnavailableError",
    }


def test_an_error_without_a_cure_has_that_of_its_kind() -> None:
    for error, cure in (
        (ConfigError("no such column"), "Mend it;"),
        (SourceError("no rows"), "export-pipeline doctor"),
    ):
        assert str(failure(error).metadata["cure"].value).startswith(cure)


@pytest.mark.parametrize(
    ("error", "retry"),
    [
        (DeliveryError("no such bucket"), QUICK),
        (SourceUnavailableError("locked"), None),
        (SourceUnavailableError("locked"), QUICK.replace(attempts=0)),
    ],
)
def test_what_does_not_pass_and_what_is_not_to_be_retried_fails_at_once(
    error: ExportError, retry: Retry | None
) -> None:
    attempts = []

    def fail(attempt: int) -> None:
        attempts.append(attempt)
        raise error

    result = run(fail, retry)
    assert not result.success
    assert attempts == [0]
    (failed,) = events(result, dg.DagsterEventType.STEP_FAILURE)
    assert failed.step_failure_data.user_failure_data is not None


def test_an_error_that_nobody_expected_stays_what_it_is() -> None:
    def fail(_attempt: int) -> None:
        raise ZeroDivisionError("oh")

    (failed,) = events(run(fail, QUICK), dg.DagsterEventType.STEP_FAILURE)
    assert failed.step_failure_data.error is not None
    assert "ZeroDivisionError" in str(failed.step_failure_data.error)
