"""Deliveries in progress: many are made side by side, so that what they wait for is done once for all of them.

A destination sends one file in steps, a generator. It pauses where it waits for the disk, and others go on meanwhile;
and it hands out a *mark* before the step after which its file can be seen. The marks of all are written down in the
ledger together, then each takes that step, in order. A file that fails stops those after it that cannot be seen yet;
those before it, and those that are there, go on to their receipts.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from export_pipeline.destinations.receipts import Deliverable, Receipt, Request
from export_pipeline.errors import Cancelled, DeliveryBusyError, TransientDeliveryError, UnknownDeliveryError
from export_pipeline.ledger import Claim, Claims, Entry, Mark

if TYPE_CHECKING:
    from export_pipeline.destinations.base import Destination

Steps = Generator[Mark | None, None, Receipt]
"""The steps of a delivery: marks of what is published next, None to let others go first, and its receipt at the end."""


class Sending:
    """One delivery in progress: its file, the request, and the claim in the ledger."""

    def __init__(self, file: Deliverable, request: Request, claim: Claim) -> None:
        self.file, self.request, self.claim = file, request, claim
        self.opened: Any = None
        """What the destination opened for all deliveries of the batch."""
        self.result: Receipt | None = None
        self.error: BaseException | None = None
        self.published = False
        """Whether its file can be seen, as far as its steps tell."""
        self.going = True
        """Whether there are steps to take."""
        self._steps: Steps | None = None
        self._marked = False

    @property
    def entry(self) -> Entry:
        """The ledger's row as it was when this process claimed it."""
        return self.claim.entry

    def begin(self, steps: Steps, opened: Any) -> None:
        """Set out; the first step is taken later."""
        self._steps, self.opened = steps, opened

    def step(self) -> Mark | None:
        """Take the next step; return the mark that is to be written down before the one after it."""
        try:
            if not self.published:
                self.check()
            mark = next(self._steps or iter(()))
        except StopIteration as end:
            if not isinstance(end.value, Receipt):
                self.fail(TypeError(f"the steps of {self.file.name} end without a receipt"))
            self.result, self.going = end.value, False
            return None
        except BaseException as error:  # what Dagster and Ctrl-C raise, too: what can be seen gets its receipt first
            self.fail(error)
            return None
        self.published |= self._marked and mark is None
        self._marked = mark is not None
        return mark

    @property
    def unknown(self) -> bool:
        """Whether it failed, and its file may be there all the same."""
        return isinstance(self.error, UnknownDeliveryError)

    def fail(self, error: BaseException) -> None:
        """Take no more steps, unless it has come to its end."""
        if self.going:
            self.error, self.going = error, False
        if self._steps is not None:
            self._steps.close()

    def ended(self) -> None:
        """Take back the result if another owner has taken over: it is the other's to tell."""
        try:
            self.claim.check()
        except DeliveryBusyError as error:
            self.result, self.error = None, self.error or error

    def reserve(self, mark: Mark | None) -> None:
        """Write down at once what is published next. None takes it back.

        Raises `DeliveryBusyError` if another run has taken over: then nothing may be published.
        """
        self.claim.reserve(mark)

    def check(self) -> None:
        """Raise `Cancelled` if somebody wants it to end, `DeliveryBusyError` if another run has taken over."""
        if self.request.stop is not None and self.request.stop.is_set():
            raise Cancelled("the delivery was cancelled")
        self.claim.check()

    def receipt(self, destination: Destination, **values: Any) -> Receipt:
        """Return a receipt of this delivery, checked now."""
        return Receipt(
            destination=destination.tag,
            run_id=self.request.run_id,
            attempt=self.entry.attempt,
            at=datetime.now(UTC),
            **values,
        )


def take_steps(sendings: Sequence[Sending], claims: Claims) -> None:
    """Take the steps of all, one of each at a time, in order, until each has its result or its error."""
    try:
        going = list(sendings)
        while going:
            stopped: BaseException | None = None
            marks: dict[Claim, Mark] = {}
            for sending in going:
                if stopped is not None and not sending.published:
                    sending.fail(not_sent(stopped))
                elif (mark := sending.step()) is not None:
                    marks[sending.claim] = mark
                stopped = stopped or sending.error
            claims.reserve(marks)  # those that are lost say so at their next step
            going = [sending for sending in going if sending.going]
    except BaseException as error:
        for sending in sendings:
            sending.fail(error)
        raise


def not_sent(cause: BaseException) -> TransientDeliveryError:
    """Return why a file was not sent that comes after one that failed."""
    return TransientDeliveryError(f"not sent, because a file before it failed: {said(cause)}")


def said(error: BaseException) -> str:
    """Return what the ledger keeps of an error."""
    return str(error) or type(error).__name__
