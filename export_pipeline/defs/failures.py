"""What an error of a stage means to Dagster: try again in a while, or fail with cause and cure."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import dagster as dg

from export_pipeline.errors import ExportError
from export_pipeline.retries import Retry


def failure(error: ExportError) -> dg.Failure:
    """Return the failure that shows a person the cause in its first line and the cure in its second."""
    metadata = {"cause": error.message, "cure": error.cure or error.usual_cure, "error": type(error).__name__}
    return dg.Failure(str(error), metadata, allow_retries=False)


@contextlib.contextmanager
def explained(context: dg.OpExecutionContext, retry: Retry | None = None) -> Iterator[None]:
    """Turn errors of the block into Dagster's.

    With `retry`, errors that trying again can help are retried, after a wait that grows up to its `max_delay`; all
    others fail at once and are not retried.
    """
    try:
        yield
    except ExportError as error:
        again = context.retry_number + 1
        if retry is None or not error.transient or again > retry.attempts:
            raise failure(error) from error
        wait = retry.wait(again)
        context.log.warning(f"{error}\nRetry {again} of {retry.attempts} in {wait:g} s.")
        # Waited for here: while Dagster itself waits, it does not hear that the run is cancelled.
        time.sleep(wait)
        raise dg.RetryRequested(max_retries=retry.attempts) from error
