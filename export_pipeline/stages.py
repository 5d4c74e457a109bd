"""What each stage of a run does, and what it works in."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl
from pydantic import Field

from export_pipeline import snapshots, times
from export_pipeline.config import ExportConfig
from export_pipeline.destinations import Destination, Receipt, Request, deliver_manifest
from export_pipeline.destinations.manifests import OUTPUT as MANIFEST
from export_pipeline.engines.native import run_native
from export_pipeline.errors import SourceError
from export_pipeline.formats.base import About
from export_pipeline.formats.sink import Sink
from export_pipeline.home import Home
from export_pipeline.ledger import Ledger
from export_pipeline.options import Options
from export_pipeline.plan import Plan, PlannedFile, make_plan
from export_pipeline.query import Query
from export_pipeline.snapshots import Snapshot
from export_pipeline.sources import Opened, Stores
from export_pipeline.staging import Staging
from export_pipeline.verification import Artifact, verify


@dataclass(frozen=True)
class Progress:
    """How far a stage is."""

    stage: str
    rows: int
    total: int | None = None


@dataclass
class Context:
    """What a run has besides its plan: where it is, who listens, and whether somebody stopped it."""

    home: Home
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    output_root: Path | None = None
    """Folder that relative `local` folders stand under; None is ``out/`` of the home folder."""
    trusted: bool = False
    """Whether the local command line launched it: then files outside the allowed roots may be read and written."""
    folder: Path | None = None
    """Folder that relative paths of files stand in; None is the home folder."""
    progress: Callable[[Progress], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    redeliver: str | None = None
    """Send again what was sent: a text that is the same when the same request is repeated."""

    @property
    def staging(self) -> Staging:
        """The run's own folder."""
        return Staging(self.home.staging, self.run_id)

    @property
    def stores(self) -> Stores:
        """The stores of the home folder."""
        return Stores.load(self.home.stores)

    def counting(self, stage: str, total: int | None = None) -> Callable[[int], None]:
        """Return the callback that reports the rows of a stage."""
        return lambda rows: self.progress(Progress(stage, rows, total))

    def open(self, config: ExportConfig, *, trusted: bool) -> Opened:
        """Open the export's source for one consistent read."""
        (source,) = config.inputs.values()
        stores = self.stores
        roots = None if trusted else (self.home.root, *stores.roots)
        folder = self.folder or self.home.root
        # Finding out the types of text files and loose tables reads all of their rows.
        return run_native(lambda: source.open(stores, roots, folder=folder), stop=self.stop)


Delivery = tuple[Destination, Request, dict[str, tuple[Artifact, Receipt]]]
"""A destination, how to ask it, and what it got by output."""


class Written(Options):
    """The finished files of a run."""

    artifacts: dict[str, Artifact] = Field(default_factory=dict)
    """Output -> its file."""
    rows: int = 0
    """Rows in each file."""
    seconds: dict[str, float] = Field(default_factory=dict)
    """Output -> how long it took."""


class Delivered(Options):
    """What arrived where."""

    receipts: dict[str, list[Receipt]] = Field(default_factory=dict)
    """Output -> its receipts, in the order of its destinations."""
    skipped: str = ""
    """Why nothing was sent."""


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
        )
        result = made.query.check(opened.schema)
    roots = None if context.trusted else (context.home.root, *context.stores.roots)
    about = About(name=made.export, folder=context.folder or context.home.root, roots=roots)
    for file in made.files:
        file.format.check_files(result, about)
        for destination in file.deliver:
            destination.check(_request(context, made, file))
    return made


def extract(context: Context, plan: Plan) -> Snapshot:
    """Take the rows, in one consistent read, into the run's folder; files that stand still are pinned."""
    with context.open(plan.config, trusted=plan.trusted) as opened:
        opened.expect(plan.source_version)
        opened.wanted(plan.columns)  # a store moves on: it may have lost a column since
        (name,) = plan.config.inputs
        return run_native(
            lambda: snapshots.stage(
                opened,
                context.staging.folder,
                name=name,
                columns=plan.columns,
                filter=plan.pushed,
                progress=context.counting("extract", opened.count()),
                stop=context.stop,
            ),
            stop=context.stop,
        )


def filter_rows(context: Context, plan: Plan) -> Query:
    """Hand on the part of the query that keeps rows."""
    del context
    return Query(timezone=plan.query.timezone, filter=plan.query.filter)


def aggregate(context: Context, plan: Plan, filter: Query) -> Query:  # noqa: A002 - stages are named after each other
    """Hand on the whole query: the kept rows, grouped, pivoted, sorted, with their columns."""
    del context
    return plan.query.replace(filter=filter.filter)


def write(context: Context, plan: Plan, extract: Snapshot, aggregate: Query) -> Written:
    """Run the query and stream its rows into each output's format. Values are computed once for all outputs."""
    about = About(
        name=plan.export,
        logical_time=times.format_instant(plan.logical_time),
        timezone=plan.config.timezone,
        filter=aggregate.filter.sentence() if aggregate.filter is not None else None,
        version=hashlib.sha256(extract.version.encode()).hexdigest()[:16],  # it names paths of this machine
        folder=context.folder or context.home.root,
        roots=None if plan.trusted else (context.home.root, *context.stores.roots),
    )
    artifacts: dict[str, Artifact] = {}
    folder = context.staging.folder
    with extract.reading() as rows:
        result = aggregate.apply(rows, stop=context.stop)
        if len(plan.files) > 1 and not aggregate.streams:
            result = _once(result, folder / "result.parquet", context.stop)
        for file in plan.files:
            (folder / file.label).mkdir(exist_ok=True)
            path = folder / file.label / f"file{file.format.suffix}"
            artifacts[file.label] = run_native(
                lambda file=file, path=path: file.format.write(  # type: ignore[misc]
                    result,
                    path,
                    about=about,
                    name=file.name,
                    progress=context.counting("write", extract.rows if aggregate.filter is None else None),
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


def _once(rows: pl.LazyFrame, path: Path, stop: threading.Event) -> pl.LazyFrame:
    """Compute rows once for several files: float sums may differ in the last bit from one computation to the next."""
    with Sink(path, stop=stop) as sink:
        target = cast("BinaryIO", sink)
        run_native(lambda: rows.sink_parquet(target, row_group_size=snapshots.ROW_GROUP, compression="lz4"), stop=stop)
    return pl.scan_parquet(path)


def verify_files(context: Context, plan: Plan, write: Written) -> Written:
    """Read every file back with a reader that did not write it, and compare."""
    seconds: dict[str, float] = {}
    for file in plan.files:
        artifact = write.artifacts[file.label]
        verified = run_native(
            lambda file=file, artifact=artifact: verify(  # type: ignore[misc]
                artifact,
                file.format,
                progress=context.counting("verify", artifact.entries or artifact.rows),
                stop=context.stop,
            ),
            stop=context.stop,
        )
        seconds[file.label] = verified.seconds
    return write.replace(seconds=seconds)


def deliver(context: Context, plan: Plan, verify: Written) -> Delivered:
    """Publish each verified file to each of its destinations, once."""
    if verify.rows == 0 and plan.config.on_empty == "skip":
        return Delivered(skipped="there was no row, and on_empty is skip")
    receipts: dict[str, list[Receipt]] = {}
    there: dict[str, Delivery] = {}
    for file in plan.files:
        artifact, request = verify.artifacts[file.label], _request(context, plan, file)
        receipts[file.label] = [destination.deliver(artifact, request) for destination in file.deliver]
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
