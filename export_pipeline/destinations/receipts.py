"""What a delivery is asked for, and the proof that it was made."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import AwareDatetime

from export_pipeline.ledger import Delivery, Entry, Ledger
from export_pipeline.ledger.claims import LEASE
from export_pipeline.options import Options

if TYPE_CHECKING:
    from export_pipeline.destinations.base import Destination


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

    @classmethod
    def from_before(cls, entry: Entry) -> Receipt:
        """Return the receipt of a delivery that was made before."""
        receipt = cls.model_validate(entry.receipt)
        when = receipt.at.strftime("%Y-%m-%d %H:%M:%S UTC")
        return receipt.replace(skipped=True, reason=f"delivered before: by run {receipt.run_id}, {when}")


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
