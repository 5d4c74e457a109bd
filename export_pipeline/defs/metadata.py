"""What each stage shows in the Dagster UI of what it did."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from export_pipeline import times
from export_pipeline.defs import plans
from export_pipeline.destinations import Receipt
from export_pipeline.formats.sealing import AnySeal
from export_pipeline.pipeline import Delivered, Extracted, Written
from export_pipeline.plan import Plan
from export_pipeline.query import Query
from export_pipeline.schemas import schema_of
from export_pipeline.verification import Artifact

Metadata = dict[str, Any]
PREVIEW = 20
"""Rows in the preview."""
EVERY_ROW = "every row"
RESULT = "result"
"""The entry that holds an `ExportResult`, for programs."""


def planned(plan: Plan) -> Metadata:
    """Show what will be done."""
    return {
        plans.PLAN: plans.metadata(plan),
        "what": plan.sentence or EVERY_ROW,
        "logical_time": times.format_instant(plan.logical_time),
        "timezone": plan.config.timezone,
        "files": ", ".join(file.name for file in plan.files),
        "config_hash": plan.config_hash,
    } | ({"columns": _columns(plan.types)} if plan.types else {})


def _extracted(extracted: Extracted, _plan: Plan) -> Metadata:
    shown: Metadata = {}
    for name, snapshot in extracted.snapshots.items():
        lead = "" if snapshot is extracted.first else f"{name}_"
        shown |= {
            f"{lead}rows": snapshot.rows,
            f"{lead}bytes": snapshot.bytes,
            f"{lead}version": snapshot.version,
            f"{lead}pinned": snapshot.pinned,
            f"{lead}pushed_down": snapshot.pushed or "nothing",
            f"{lead}schema": _columns(snapshot.types),
        }
    return shown


def _asked(query: Query, _plan: Plan) -> Metadata:
    return {"what": query.sentence() or EVERY_ROW}


def _written(written: Written, plan: Plan) -> Metadata:
    shown: Metadata = {"rows": written.rows}
    for file in plan.files:
        artifact = written.artifacts[file.label]
        for name, value in _file(artifact, file.format.seal).items():
            shown[name if len(plan.files) == 1 else f"{file.label}_{name}"] = value
    if written.rows and not any(file.format.confidential for file in plan.files):
        shown["preview"] = preview(plan, written)
    return shown | {"losses": losses_table(written)}  # the longest comes last


def _file(artifact: Artifact, seal: AnySeal | None) -> Metadata:
    """Show a file that was written; what is yet to be sealed is called plain, for it is not what is delivered."""
    plain = "" if seal is None else "plain_"
    return {
        f"{plain}file": artifact.name if seal is None else seal.stripped(artifact.name),
        **({"files": len(artifact.parts)} if artifact.is_folder else {}),
        f"{plain}bytes": artifact.bytes,
        f"{plain}sha256": artifact.sha256,
        "seconds": round(artifact.seconds, 3),
        "rows_per_second": round(artifact.rows / artifact.seconds) if artifact.seconds > 0 else 0,
        "schema": _columns(artifact.columns),
    }


def _verified(written: Written, plan: Plan) -> Metadata:
    columns = max((len(artifact.columns) for artifact in written.artifacts.values()), default=0)
    seconds = {label if len(plan.files) > 1 else "seconds": round(s, 3) for label, s in written.seconds.items()}
    sealed: Metadata = {}
    for file in plan.files:
        if file.format.seal is not None:
            artifact, lead = written.artifacts[file.label], "" if len(plan.files) == 1 else f"{file.label}_"
            about = {"file": artifact.name, "bytes": artifact.bytes, "sha256": artifact.sha256}
            sealed |= {f"{lead}sealed_{name}": value for name, value in about.items()}
    return {"verified": f"{written.rows:,} rows, {columns} columns", **seconds, **sealed}


def delivered(done: Delivered, _plan: Plan) -> Metadata:
    """Show what arrived where."""
    if done.skipped:
        return {"skipped": done.skipped}
    receipts = [(label, receipt) for label, receipts in done.receipts.items() for receipt in receipts]
    records = [
        dg.TableRecord(
            {
                "output": label,
                "destination": receipt.destination,
                "place": receipt.place,
                "bytes": receipt.bytes,
                "checked": receipt.checked,
                "at": times.format_instant(receipt.at),
                "note": _note(receipt),
                "sha256": receipt.sha256,  # the longest, and on the asset's page beside it: last
            }
        )
        for label, receipt in receipts
    ]
    local = [receipt.place for _, receipt in receipts if receipt.destination == "local"]
    place = {"path": dg.MetadataValue.path(local[0])} if local else {}
    return place | {"receipts": dg.MetadataValue.table(records)}


def _note(receipt: Receipt) -> str:
    """Say what is special about a delivery."""
    many = "" if receipt.files is None else f"a folder of {receipt.files:,} files"
    return "; ".join(filter(None, (many, receipt.reason or ("recovered" if receipt.recovered else ""))))


def materialized(plan: Plan, written: Written, done: Delivered, result: Metadata) -> Metadata:
    """Show what an export produced, for the asset that it is; `result` is the whole of it, for programs.

    The asset's page shows it all in this order: what people look for comes first.
    """
    shown: Metadata = {
        "what": plan.sentence or EVERY_ROW,
        "rows": written.rows,
        "dagster/row_count": written.rows,
        "logical_time": times.format_instant(plan.logical_time),
    }
    for file in plan.files:
        artifact = written.artifacts[file.label]
        prefix = "" if len(plan.files) == 1 else f"{file.label}_"
        shown |= {f"{prefix}{name}": getattr(artifact, name) for name in ("format", "bytes", "sha256")}
        shown[f"{prefix}schema"] = _columns(artifact.columns)
    shown["losses"] = losses_table(written)
    return shown | delivered(done, plan) | {RESULT: dg.MetadataValue.json(result)}


SHOWN: Mapping[str, Callable[[Any, Plan], Metadata]] = {
    "extract": _extracted,
    "filter": _asked,
    "aggregate": _asked,
    "write": _written,
    "verify": _verified,
    "deliver": delivered,
}
"""Stage -> what to show of its result."""


def preview(plan: Plan, written: Written) -> dg.TableMetadataValue:
    """Return the first rows of the first file, as a reader of that file sees them."""
    file = plan.files[0]
    artifact = written.artifacts[file.label]
    first = next(iter(file.format.read(artifact.path, schema_of(artifact.columns)))).head(PREVIEW)
    records = [dg.TableRecord({name: _shown(value) for name, value in row.items()}) for row in first.to_dicts()]
    return dg.MetadataValue.table(records, schema=_table(artifact.columns))


def _shown(value: Any) -> str | int | float | bool | None:
    """Return a cell that the browser can show: big numbers and NaN would not survive JavaScript."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)


def losses_table(written: Written) -> Any:
    """Return what the formats could not hold, by file and reason; a word where they held everything."""
    columns: dict[tuple[str, str], list[str]] = {}
    for artifact in written.artifacts.values():
        for loss in artifact.losses:
            columns.setdefault((artifact.name, loss.why), []).extend([loss.column] if loss.column else [])
    several = len(written.artifacts) > 1  # the reason, which one looks for, has the room of a name that says nothing
    records = [
        dg.TableRecord(({"file": file} if several else {}) | {"columns": ", ".join(names), "why": why})
        for (file, why), names in columns.items()
    ]
    return dg.MetadataValue.table(records) if records else "none"


def _table(types: Mapping[str, str]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind) for name, kind in types.items()])


def _columns(types: Mapping[str, str]) -> dg.TableSchemaMetadataValue:
    return dg.MetadataValue.table_schema(_table(types))
