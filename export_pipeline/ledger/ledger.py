"""The ledger itself: who may send a delivery now, decided by one update that only one of many can win."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from export_pipeline.errors import DeliveryBusyError, DeliveryError, UnknownDeliveryError
from export_pipeline.ledger.claims import LEASE, Claim, Claims
from export_pipeline.ledger.entries import Delivery, Entry, State
from export_pipeline.ledger.owners import new_owner, surely_dead

if TYPE_CHECKING:
    import sqlalchemy as sa

    from export_pipeline.ledger.database import Database

OPEN = (State.PLANNED, State.FAILED, State.SENDING)
"""States in which somebody may claim an attempt."""


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
        (answer,) = self.claim_all([delivery], run_id, lease=lease, redeliver=redeliver).answers
        if isinstance(answer, DeliveryError):
            raise answer
        return answer

    def claim_all(
        self, deliveries: Sequence[Delivery], run_id: str, *, lease: timedelta = LEASE, redeliver: str | None = None
    ) -> Claims:
        """Claim several deliveries in one transaction; each answer is what `claim` returns or raises."""
        claims = Claims(self.database, new_owner(run_id), lease)
        entries = self._taken(deliveries, claims.owner, run_id, lease, redeliver)
        claims.answers = [_answer(claims, *each) for each in zip(deliveries, entries, strict=True)]
        return claims

    def attempts(self, delivery: Delivery) -> list[Entry]:
        """Return all attempts at a delivery, the last one first."""
        return self._attempts([delivery])[delivery.key]

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

    def _attempts(self, deliveries: Sequence[Delivery]) -> dict[str, list[Entry]]:
        """Return the attempts at deliveries by key, the last one of each first."""
        table = self._table
        found: dict[str, list[Entry]] = defaultdict(list)
        keys = [delivery.key for delivery in deliveries]
        for entry in self._select(table.c.key.in_(keys), order=[table.c.attempt.desc()]):
            found[entry.key].append(entry)
        return found

    def _taken(
        self, deliveries: Sequence[Delivery], owner: str, run_id: str, lease: timedelta, redeliver: str | None
    ) -> list[Entry]:
        """Return the attempts that claims are about, after this owner has taken those that are free."""
        while True:
            attempts = self._attempts(deliveries)
            chosen = {key: entry for key, found in attempts.items() if (entry := _chosen(found, redeliver)) is not None}
            absent = {d.key: _planned(d, attempts[d.key], run_id, redeliver) for d in deliveries if d.key not in chosen}
            rows = _to_take(chosen.values(), absent.values())
            if not rows:
                return [chosen[delivery.key] for delivery in deliveries]
            with self.database.transaction() as connection:
                self.database.insert_if_absent(connection, [absent[key] for key in sorted(absent)])
                connection.execute(self._take(owner, run_id, lease, redeliver), rows)
            after = {(entry.key, entry.attempt): entry for e in self._attempts(deliveries).values() for entry in e}
            attempt = {row["its_key"]: row["its_attempt"] for row in rows}
            taken = {key: after.get((key, number)) for key, number in attempt.items()}
            if all((got := taken[key]) is not None and got.token == row["token"] for key, row in absent.items()):
                return [taken.get(delivery.key) or chosen[delivery.key] for delivery in deliveries]
            # somebody was faster with one of them: the next look finds that, and what this owner has

    def _take(self, owner: str, run_id: str, lease: timedelta, redeliver: str | None) -> sa.Update:
        """Return the update by which an owner takes an attempt: only one can see the state that it names."""
        import sqlalchemy as sa

        from export_pipeline.ledger.database import clock

        table = self._table
        left = sa.or_(table.c.lease_until < clock(), table.c.owner == sa.bindparam("dead"))
        state = table.c.state
        free = sa.or_(state == State.PLANNED, state == State.FAILED, sa.and_(state == State.SENDING, left))
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
        its = [table.c[name] == sa.bindparam(f"its_{name}") for name in ("key", "attempt", "token")]
        return table.update().where(*its, free).values(values)


def _chosen(attempts: list[Entry], redeliver: str | None) -> Entry | None:
    """Return the attempt that a claim is about, of all at a delivery, the last one first; None for a new one."""
    if redeliver is None:
        made = [entry for entry in attempts if entry.state is State.VERIFIED]
        return next(iter(made + attempts), None)
    asked = [entry for entry in attempts if entry.token == redeliver]
    # a first attempt that never came to its end is what the request gets; one that another request asked for is not
    open_ = [e for e in attempts[:1] if e.token == "" and e.state not in (State.VERIFIED, State.UNKNOWN)]
    return next(iter(asked + open_), None)


def _planned(delivery: Delivery, before: list[Entry], run_id: str, redeliver: str | None) -> dict[str, Any]:
    """Return the row of a new attempt."""
    return {
        "key": delivery.key,
        "attempt": len(before) + 1,
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


def _to_take(there: Iterable[Entry], new: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what `Ledger._take` asks for of each attempt that may be free, in the order of the keys."""
    open_ = [entry for entry in there if entry.state in OPEN]
    owners = {entry.owner for entry in open_ if entry.state is State.SENDING}
    dead = {owner for owner in owners if owner is not None and surely_dead(owner)}
    rows = [(entry.key, entry.attempt, entry.token, entry.owner if entry.owner in dead else None) for entry in open_]
    rows += [(row["key"], row["attempt"], row["token"], None) for row in new]
    names = ("its_key", "its_attempt", "its_token", "dead")
    return [dict(zip(names, row, strict=True)) for row in sorted(rows)]


def _answer(claims: Claims, delivery: Delivery, entry: Entry) -> Claim | Entry | DeliveryError:
    """Return what came of asking for a delivery."""
    if entry.state is State.SENDING and entry.owner == claims.owner:
        return Claim(claims, entry)
    if entry.state is State.VERIFIED:
        return entry
    if entry.state is State.UNKNOWN:
        return UnknownDeliveryError(
            f"{delivery.output} of {delivery.export} may have arrived at {delivery.destination}: {entry.error}",
            cure="Look there; to send it again on purpose, redeliver.",
        )
    return DeliveryBusyError(
        f"run {entry.run_id} is delivering {delivery.output} of {delivery.export} to {delivery.destination} now",
        cure=f"Its claim ends in {max(entry.lease_left, 0):.0f} s unless it goes on working.",
    )
