"""Incidents: an export that fails, from its first failure to its next success, so that people are told once.

A run is tried again, and the next tick of the schedule fails for the same reason: that is one incident, and each
channel (a log, a webhook) is told of it once. What was told is kept in a small SQLite table that processes may share.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from export_pipeline.errors import StorageError

LEASE = 300.0
"""Seconds after which a channel whose teller died is told by another."""
KEPT = 90 * 86400.0
"""Seconds for which it is remembered what was told."""

TABLES = (
    """create table if not exists incidents (
        export text primary key, since text not null, last text not null, failures integer not null
    ) strict""",
    """create table if not exists told (
        subject text not null, channel text not null, done integer not null, at real not null,
        primary key (subject, channel)
    ) strict, without rowid""",
)


def incident_key(export: str, since: datetime) -> str:
    """Return what names an incident: the export and the logical time of the first run that failed."""
    return f"{export}@{_text(since)}"


@dataclass(frozen=True)
class Incident:
    """An export that has failed and not succeeded since."""

    export: str
    since: datetime
    """The logical time of the first failed run (UTC)."""
    last: datetime
    """The latest logical time that failed (UTC)."""
    failures: int
    """The failures so far, those of retried runs included."""
    told: frozenset[str] = frozenset()
    """The channels that were told of it; known once it is over."""

    @property
    def key(self) -> str:
        """The incident's name: the same for all its failures."""
        return incident_key(self.export, self.since)


class Incidents:
    """The open incidents, and which channels were told what, in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as database:
            for table in TABLES:
                database.execute(table)

    def failed(self, export: str, logical_time: datetime) -> Incident:
        """Record that a run failed; return the incident that it opened or belongs to."""
        with self._open() as database:
            row = database.execute(
                "insert into incidents values (?1, ?2, ?2, 1) on conflict (export) do update"
                " set last = max(last, excluded.last), failures = failures + 1 returning *",
                (export, _text(logical_time)),
            ).fetchone()
        return _incident(row)

    def succeeded(self, export: str, logical_time: datetime) -> Incident | None:
        """Record that a run succeeded; return the incident that this ends, if there is one.

        The success of a run for an earlier time, a backfill for instance, does not end what failed after it. After the
        end, a failure is a new incident, of which everybody is told.
        """
        with self._open() as database:
            row = database.execute(
                "delete from incidents where export = ? and last <= ? returning *", (export, _text(logical_time))
            ).fetchone()
            if row is None:
                return None
            ended = _incident(row)
            told = database.execute(
                "delete from told where subject = ? returning channel, done", (ended.key,)
            ).fetchall()
            database.execute("delete from told where at < ?", (time.time() - KEPT,))
        return replace(ended, told=frozenset(channel for channel, done in told if done))

    def open(self) -> list[Incident]:
        """Return the open incidents, oldest first."""
        with self._open() as database:
            return [_incident(row) for row in database.execute("select * from incidents order by since, export")]

    def claim(self, subject: str, channel: str) -> bool:
        """Return whether the caller is the one to tell this channel of a subject, such as an incident's key.

        It is not if another has told it, or is telling it now. A claim is followed by `confirm` or `release`; one whose
        owner died can be claimed again after `LEASE` seconds.
        """
        with self._open() as database:
            cursor = database.execute(
                "insert into told values (?1, ?2, 0, ?3) on conflict (subject, channel) do update set at = ?3"
                " where done = 0 and at < ?3 - ?4",
                (subject, channel, time.time(), LEASE),
            )
            return cursor.rowcount == 1

    def confirm(self, subject: str, channel: str) -> None:
        """Record that the channel was told."""
        with self._open() as database:
            database.execute("update told set done = 1 where subject = ? and channel = ?", (subject, channel))

    def release(self, subject: str, channel: str) -> None:
        """Give a claim back: the channel was not reached, and the next failure tries again."""
        with self._open() as database:
            database.execute("delete from told where subject = ? and channel = ? and done = 0", (subject, channel))

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction."""
        try:
            database = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            try:
                database.execute("begin immediate")
                yield database
                database.execute("commit")
            finally:
                database.close()
        except sqlite3.Error as error:
            raise StorageError(
                f"the record of incidents {self.path.name} cannot be used: {error}",
                cure=f"Check that {self.path.parent} can be written. Without the file, everybody is told again.",
            ) from error


def _text(moment: datetime) -> str:
    """Return an instant as text that sorts like time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _incident(row: tuple[str, str, str, int]) -> Incident:
    export, since, last, failures = row
    return Incident(export, datetime.fromisoformat(since), datetime.fromisoformat(last), failures)
