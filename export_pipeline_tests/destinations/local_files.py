"""Files to deliver to a folder."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from export_pipeline.destinations import Request
from export_pipeline.manifest import Written

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DATA = b"agent,cost\na,1\n"


def staged(folder: Path, data: bytes, name: str = "orders.csv") -> Written:
    """Return a finished file with these bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "staged").write_bytes(data)
    return Written(folder / "staged", name, len(data), hashlib.sha256(data).hexdigest())


def later(request: Request, hours: int = 1) -> Request:
    """Return a request for another delivery."""
    return request.replace(logical_time=request.logical_time + timedelta(hours=hours))


def names(folder: Path) -> list[str]:
    """Return the names of all that is in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())
