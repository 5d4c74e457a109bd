"""Incidents: an export that fails, from its first failure to its next success, so that people are told once.

A run is tried again, and the next tick of the schedule fails for the same reason: that is one incident, and each
channel (a log, a webhook) is told of it once. What was told is kept in a small SQLite table that processes may share.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from export_pipeline.errors import StorageError

LEASE = 300.0
"""Seconds after which a channel whose teller died is told by another."""
KEPT = 90 * 86400.0
"""Seconds for which it is remembered what was told."""

TABLES = (
    """create table if not exists failing (
        export text primary key, since text not null, last text not null, ended text not null, failures integer not null
    ) strict""",
    """create table if not exists working (
        export text primary key, last text not null, ended text not null, since text, failures integer not null
    ) strict""",
    """create table if not exists told (
        subject text not null, channel text not null, done integer not null, at real not null,
        primary key (subject, channel)
    ) strict, without rowid""",
)


@dataclass(frozen=True)
class Incident:
    """The failures of an export, from the first one to its next success."""

    export: str
    since: datetime
    """The logical time of the first failed run (UTC)."""
    failures: int
    """The failures so far, those of retried runs included."""
    over: bool = False
    """Whether a success has ended it."""

    @property
    def key(self) -> str:
        """The incident's name, the same for all its failures: the export and the time of the first run that failed."""
        return f"{self.export}@{_text(self.since)}"

    @property
    def recovery(self) -> str:
        """What is told when the export works again."""
        return f"{self.key}#recovery"


class Incidents:
    """The open incidents, and which channels were told what, in a SQLite file.

    Those who watch for failures and for successes do not hear of them in the order in which they happened: what counts
    is when a run ended, not when that was recorded. A failure that a recorded success has overtaken belongs to the
    incident which that success ended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as database:
            for table in TABLES:
                database.execute(table)

    def failed(self, export: str, logical_time: datetime, ended: datetime) -> Incident:
        """Record that a run failed; return the incident that it opened or belongs to."""
        run = (export, _text(logical_time), _text(ended))
        with self._open() as database:
            over = database.execute(
                "update working set since = coalesce(since, ?2), failures = failures + 1"
                " where export = ?1 and last >= ?2 and ended >= ?3 returning since, failures",
                run,
            ).fetchone()
            if over is not None:
                return _incident(export, *over, over=True)
            row = database.execute(
                "insert into failing values (?1, ?2, ?2, ?3, 1) on conflict (export) do update"
                " set last = max(last, excluded.last), ended = max(ended, excluded.ended), failures = failures + 1"
                " returning since, failures",
                run,
            ).fetchone()
            incident = _incident(export, *row)
            if incident.failures == 1:  # a time that failed, succeeded, and fails again: of that everybody is told
                database.execute("delete from told where subject in (?, ?)", (incident.key, incident.recovery))
        return incident

    def succeeded(self, export: str, logical_time: datetime, ended: datetime) -> Incident | None:
        """Record that a run succeeded; return the incident that this ends, if there is one, also when asked again.

        The success of a run for an earlier time, a backfill for instance, does not end what failed after it. After the
        end, a failure is a new incident, of which everybody is told.
        """
        run = (export, _text(logical_time), _text(ended))
        with self._open() as database:
            row = database.execute(
                "delete from failing where export = ? and last <= ? and ended <= ? returning since, failures", run
            ).fetchone()
            since, failures = row or (None, 0)
            database.execute(
                "insert into working values (?1, ?2, ?3, ?4, ?5) on conflict (export) do update"
                " set last = ?2, ended = ?3, since = ?4, failures = ?5"
                " where last <= ?2 and (last, ended) != (?2, ?3) or ?4 is not null",
                (*run, since, failures),
            )
            row = database.execute(
                "select since, failures from working where export = ? and last = ? and ended = ? and since not null",
                run,
            ).fetchone()
            database.execute("delete from told where at < ?", (time.time() - KEPT,))
        return _incident(export, *row, over=True) if row is not None else None

    def open(self) -> list[Incident]:
        """Return the open incidents, oldest first."""
        with self._open() as database:
            rows = database.execute("select export, since, failures from failing order by since, export")
            return [_incident(*row) for row in rows]

    def told(self, subject: str, channel: str) -> bool:
        """Return whether the channel was told of a subject."""
        with self._open() as database:
            row = database.execute(
                "select 1 from told where subject = ? and channel = ? and done = 1", (subject, channel)
            ).fetchone()
        return row is not None

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


def _incident(export: str, since: str, failures: int, *, over: bool = False) -> Incident:
    return Incident(export, datetime.fromisoformat(since), failures, over)
