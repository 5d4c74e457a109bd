"""What each stage of a run does."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from export_pipeline import snapshots, times
from export_pipeline.config import ExportConfig
from export_pipeline.destinations import Destination, Receipt, Request, deliver_folder, deliver_manifest
from export_pipeline.destinations.manifests import OUTPUT as MANIFEST
from export_pipeline.engines.native import run_native
from export_pipeline.errors import SourceError
from export_pipeline.formats.about import About
from export_pipeline.ledger import Ledger
from export_pipeline.plan import Plan, PlannedFile, make_plan
from export_pipeline.query import Query
from export_pipeline.snapshots import Snapshot
from export_pipeline.stages.context import Context, Progress
from export_pipeline.stages.handed import Delivered, Extracted, Written
from export_pipeline.stages.sharing import Results
from export_pipeline.verification import Artifact, verify

__all__ = [
    "Context",
    "Delivered",
    "Extracted",
    "Progress",
    "Written",
    "aggregate",
    "deliver",
    "extract",
    "filter_rows",
    "plan",
    "verify_files",
    "write",
]

Delivery = tuple[Destination, Request, dict[str, tuple[Artifact, Receipt]]]
"""A destination, how to ask it, and what it got by output."""


def plan(context: Context, config: ExportConfig, logical_time: datetime) -> Plan:
    """Decide everything; raises `ConfigError` for whatever is wrong, before any row is read."""
    with context.open(config, trusted=context.trusted) as opened:
        made = make_plan(
            config,
            opened,
            run_id=context.run_id,
            logical_time=logical_time.astimezone(UTC),
            output_root=context.output_root,
            trusted=context.trusted,
            environment=context.stores.environment,
        )
        result = made.query.check(next(iter(opened.values())).schema)
    for file in made.files:
        file.format.ready(result, _about(context, made))
        for destination in file.deliver:
            destination.check(_request(context, made, file))
    return made


def extract(context: Context, plan: Plan) -> Extracted:
    """Take the rows, in one consistent read, into the run's folder; files that stand still are pinned."""
    taken: dict[str, Snapshot] = {}
    with context.open(plan.config, trusted=plan.trusted) as opened:
        for name, read in plan.reads.items():
            opened[name].expect(read.version)
            opened[name].wanted(read.columns)  # a store moves on: it may have lost a column since
        counts = [opened[name].count() for name in plan.reads]
        total = None if None in counts else sum(count or 0 for count in counts)
        for name, read in plan.reads.items():
            before = sum(snapshot.rows for snapshot in taken.values())
            report = context.counting("extract", total)
            taken[name] = run_native(
                lambda name=name, read=read, before=before, report=report: snapshots.stage(  # type: ignore[misc]
                    opened[name],
                    context.staging.folder,
                    name=name,
                    columns=read.columns,
                    filter=read.pushed,
                    progress=lambda rows: report(before + rows),
                    stop=context.stop,
                ),
                stop=context.stop,
            )
    return Extracted(snapshots=taken)


def filter_rows(context: Context, plan: Plan) -> Query:
    """Hand on the part of the query that keeps rows."""
    del context
    return Query(timezone=plan.query.timezone, filter=plan.query.filter)


def aggregate(context: Context, plan: Plan, filter: Query) -> Query:  # noqa: A002 - stages are named after each other
    """Hand on the whole query: the kept rows, grouped, pivoted, sorted, with their columns."""
    del context
    return plan.query.replace(filter=filter.filter)


