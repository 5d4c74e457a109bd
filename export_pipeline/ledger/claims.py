"""Claims: who may send a delivery now, decided by one update that only one of many can win."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from export_pipeline.errors import DeliveryBusyError, StorageError, UnknownDeliveryError
from export_pipeline.ledger.entries import Delivery, Entry, State
from export_pipeline.ledger.owners import new_owner, surely_dead

if TYPE_CHECKING:
    import sqlalchemy as sa

    from export_pipeline.ledger.database import Database

LEASE = timedelta(seconds=60)
"""How long a claim lasts without a sign of life; signs are given four times as often."""


class Ledger:
    """The record of deliveries in a SQLite file (``sqlite:///ledger.sqlite``) or PostgreSQL (``postgresql://...``).

    Nothing is opened before it is used. One object may be used by several threads and after a fork. Raises
    `StorageError` (transient) when the database is locked or does not answer, `ConfigError` when it is no ledger.
    """

    def __init__(self, url: str, *, busy: float = 30.0) -> None:
        self.url, self.busy = url, busy
        self._opened: Database | None = None
        self._opening = threading.Lock()

    @property
    def database(self) -> Database:
        """The database behind the URL, opened and its tables made at first use."""
        from export_pipeline.ledger.database import Database

        with self._opening:
            if self._opened is None:
                self._opened = Database(self.url, busy=self.busy)
            return self._opened

    def claim(
        self, delivery: Delivery, run_id: str, *, lease: timedelta = LEASE, redeliver: str | None = None
    ) -> Claim | Entry:
        """Claim a delivery, or return its verified entry if it was made already.

        `redeliver` sends a delivery again that was made or whose fate is unknown; it is a text that stays the same when
        the same request is repeated (the first run's id), so that a retry of the request does not send once more.
        Raises `DeliveryBusyError` while somebody else owns it, `UnknownDeliveryError` when it may have arrived.
        """
        owner = new_owner(run_id)
        entry = self._planned(delivery, run_id, redeliver)
        if entry.state in (State.PLANNED, State.FAILED, State.SENDING):
            taken = self._take(entry, owner, run_id, lease, redeliver)
            entry = self._attempt(entry.key, entry.attempt)
            if taken:
                return Claim(self, entry, owner, lease)
        if entry.state is State.VERIFIED:
            return entry
        if entry.state is State.UNKNOWN:
            raise UnknownDeliveryError(
                f"{delivery.output} of {delivery.export} may have arrived at {delivery.destination}: {entry.error}",
                cure="Look there; to send it again on purpose, redeliver.",
            )
        raise DeliveryBusyError(
            f"run {entry.run_id} is delivering {delivery.output} of {delivery.export} to {delivery.destination} now",
            cure=f"Its claim ends in {max(entry.lease_left, 0):.0f} s unless it goes on working.",
        )

    def attempts(self, delivery: Delivery) -> list[Entry]:
        """Return all attempts at a delivery, the last one first."""
        table = self._table
        return self._select(table.c.key == delivery.key, order=[table.c.attempt.desc()])

    def entries(
        self,
        *,
        export: str | None = None,
        run_id: str | None = None,
        state: State | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """Return attempts, the last changed first; all that is given must fit."""
        table = self._table
        wanted = {table.c.export: export, table.c.run_id: run_id, table.c.state: state}
        conditions = [column == value for column, value in wanted.items() if value is not None]
        if since is not None:
            conditions.append(table.c.updated_at >= since.astimezone(UTC).timestamp())
        return self._select(*conditions, order=[table.c.updated_at.desc(), table.c.key], limit=limit)

    @property
    def _table(self) -> sa.Table:
        from export_pipeline.ledger.database import deliveries

        return deliveries

    def _select(self, *conditions: sa.ColumnElement[bool], order: list[Any], limit: int | None = None) -> list[Entry]:
        import sqlalchemy as sa

        from export_pipeline.ledger.database import clock

        query = sa.select(self._table, clock().label("now")).where(*conditions).order_by(*order).limit(limit)
        return [Entry.from_row(row) for row in self.database.select(query)]

    def _attempt(self, key: str, attempt: int) -> Entry:
        table = self._table
        (entry,) = self._select(table.c.key == key, table.c.attempt == attempt, order=[table.c.attempt])
        return entry

    def _planned(self, delivery: Delivery, run_id: str, redeliver: str | None) -> Entry:
        """Return the attempt that is to be claimed, written down as planned if it is new."""
        while True:
            attempts = self.attempts(delivery)
            chosen = _chosen(attempts, redeliver)
            if chosen is not None:
                return chosen
            self.database.insert_if_absent(
                {
                    "key": delivery.key,
                    "attempt": len(attempts) + 1,
                    "token": redeliver or "",
                    "export": delivery.export,
                    "logical_time": delivery.logical_text,
                    "output": delivery.output,
                    "destination": delivery.destination,
                    "config_hash": delivery.config_hash,
                    "state": State.PLANNED,
                    "run_id": run_id,
                    "claims": 0,
                }
            )  # whoever inserted it: the next look finds it

    def _take(self, entry: Entry, owner: str, run_id: str, lease: timedelta, redeliver: str | None) -> bool:
        """Return whether this owner won the attempt: only one update can see the state that it names."""
        import sqlalchemy as sa

        from export_pipeline.ledger.database import clock

        table = self._table
        free = sa.or_(
            table.c.state.in_([State.PLANNED, State.FAILED]),
            sa.and_(table.c.state == State.SENDING, table.c.lease_until < clock()),
        )
        if entry.owner is not None and entry.state is State.SENDING and surely_dead(entry.owner):
            free = sa.or_(free, sa.and_(table.c.state == State.SENDING, table.c.owner == entry.owner))
        values: dict[str, Any] = {
            "state": State.SENDING,
            "owner": owner,
            "run_id": run_id,
            "lease_until": clock() + lease.total_seconds(),
            "claims": table.c.claims + 1,
            "error": None,
            "updated_at": clock(),
        }
        if redeliver is not None:
            values["token"] = redeliver  # a retry of this request finds the attempt that served it
        update = table.update().where(table.c.key == entry.key, table.c.attempt == entry.attempt, free).values(values)
        return self.database.change(update) == 1


def _chosen(attempts: list[Entry], redeliver: str | None) -> Entry | None:
    """Return the attempt that a claim is about, of all at a delivery, the last one first; None for a new one."""
    if redeliver is None:
        made = [entry for entry in attempts if entry.state is State.VERIFIED]
        return next(iter(made + attempts), None)
    asked = [entry for entry in attempts if entry.token == redeliver]
    # a first attempt that never came to its end is what the request gets; one that another request asked for is not
    open_ = [e for e in attempts[:1] if e.token == "" and e.state not in (State.VERIFIED, State.UNKNOWN)]
    return next(iter(asked + open_), None)


class Claim:
    """The right to send one delivery, as long as its lease is prolonged.

    Used as a context manager: a thread gives the signs of life; leaving it without `verified`, `failed` or `unknown`
    gives the claim back.
    """

    def __init__(self, ledger: Ledger, entry: Entry, owner: str, lease: timedelta) -> None:
        self.entry, self.owner = entry, owner
        """`entry` is the row as it was claimed; its `reserved` is what an earlier owner was about to publish."""
        self._ledger, self._lease = ledger, lease
        self._settled, self._lost, self._done = False, False, threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Claim:
        self._thread = threading.Thread(target=self._live, name="export_pipeline lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        if not self._settled and not self._lost:
            with suppress(StorageError):  # then the lease ends by itself
                self.failed("given up")

    @property
    def lost(self) -> bool:
        """Whether another owner is known to have taken over."""
        return self._lost

    def renew(self) -> None:
        """Give a sign of life; raises `DeliveryBusyError` if another owner has taken over."""
        self._update({})

    def reserve(self, mark: Mapping[str, Any] | None) -> None:
        """Write down what will be published next, None if nothing; raises `DeliveryBusyError` if the claim is lost."""
        self._update({"reserved": None if mark is None else dict(mark)})

    def verified(self, receipt: Mapping[str, Any]) -> None:
        """Write down that the file is there and was checked."""
        self._settle(State.VERIFIED, receipt=dict(receipt))

    def failed(self, error: str) -> None:
        """Write down that it is not there, as far as we know; a later claim tries again (and looks at `reserved`)."""
        self._settle(State.FAILED, error=error)

    def unknown(self, error: str) -> None:
        """Write down that it may be there; only a redelivery on purpose sends it again."""
        self._settle(State.UNKNOWN, error=error)

    def _settle(self, state: State, **values: Any) -> None:
        self._update({"state": state, "owner": None, **values}, lease=False)
        self._settled = True

    def _update(self, values: dict[str, Any], *, lease: bool = True) -> None:
        from export_pipeline.ledger.database import clock

        table = self._ledger._table
        changed = values | {"updated_at": clock()}
        changed["lease_until"] = clock() + self._lease.total_seconds() if lease else None
        update = table.update().where(
            table.c.key == self.entry.key,
            table.c.attempt == self.entry.attempt,
            table.c.state == State.SENDING,
            table.c.owner == self.owner,
        )
        if self._ledger.database.change(update.values(changed)) != 1:
            self._lost = True
            raise DeliveryBusyError(
                f"another run has taken over the delivery of {self.entry.output} to {self.entry.destination}",
                cure="This process was stopped for longer than its claim lasts; the other one finishes it.",
            )

    def _live(self) -> None:
        while not self._done.wait(self._lease.total_seconds() / 4):
            try:
                self.renew()
            except StorageError:
                continue  # locked now; there are three more signs of life before the lease ends
            except DeliveryBusyError:
                return
