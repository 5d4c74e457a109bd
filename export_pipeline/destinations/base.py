"""What every destination does: send each file exactly once, whatever dies in between.

`Destination.deliver_all` is the same for all: claim the deliveries in the ledger, look for what an earlier owner may
have published, else send, write down the receipts. A new destination is an option model with `place` and `send`; if it
hands out a mark before the step after which the file can be seen, it also has `find`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from export_pipeline.destinations.receipts import Deliverable, PartReceipt, Receipt, Request
from export_pipeline.destinations.sending import Sending, Steps, not_sent, said, take_steps
from export_pipeline.errors import DeliveryError, StorageError, UnknownDeliveryError
from export_pipeline.ledger import Claim, Claims, Mark
from export_pipeline.options import Options

__all__ = ["Deliverable", "Destination", "PartReceipt", "Receipt", "Request", "Sending", "Steps"]


class Destination(Options):
    """Where files go, and how."""

    @abstractmethod
    def place(self, request: Request) -> str:
        """Return which place this is, without secrets: part of the delivery's identity."""

    @property
    def manifest_name(self) -> str | None:
        """File name template of the list of delivered files, None where none is wanted."""
        return None

    def check(self, request: Request) -> None:
        """Refuse what can be known to fail before anything is read: raises `ConfigError`."""

    def check_folder(self) -> None:
        """Refuse options that cannot be used with an output of several files: raises `ConfigError`."""

    def others(self, folder: str, names: Collection[str], request: Request) -> list[str]:  # noqa: ARG002
        """Return files that are in a delivered folder and not among these names, as far as this place can be listed."""
        return []

    @contextmanager
    def opened(self, request: Request) -> Iterator[Any]:  # noqa: ARG002
        """Open what all deliveries of a batch share, a folder or a connection: it is their `Sending.opened`."""
        yield None

    @abstractmethod
    def send(self, file: Deliverable, sending: Sending) -> Steps:
        """Send the file, publish it in one step, check it at the far end; return the receipt.

        A generator: it yields the mark of what it publishes next, and goes on when that is written down; it yields None
        to wait for the others of its batch. Raises `DeliveryError` or `StorageError`, whose class says whether trying
        again can help, and `UnknownDeliveryError` if the file may have arrived all the same.
        """

    def find(self, mark: Mark, sending: Sending) -> Receipt | None:  # noqa: ARG002
        """Return the receipt of what an earlier owner published, if it did; `mark` is what it wrote down.

        A destination that cannot tell leaves this as it is: such a delivery waits for a person.
        """
        raise UnknownDeliveryError(
            f"an earlier run died while it sent {mark.get('name', 'the file')}; it may have arrived",
            cure="Look there; to send it again on purpose, redeliver.",
        )

    def sweep(self, request: Request) -> list[str]:  # noqa: ARG002
        """Remove what dead processes left unfinished there; return its names."""
        return []

    def deliver(self, file: Deliverable, request: Request) -> Receipt:
        """Deliver a file once and return its receipt; a receipt from before if it was delivered already.

        Raises `DeliveryBusyError` while another run is at it, `UnknownDeliveryError` if it may have arrived.
        """
        (receipt,) = self.deliver_all({request.output: file}, request)
        return receipt

    def deliver_all(self, files: Mapping[str, Deliverable], request: Request) -> list[Receipt]:
        """Deliver files (output -> file) once each, in order, and return their receipts.

        Raises the error of the first that fails: what is there by then has its receipt in the ledger, and of the others
        the ledger says why they are not.
        """
        delivery = request.delivery(self)
        wanted = [replace(delivery, output=output) for output in files]
        with request.ledger.database.kept_open():
            claims = request.ledger.claim_all(wanted, request.run_id, lease=request.lease, redeliver=request.redeliver)
            refused = next((answer for answer in claims.answers if isinstance(answer, DeliveryError)), None)
            made: list[Receipt | Sending] = []
            for file, answer in zip(files.values(), claims.answers, strict=True):
                if isinstance(answer, DeliveryError):
                    break
                made.append(
                    Sending(file, request, answer) if isinstance(answer, Claim) else Receipt.from_before(answer)
                )
            sendings = [each for each in made if isinstance(each, Sending)]
            with claims:
                errors = [*self._send(sendings, request, claims), refused]
                if refused is not None:
                    claims.failed(dict.fromkeys(claims.held, str(not_sent(refused))))
        if failures := [error for error in errors if error is not None]:
            at_once = [error for error in failures if not isinstance(error, Exception)]  # Ctrl-C, before any other
            raise (at_once or failures)[0]
        results = (each.result if isinstance(each, Sending) else each for each in made)
        return [receipt for receipt in results if receipt is not None]

    def _send(self, sendings: Sequence[Sending], request: Request, claims: Claims) -> list[BaseException | None]:
        """Take the steps of all, write down how each ended, and return what went wrong."""
        broken: BaseException | None = None
        if sendings:
            try:
                with self.opened(request) as opened:
                    for sending in sendings:
                        sending.begin(self._steps(sending), opened)
                    take_steps(sendings, claims)
            except BaseException as error:  # also what Dagster and Ctrl-C raise: the claims are given back
                broken = error
                for sending in sendings:
                    sending.fail(error)
            _write_down(sendings, claims)
        return [*(sending.error for sending in sendings), broken]

    def _steps(self, sending: Sending) -> Steps:
        """Look for what an earlier owner may have published, else send."""
        mark = sending.entry.reserved
        receipt = self.find(mark, sending) if mark is not None else None
        return receipt or (yield from self.send(sending.file, sending))


def _write_down(sendings: Sequence[Sending], claims: Claims) -> None:
    """Write down how deliveries ended."""
    try:
        claims.verified({each.claim: each.result.dump() for each in sendings if each.result is not None})
    except StorageError as error:
        for each in sendings:
            each.result, each.error = None, each.error or error
    failed = {each.claim: said(each.error) for each in sendings if each.error is not None and not each.unknown}
    unknown = {each.claim: said(each.error) for each in sendings if each.error is not None and each.unknown}
    with suppress(StorageError):  # the error that is on its way says more
        claims.unknown(unknown)
        claims.failed(failed)
    for each in sendings:
        each.ended()
