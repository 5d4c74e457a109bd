"""What became of a run, in one form for the command line, GraphQL clients and the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from export_pipeline.destinations import Receipt
from export_pipeline.options import Options

if TYPE_CHECKING:  # whoever reads the history needs no engine
    from export_pipeline.pipeline import Delivered, Written
    from export_pipeline.plan import Plan

State = Literal["queued", "starting", "running", "done", "failed", "cancelling", "cancelled"]


class ExportedFile(Options):
    """One file, as it was verified."""

    output: str
    """Name of the output."""
    path: str
    """Where it is: its first receipt's place; its name where nothing was delivered."""
    format: str
    """Tag of its format."""
    rows: int
    """Rows in it."""
    columns: int
    """Columns in it."""
    bytes: int
    """Its size."""
    sha256: str
    """Digest of its bytes."""
    files: int | None = None
    """Number of files, where it is a folder."""


class LossReport(Options):
    """Something that a format could not hold."""

    output: str
    """Name of the output."""
    column: str | None = None
    """The column; none where the whole table is meant."""
    why: str
    """What is lost."""


class ExportResult(Options):
    """How a run ended, and what it made."""

    run_id: str
    """The run."""
    state: State
    """How far it is, or how it ended."""
    export: str
    """Name of the export."""
    rows: int = 0
    """Rows in each file."""
    seconds: float = 0.0
    """From start to end."""
    files: list[ExportedFile] = Field(default_factory=list)
    """The verified files."""
    receipts: list[Receipt] = Field(default_factory=list)
    """What arrived where; of a folder, the whole: the manifest and the ledger list its files."""
    losses: list[LossReport] = Field(default_factory=list)
    """What the formats could not hold."""
    skipped: str = ""
    """Why nothing was sent."""
    error: str = ""
    """Why it failed."""
    cure: str = ""
    """What can be done about it."""


def result_of(plan: Plan, written: Written, delivered: Delivered, *, run_id: str, seconds: float = 0.0) -> ExportResult:
    """Return the result of a run that went well."""
    files = []
    for file in plan.files:
        artifact, receipts = written.artifacts[file.label], delivered.receipts.get(file.label, [])
        files.append(
            ExportedFile(
                output=file.label,
                path=receipts[0].place if receipts else file.name,
                format=artifact.format,
                rows=artifact.rows,
                columns=len(artifact.columns),
                bytes=artifact.bytes,
                sha256=artifact.sha256,
                files=len(artifact.parts) if artifact.is_folder else None,
            )
        )
    return ExportResult(
        run_id=run_id,
        state="done",
        export=plan.export,
        rows=written.rows,
        seconds=round(seconds, 3),
        files=files,
        # thousands of parts are no answer to "what became of it": the manifest and the ledger have each
        receipts=[r.replace(parts=()) if r.parts else r for receipts in delivered.receipts.values() for r in receipts],
        losses=[
            LossReport(output=label, column=loss.column, why=loss.why)
            for label, artifact in written.artifacts.items()
            for loss in artifact.losses
        ],
        skipped=delivered.skipped,
    )
