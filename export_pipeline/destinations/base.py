"""What every destination does: send each file exactly once, whatever dies in between.

`Destination.deliver` is the same for all: claim the delivery in the ledger, look for what an earlier owner may have
published, else send, write down the receipt. A new destination is an option model with `place` and `send`; if it
calls `Sending.reserve` before the step after which the file can be seen, it also has `find`.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import AwareDatetime

from export_pipeline.errors import Cancelled, DeliveryBusyError, StorageError, UnknownDeliveryError
from export_pipeline.ledger import Claim, Delivery, Entry, Ledger
from export_pipeline.ledger.claims import LEASE
from export_pipeline.options import Options


class Deliverable(Protocol):
    """A finished file that will not change any more: an `Artifact`, a written manifest."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def name(self) -> str:
        """The name to give it, a relative path below the destination's folder."""
        ...

    @property
    def bytes(self) -> int:
        """Its size."""
        ...

    @property
    def sha256(self) -> str:
        """Digest of its bytes, in hex."""
        ...


class PartReceipt(Options):
    """Proof that one file of a folder is there; the ledger has its whole receipt."""

    name: str
    """The name it got, below the destination's folder."""
    bytes: int
    """Its size there."""
    sha256: str
    """Digest of its bytes, in hex."""
    skipped: bool = False
    """Whether it was not sent now, because it was delivered before."""


class Receipt(Options):
    """Proof that a file, or a folder of files, is where it should be: it was checked there, at that moment."""

    destination: str
    """Tag of the destination."""
    place: str
    """Where the file is, as a person would look for it: a path or a URL without secrets."""
    name: str
    """The name it got, below the destination's folder."""
    bytes: int
    """Its size there."""
    sha256: str
    """Digest of its bytes, in hex."""
    checked: Literal["readback", "size"] = "readback"
    """How it was checked: its bytes were read again, or only its size was asked for."""
    at: AwareDatetime
    """When it was checked."""
    run_id: str
    """The run that delivered it."""
    attempt: int = 1
    """1, and one more for each time it was sent again on purpose."""
    version: int = 1
    """Number in its name, where files of that name were there before: 2 for ``name (2).csv``."""
    recovered: bool = False
    """Whether an earlier process published it and died before it could write the receipt."""
    skipped: bool = False
    """Whether nothing was sent now, because it was delivered before."""
    reason: str = ""
    """Why it was skipped, and what else is to be said of it."""
    files: int | None = None
    """Number of files, where it is a folder; `sha256` is then that of their list, as ``sha256sum`` would print it."""
    parts: tuple[PartReceipt, ...] = ()
    """The files of a folder."""


@dataclass(frozen=True)
class Request:
    """What a delivery needs to know apart from its file and its destination."""

    export: str
    run_id: str
    logical_time: datetime
    output: str
    """Label of the output that the file is."""
    config_hash: str
    ledger: Ledger
    root: Path
    """Folder that relative folders of local destinations stand under; made when it is not there."""
    allowed: tuple[Path, ...] | None = ()
    """Folders inside which absolute folders may lie; None allows any, for launches by the local command line."""
    redeliver: str | None = None
    """Send again what was sent: a text that stays the same when this request is repeated (the first run's id)."""
    stop: threading.Event | None = None
    """Set by somebody who wants the delivery to end."""
    lease: timedelta = LEASE

    def delivery(self, destination: Destination) -> Delivery:
        """Return the identity of this file's delivery to a destination."""
        place = f"{destination.tag}:{destination.place(self)}"
        return Delivery(self.export, self.logical_time, self.output, place, self.config_hash)

    def replace(self, **changes: Any) -> Request:
        """Return a copy with these fields changed."""
        return replace(self, **changes)


class Sending:
    """One delivery in progress: the request and the claim in the ledger."""

    def __init__(self, request: Request, claim: Claim) -> None:
        self.request, self._claim = request, claim

    @property
    def entry(self) -> Entry:
        """The ledger's row as it was when this process claimed it."""
        return self._claim.entry

    def reserve(self, mark: Mapping[str, Any] | None) -> None:
        """Write down what is published next, before it is: whoever takes over looks there first. None takes it back.

        Raises `DeliveryBusyError` if another run has taken over: then nothing may be published.
        """
        self._claim.reserve(mark)

    def check(self) -> None:
        """Raise `Cancelled` if somebody wants it to end, `DeliveryBusyError` if another run has taken over."""
        if self.request.stop is not None and self.request.stop.is_set():
            raise Cancelled("the delivery was cancelled")
        if self._claim.lost:
            raise DeliveryBusyError("another run has taken over this delivery")

    def receipt(self, destination: Destination, **values: Any) -> Receipt:
        """Return a receipt of this delivery, checked now."""
        request = self.request
        return Receipt(
            destination=destination.tag,
            run_id=request.run_id,
            attempt=self.entry.attempt,
            at=datetime.now(UTC),
            **values,
        )


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

    @abstractmethod
    def send(self, file: Deliverable, sending: Sending) -> Receipt:
        """Send the file, publish it in one step, check it at the far end; return the receipt.

        Raises `DeliveryError` or `StorageError`, whose class says whether trying again can help, and
        `UnknownDeliveryError` if the file may have arrived all the same.
        """

    def find(self, mark: Mapping[str, Any], sending: Sending) -> Receipt | None:  # noqa: ARG002
        """Return the receipt of what an earlier owner published, if it did; `mark` is what it reserved.

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
        claim = request.ledger.claim(
            request.delivery(self), request.run_id, lease=request.lease, redeliver=request.redeliver
        )
        if isinstance(claim, Entry):
            return _from_before(claim)
        with claim:
            sending = Sending(request, claim)
            try:
                sending.check()
                mark = claim.entry.reserved
                receipt = self.find(mark, sending) if mark is not None else None
                receipt = receipt or self.send(file, sending)
            except BaseException as error:  # also what Dagster and Ctrl-C raise: the claim is given back
                _settle(claim, error)
                raise
            claim.verified(receipt.dump())
        return receipt


def _settle(claim: Claim, error: BaseException) -> None:
    """Write down how a delivery ended without a receipt."""
    said = str(error) or type(error).__name__
    with suppress(StorageError, DeliveryBusyError):  # the error that is on its way says more
        if isinstance(error, UnknownDeliveryError):
            claim.unknown(said)
        elif not claim.lost:
            claim.failed(said)


def _from_before(entry: Entry) -> Receipt:
    """Return the receipt of a delivery that was made before."""
    receipt = Receipt.model_validate(entry.receipt)
    when = receipt.at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return receipt.replace(skipped=True, reason=f"delivered before: by run {receipt.run_id}, {when}")
