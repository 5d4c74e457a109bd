"""The last file of a delivery: the manifest, where the destination wants one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from export_pipeline.destinations.base import Destination, Receipt, Request
from export_pipeline.manifest import Manifest, ManifestFile, ManifestPart
from export_pipeline.names import render_file_name

if TYPE_CHECKING:
    from export_pipeline.verification import Artifact

OUTPUT = "manifest"
"""Label of the manifest among the outputs of a run, in the ledger and in receipts."""


@dataclass(frozen=True)
class _Json:
    tag: str = OUTPUT
    full_suffix: str = ".json"


def deliver_manifest(
    destination: Destination,
    delivered: Mapping[str, tuple[Artifact, Receipt]],
    request: Request,
    *,
    zone: ZoneInfo,
    staging: Path,
) -> Receipt | None:
    """Deliver the list of what was delivered to this destination; None where it wants none.

    `delivered` is output -> (file, receipt), and is called with all of them. The manifest is a delivery like any other:
    once per run's logical time, with a receipt, and with `if_exists`.
    """
    template = destination.manifest_name
    if template is None:
        return None
    name = render_file_name(
        template,
        name=request.export,
        logical_time=request.logical_time.astimezone(zone),
        run_id=request.run_id,
        output=OUTPUT,
        format=_Json(),
    )
    manifest = Manifest(
        export=request.export,
        run_id=request.run_id,
        logical_time=request.logical_time,
        plan_hash=request.config_hash,
        files=[
            ManifestFile(
                name=receipt.name,
                output=output,
                format=artifact.format,
                rows=artifact.rows,
                bytes=receipt.bytes,
                sha256=receipt.sha256,
                columns=artifact.columns,
                losses=tuple(loss.dump() for loss in artifact.losses),
                parts=tuple(
                    ManifestPart(name=file.name, rows=part.rows, bytes=part.bytes, sha256=part.sha256)
                    for file, part in zip(artifact.files, artifact.parts, strict=True)
                ),
            )
            for output, (artifact, receipt) in delivered.items()
        ],
    )
    written = manifest.write(staging / "manifest.json")
    return destination.deliver(replace(written, name=name), request.replace(output=OUTPUT))
