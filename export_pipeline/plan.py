"""Everything that is decided before the first row is read; later stages, retries and re-executions read only this."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from pydantic import Field

from export_pipeline import times
from export_pipeline.config import ExportConfig
from export_pipeline.destinations import AnyDestination
from export_pipeline.errors import ConfigError
from export_pipeline.filters import AnyFilter
from export_pipeline.formats import AnyFormat
from export_pipeline.names import render_file_name
from export_pipeline.options import Options
from export_pipeline.query import Query
from export_pipeline.schemas import texts_of
from export_pipeline.sources import Opened


class PlannedFile(Options):
    """One file to make: format, final name, destinations."""

    label: str
    """Name of the output in receipts."""
    name: str
    """Final name of the file."""
    format: AnyFormat
    """Format and its options."""
    deliver: list[AnyDestination]
    """Where it goes."""


class Plan(Options):
    """What one run does: the resolved export, its logical time, absolute ranges, file names, the pinned source."""

    run_id: str
    """The run that made the plan."""
    export: str
    """Name of the export."""
    config: ExportConfig
    """The export as resolved: the file merged with the launch's own values."""
    config_hash: str
    """Hash of what decides the file; part of the delivery key."""
    logical_time: datetime
    """The instant that relative ranges and file names refer to, never "now"."""
    source_version: str
    """Identity of the rows that were planned for; a pinned source that changed since is refused."""
    query: Query
    """The query with absolute instants and real columns."""
    columns: list[str] | None = None
    """Columns to extract; None means all."""
    pushed: AnyFilter | None = None
    """The filter that extract may push into the source; the whole filter is applied again after it."""
    types: dict[str, str] = Field(default_factory=dict)
    """Column -> type of the file's rows, as far as known before reading."""
    sentence: str = ""
    """What the query does, in English."""
    files: list[PlannedFile]
    """The files to make."""
    output_root: Path | None = None
    """Folder that relative `local` folders stand under; None is ``out/`` of the home folder."""
    trusted: bool = False
    """Whether the local command line launched it: then files anywhere may be read and written."""


def make_plan(
    config: ExportConfig,
    opened: Opened,
    *,
    run_id: str,
    logical_time: datetime,
    output_root: Path | None = None,
    trusted: bool = False,
    environment: Collection[str] = (),
) -> Plan:
    """Resolve and check an export against the opened source.

    Raises `ConfigError` for everything that is wrong with it (unknown columns, operators that do not fit a type,
    formats that cannot hold the columns), before any row is read.
    """
    zone = times.zone(config.timezone)
    schema = opened.schema
    query = config.query.resolve(logical_time).bind(schema, opened.roles)
    result = query.check(schema)
    needed = query.needs(schema)
    for output in config.files:
        output.format.using(environment).check(result)
        if output.format.is_folder:
            for destination in output.deliver:
                destination.check_folder()
    files = [
        PlannedFile(
            label=output.label,
            name=render_file_name(
                output.file_name,
                name=config.name or "export",
                logical_time=logical_time.astimezone(zone),
                run_id=run_id,
                output=output.label,
                format=output.format,
            ),
            format=output.format,
            deliver=output.deliver,
        )
        for output in config.files
    ]
    _distinct(files)
    return Plan(
        run_id=run_id,
        export=config.name or "export",
        config=config,
        config_hash=config.digest(),
        logical_time=logical_time,
        source_version=opened.version,
        query=query,
        columns=None if set(needed) == set(schema.names()) else needed,
        pushed=query.filter,
        types=texts_of(result),
        sentence=query.sentence(),
        files=files,
        output_root=output_root,
        trusted=trusted,
    )


def _distinct(files: list[PlannedFile]) -> None:
    """Refuse two outputs that would be one file in one place."""
    taken: dict[str, str] = {}
    for file in files:
        for destination in file.deliver:
            place = f"{destination.tag} {destination.dump()} {file.name}"
            if place in taken:
                raise ConfigError(
                    f"the outputs {taken[place]!r} and {file.label!r} would both be {file.name!r} in one place",
                    cure="Give them file names of their own, such as file_name: '{name}-{output}'.",
                )
            taken[place] = file.label
