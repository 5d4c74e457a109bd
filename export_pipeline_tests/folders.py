"""A finished folder of many small parts, to be delivered."""

from __future__ import annotations

import hashlib
from pathlib import Path

from export_pipeline.parts import Part, digest_of_parts
from export_pipeline.verification import Artifact

DONE = "_SUCCESS"
"""Name of the last part."""


def folder_of(path: Path, name: str, parts: int) -> Artifact:
    """Return a folder of so many parts, in folders of their own and together in others, and the marker after them."""
    files = {f"agent={number % (parts // 2 + 1)}/part-{number}.csv": b"%d\n" % number * 99 for number in range(parts)}
    made = []
    for part, data in (files | {DONE: b""}).items():
        file = path / part
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        made.append(Part(name=part, rows=99, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))
    return Artifact(
        path=path,
        name=name,
        format="csv",
        rows=99 * parts,
        columns={},
        bytes=sum(part.bytes for part in made),
        sha256=digest_of_parts(made),
        is_folder=True,
        parts=tuple(made),
        checksums={},
    )
