"""What the ledger knows: the identity of a delivery, and one row about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

Mark = Mapping[str, Any]
"""What an owner is about to publish, in its destination's own words."""


class State(StrEnum):
    """How far a delivery has come."""

    PLANNED = "planned"
    """Known, not begun."""
    SENDING = "sending"
    """Somebody owns it and is working, or died while working."""
    VERIFIED = "verified"
    """The file is there and was checked; the row has the receipt."""
    FAILED = "failed"
    """Not delivered; the next claim tries again."""
    UNKNOWN = "unknown"
    """The file may have arrived; it is not sent again without a person's word."""


@dataclass(frozen=True)
class Delivery:
    """The identity of one delivery: the same values mean the same file for the same place."""

    export: str
    logical_time: datetime
    output: str
    destination: str
    """Kind and place: ``local:/srv/reports``."""
    config_hash: str

    def __post_init__(self) -> None:
        if self.logical_time.tzinfo is None:
            raise ValueError(f"the logical time {self.logical_time} has no time zone")

    @property
    def logical_text(self) -> str:
        """The logical time as UTC text of fixed width, which sorts by time."""
        return self.logical_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    @cached_property
    def key(self) -> str:
        """SHA-256 of the five values, in hex."""
        values = [self.export, self.logical_text, self.output, self.destination, self.config_hash]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()


@dataclass(frozen=True)
class Entry:
    """One row of the ledger: one attempt at a delivery."""

    key: str
    attempt: int
    """1, and one more for each time it was sent again on purpose."""
    token: str
    """The request to send it again that this attempt serves; empty for the first."""
    export: str
    logical_time: datetime
    output: str
    destination: str
    config_hash: str
    state: State
    owner: str | None
    """Who owns it now (`sending`)."""
    run_id: str | None
    """The run that claimed it last."""
    claims: int
    """How often it was claimed: 1 if nothing went wrong."""
    reserved: dict[str, Any] | None
    """What the owner was about to publish when it was last heard of."""
    receipt: dict[str, Any] | None
    error: str | None
    """Why the last try failed."""
    created_at: datetime
    updated_at: datetime
    lease_left: float
    """Seconds until the owner's lease ends; negative when it is over."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Entry:
        """Return the entry of a row of the database, read together with the database's clock as `now`."""
        return cls(
            **{name: row[name] for name in _COPIED},
            logical_time=datetime.strptime(row["logical_time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC),
            state=State(row["state"]),
            created_at=datetime.fromtimestamp(row["created_at"], UTC),
            updated_at=datetime.fromtimestamp(row["updated_at"], UTC),
            lease_left=(row["lease_until"] or 0.0) - row["now"],
        )


_COPIED = (
    "key",
    "attempt",
    "token",
    "export",
    "output",
    "destination",
    "config_hash",
    "owner",
    "run_id",
    "claims",
    "reserved",
    "receipt",
    "error",
)
