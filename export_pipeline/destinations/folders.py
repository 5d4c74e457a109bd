"""An output of several files at a destination: each part is a delivery of its own, once; one receipt lists them all.

Parts are delivered in batches, in order. A run that dies in between leaves parts with a receipt in the ledger, and
perhaps some without, which the next run finds; it sends the others. The marker is the last part, so it is there only
when all others are. A part replaces the part of its name; files that a former run left in the same folder are nobody's
to delete: the receipt names them, and the manifest does not list them.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from export_pipeline.destinations.base import Destination, PartReceipt, Receipt, Request
from export_pipeline.parts import PartFile

if TYPE_CHECKING:
    from export_pipeline.verification import Artifact

BATCH = 128
"""Parts that are claimed, published and written down together; fewer where this process may open fewer than 1,024
files: each part is an open file meanwhile, and so are its folders."""
BATCH_BYTES = 64 << 20
"""Bytes after which a batch is full: of large parts, each is published when it is there."""
SHOWN = 3
"""Other files in the folder that a receipt names; it counts the rest."""


def deliver_folder(destination: Destination, folder: Artifact, request: Request) -> Receipt:
    """Deliver every part of a folder once, in order, and return the receipt of the whole."""
    receipts: list[Receipt] = []
    with request.ledger.database.kept_open():
        for batch in _batches(folder.files):
            files = {f"{request.output}/{file.part}": file for file in batch}
            receipts += destination.deliver_all(files, request)
    return Receipt(
        destination=destination.tag,
        place=_place(destination, folder, request, receipts),
        name=folder.name,
        bytes=sum(receipt.bytes for receipt in receipts),
        sha256=folder.sha256,
        checked="readback" if all(receipt.checked == "readback" for receipt in receipts) else "size",
        at=max((receipt.at for receipt in receipts), default=datetime.now(UTC)),
        run_id=request.run_id,
        attempt=max((receipt.attempt for receipt in receipts), default=1),
        recovered=any(receipt.recovered for receipt in receipts),
        skipped=bool(receipts) and all(receipt.skipped for receipt in receipts),
        reason=_reason(destination, folder, request, receipts),
        files=len(receipts),
        parts=tuple(
            PartReceipt(name=receipt.name, bytes=receipt.bytes, sha256=receipt.sha256, skipped=receipt.skipped)
            for receipt in receipts
        ),
    )


def _batches(files: Sequence[PartFile]) -> Iterator[Sequence[PartFile]]:
    """Return the parts in batches. The last one, which may be the marker, comes alone: by then all others have their
    receipts, whatever dies."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = BATCH if limit == resource.RLIM_INFINITY else max(1, min(BATCH, limit // 8))
    batch: list[PartFile] = []
    size = 0
    for file in files[:-1]:
        batch.append(file)
        size += file.bytes
        if len(batch) == most or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield from (rest for rest in (batch, files[-1:]) if rest)


def _place(destination: Destination, folder: Artifact, request: Request, receipts: Sequence[Receipt]) -> str:
    """Return where the folder is, as its first part says it."""
    if receipts:
        return receipts[0].place.removesuffix(f"/{folder.files[0].part}")
    return f"{destination.place(request)}/{folder.name}"


def _reason(destination: Destination, folder: Artifact, request: Request, receipts: Sequence[Receipt]) -> str:
    """Say what was sent before, and what else is in the folder."""
    said = []
    before = [receipt for receipt in receipts if receipt.skipped]
    if before:
        said.append(f"{len(before):,} of {len(receipts):,} files were {before[0].reason}")
    others = destination.others(folder.name, {file.name for file in folder.files}, request)
    if others:
        more = f" and {len(others) - SHOWN:,} more" if len(others) > SHOWN else ""
        said.append(f"files of other runs are in the folder, too: {', '.join(others[:SHOWN])}{more}")
    return "; ".join(said)
