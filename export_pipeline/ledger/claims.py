"""Claims: the right to send deliveries, as long as the lease of their owner is prolonged."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from export_pipeline.errors import DeliveryBusyError, DeliveryError, StorageError
from export_pipeline.ledger.entries import Entry, Mark, State

if TYPE_CHECKING:
    from export_pipeline.ledger.database import Database

LEASE = timedelta(seconds=60)
"""How long a claim lasts without a sign of life; signs are given four times as often."""


class Claims:
    """What one owner got of the deliveries that it asked for together.

    Used as a context manager: a thread gives the signs of life for all of them; leaving it gives back each claim that
    has not come to its end. What is written down of several is one transaction: all of it, or an error. A claim that
    another owner has taken over is left out of it, and is `Claim.lost` from then on.
    """

    def __init__(self, database: Database, owner: str, lease: timedelta) -> None:
        self.answers: Sequence[Claim | Entry | DeliveryError] = ()
        """For each delivery, in order: the claim, the verified entry, or why it is neither."""
        self.owner = owner
        self._database, self._lease, self._done = database, lease, threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Claims:
        if self.held:
            self._thread = threading.Thread(target=self._live, name="export_pipeline lease", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        if left := self.held:
            with suppress(StorageError):  # then the lease ends by itself
                self.failed(dict.fromkeys(left, "given up"))

    @property
    def held(self) -> list[Claim]:
        """The claims that have not come to their end and are not known to be lost."""
        return [answer for answer in self.answers if isinstance(answer, Claim) and answer.held]

    def renew(self, claims: Sequence[Claim]) -> None:
        """Give a sign of life."""
        self._change({claim: {} for claim in claims})

    def reserve(self, marks: Mapping[Claim, Mark | None]) -> None:
        """Write down what will be published next, None if nothing."""
        self._change({claim: {"reserved": None if mark is None else dict(mark)} for claim, mark in marks.items()})

    def verified(self, receipts: Mapping[Claim, Mapping[str, Any]]) -> None:
        """Write down that files are there and were checked."""
        self._end({claim: {"state": State.VERIFIED, "receipt": dict(receipt)} for claim, receipt in receipts.items()})

    def failed(self, errors: Mapping[Claim, str]) -> None:
        """Write down that files are not there, as far as we know; a later claim tries again (and sees `reserved`)."""
        self._end({claim: {"state": State.FAILED, "error": error} for claim, error in errors.items()})

    def unknown(self, errors: Mapping[Claim, str]) -> None:
        """Write down that files may be there; only a redelivery on purpose sends them again."""
        self._end({claim: {"state": State.UNKNOWN, "error": error} for claim, error in errors.items()})

    def _end(self, changes: Mapping[Claim, dict[str, Any]]) -> None:
        self._change({claim: values | {"owner": None} for claim, values in changes.items()}, ends=True)

    def _change(self, changes: Mapping[Claim, dict[str, Any]], *, ends: bool = False) -> None:
        """Change the rows that are still this owner's; the values of all have the same names."""
        import sqlalchemy as sa

        from export_pipeline.ledger.database import clock, deliveries

        if not changes:
            return
        table = deliveries
        own = (table.c.state == State.SENDING, table.c.owner == self.owner)
        keys = [claim.entry.key for claim in changes]
        held = sa.select(table.c.key).where(table.c.key.in_(keys), *own).order_by(table.c.key).with_for_update()
        update = (
            table.update()
            .where(table.c.key == sa.bindparam("its_key"), *own)
            .values(lease_until=None if ends else clock() + self._lease.total_seconds(), updated_at=clock())
        )
        with self._database.transaction() as connection:
            mine = set(connection.execute(held).scalars())
            rows = [{"its_key": c.entry.key, **values} for c, values in changes.items() if c.entry.key in mine]
            if rows:
                connection.execute(update, rows)
        for claim in changes:
            claim.told(lost=claim.entry.key not in mine, ended=ends)

    def _live(self) -> None:
        while not self._done.wait(self._lease.total_seconds() / 4):
            with suppress(StorageError):  # locked now; there are three more signs of life before the lease ends
                self.renew(self.held)


class Claim:
    """The right to send one delivery; a context manager like the `Claims` that it is one of.

    Its methods raise `DeliveryBusyError` if another owner has taken over.
    """

    def __init__(self, claims: Claims, entry: Entry) -> None:
        self.entry = entry
        """The row as it was claimed; its `reserved` is what an earlier owner was about to publish."""
        self._claims, self._ended, self._lost = claims, False, False

    def __enter__(self) -> Claim:
        self._claims.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._claims.__exit__(*error)

    @property
    def held(self) -> bool:
        """Whether it has not come to its end, and is not known to be lost."""
        return not self._ended and not self._lost

    @property
    def lost(self) -> bool:
        """Whether another owner is known to have taken over."""
        return self._lost and not self._ended

    def told(self, *, lost: bool, ended: bool) -> None:
        """Keep what the ledger said: that it is no longer this owner's, or that it has come to its end."""
        if lost:
            self._lost = True  # of a claim that has ended, too: a sign of life may come too late
        elif ended:
            self._ended = True

    def renew(self) -> None:
        """Give a sign of life."""
        self._claims.renew([self])
        self.check()

    def reserve(self, mark: Mark | None) -> None:
        """Write down what will be published next, None if nothing."""
        self._claims.reserve({self: mark})
        self.check()

    def verified(self, receipt: Mapping[str, Any]) -> None:
        """Write down that the file is there and was checked."""
        self._claims.verified({self: receipt})
        self.check()

    def failed(self, error: str) -> None:
        """Write down that it is not there, as far as we know."""
        self._claims.failed({self: error})
        self.check()

    def unknown(self, error: str) -> None:
        """Write down that it may be there."""
        self._claims.unknown({self: error})
        self.check()

    def check(self) -> None:
        """Raise `DeliveryBusyError` if another owner is known to have taken over."""
        if self.lost:
            raise DeliveryBusyError(
                f"another run has taken over the delivery of {self.entry.output} to {self.entry.destination}",
                cure="This process was stopped for longer than its claim lasts; the other one finishes it.",
            )