def write(context: Context, plan: Plan, extract: Extracted, aggregate: Query) -> Written:
    """Run the query and stream its rows into each output's format. Values are computed once for all outputs."""
    about = _about(context, plan).replace(
        filter=aggregate.filter.sentence() if aggregate.filter is not None else None,
        version=hashlib.sha256(extract.version.encode()).hexdigest()[:16],  # it names paths of this machine
    )
    artifacts: dict[str, Artifact] = {}
    folder = context.staging.folder
    with extract.reading() as rows:
        results = Results(rows, folder, context.stop)
        result = results.of(next(iter(rows)), aggregate, shared=len(plan.files) > 1)
        asked = [(table.source, table.query) for file in plan.files for table in file.tables.values()]
        for file in plan.files:
            tables = {
                part: results.of(table.source, table.query, shared=asked.count((table.source, table.query)) > 1)
                for part, table in file.tables.items()
            }
            (folder / file.label).mkdir(exist_ok=True)
            path = folder / file.label / f"file{file.format.suffix}"
            artifacts[file.label] = run_native(
                lambda file=file, path=path, tables=tables: file.format.using(  # type: ignore[misc]
                    context.stores.environment
                ).write(
                    result,
                    path,
                    tables=tables,
                    about=about,
                    name=file.name,
                    progress=context.counting("write", extract.first.rows if aggregate.filter is None else None),
                    stop=context.stop,
                ),
                stop=context.stop,
            )
    extract.check()
    counts = {artifact.rows for artifact in artifacts.values()}
    if len(counts) > 1:
        raise SourceError(f"the outputs have different numbers of rows: {sorted(counts)}")
    (count,) = counts
    if count == 0 and plan.config.on_empty == "fail":
        raise SourceError(
            f"no row is left: {plan.sentence}", cure="Widen the filter, or say on_empty: deliver or on_empty: skip."
        )
    return Written(artifacts=artifacts, rows=count, seconds={k: a.seconds for k, a in artifacts.items()})


def verify_files(context: Context, plan: Plan, write: Written) -> Written:
    """Read every file back with a reader that did not write it, and compare; then seal those that are to be sealed."""
    seconds: dict[str, float] = {}
    artifacts = dict(write.artifacts)
    for file in plan.files:
        artifact = write.artifacts[file.label]
        verified = run_native(
            lambda file=file, artifact=artifact: verify(  # type: ignore[misc]
                artifact,
                file.format.using(context.stores.environment),
                progress=context.counting("verify", artifact.entries or artifact.rows),
                stop=context.stop,
            ),
            stop=context.stop,
        )
        seconds[file.label] = verified.seconds
        if (seal := file.format.seal) is not None:
            artifacts[file.label] = run_native(
                lambda seal=seal, artifact=artifact: seal.apply(artifact, _about(context, plan), stop=context.stop),  # type: ignore[misc]
                stop=context.stop,
            )
    return write.replace(seconds=seconds, artifacts=artifacts)


def _about(context: Context, plan: Plan) -> About:
    """Return what formats may know of an export before a row is read."""
    return About(
        name=plan.export,
        logical_time=times.format_instant(plan.logical_time),
        timezone=plan.config.timezone,
        folder=context.folder or context.home.root,
        roots=None if plan.trusted else (context.home.root, *context.stores.roots),
    )


def deliver(context: Context, plan: Plan, verify: Written) -> Delivered:
    """Publish each verified file to each of its destinations, once."""
    if verify.rows == 0 and plan.config.on_empty == "skip":
        return Delivered(skipped="there was no row, and on_empty is skip")
    receipts: dict[str, list[Receipt]] = {}
    there: dict[str, Delivery] = {}
    for file in plan.files:
        artifact, request = verify.artifacts[file.label], _request(context, plan, file)
        receipts[file.label] = [
            deliver_folder(destination, artifact, request)
            if artifact.is_folder
            else destination.deliver(artifact, request)
            for destination in file.deliver
        ]
        for destination, receipt in zip(file.deliver, receipts[file.label], strict=True):
            _, request, files = there.setdefault(destination.model_dump_json(), (destination, request, {}))
            files[file.label] = (artifact, receipt)
    zone = times.zone(plan.config.timezone)
    for place, request, files in there.values():
        manifest = deliver_manifest(place, files, request, zone=zone, staging=context.staging.folder)
        if manifest is not None:
            receipts.setdefault(MANIFEST, []).append(manifest)
    return Delivered(receipts=receipts)


def _request(context: Context, plan: Plan, file: PlannedFile) -> Request:
    return Request(
        export=plan.export,
        run_id=context.run_id,
        logical_time=plan.logical_time,
        output=file.label,
        config_hash=plan.config_hash,
        ledger=Ledger(context.home.ledger_url),
        root=plan.output_root or context.home.out,
        allowed=None if plan.trusted else (context.home.root, *context.stores.roots),
        redeliver=context.redeliver,
        stop=context.stop,
    )
