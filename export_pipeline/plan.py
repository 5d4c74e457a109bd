"""Everything that is decided before the first row is read; later stages, retries and re-executions read only this."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
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

_PART = re.compile(r"\{part[:}]")


class Read(Options):
    """What is read of one source."""

    version: str
    """Identity of the rows that were planned for; a pinned source that changed since is refused."""
    columns: list[str] | None = None
    """Columns to extract; None means all."""
    pushed: AnyFilter | None = None
    """The filter that extract may push into the source; each query's whole filter is applied again after it."""


class PlannedTable(Options):
    """Rows of their own for a part of a file."""

    source: str
    """Name of the source."""
    query: Query
    """The query with absolute instants and real columns."""


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
    tables: dict[str, PlannedTable] = Field(default_factory=dict)
    """Part of the file -> rows of its own; all else holds the rows of the export."""


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
    reads: dict[str, Read]
    """Source -> what is read of it; the export's rows are those of the first."""
    query: Query
    """What happens to the export's rows, with absolute instants and real columns."""
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
    opened: Mapping[str, Opened],
    *,
    run_id: str,
    logical_time: datetime,
    output_root: Path | None = None,
    trusted: bool = False,
    environment: Collection[str] = (),
) -> Plan:
    """Resolve and check an export against its opened sources, the first of which has the export's rows.

    Raises `ConfigError` for everything that is wrong with it (unknown columns, operators that do not fit a type,
    formats that cannot hold the columns), before any row is read.
    """
    zone = times.zone(config.timezone)
    first = next(iter(opened))
    query = _bound(config.query, opened[first], logical_time)
    result = query.check(opened[first].schema)
    files = []
    for output in config.files:
        format = output.format.using(environment)  # noqa: A001
        tables = {
            part: PlannedTable(
                source=(source := table.source or first),
                query=_bound(
                    table.query(config.timezone, config.filter if source == first else None),
                    opened[source],
                    logical_time,
                    part,
                ),
            )
            for part, table in format.tables().items()
        }
        format.check(result)
        format.check_tables(
            result, {part: table.query.check(opened[table.source].schema) for part, table in tables.items()}
        )
        if format.is_folder:
            if _PART.search(output.file_name):
                raise ConfigError(
                    f"file_name: {output.file_name!r} numbers parts, but it names the folder that they are in",
                    cure="Leave {part} out: parts are numbered by themselves, such as name-part-00001.csv.",
                )
            for destination in output.deliver:
                destination.check_folder()
        files.append(
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
                tables=tables,
            )
        )
    _distinct(files)
    uses: dict[str, list[Query]] = {first: [query]}
    for file in files:
        for table in file.tables.values():
            uses.setdefault(table.source, []).append(table.query)
    return Plan(
        run_id=run_id,
        export=config.name or "export",
        config=config,
        config_hash=config.digest(),
        logical_time=logical_time,
        reads={source: _read(opened[source], queries, first=source == first) for source, queries in uses.items()},
        query=query,
        types=texts_of(result),
        sentence=query.sentence(),
        files=files,
        output_root=output_root,
        trusted=trusted,
    )


def _bound(query: Query, opened: Opened, logical_time: datetime, part: str | None = None) -> Query:
    """Return a query with absolute instants and real columns; ConfigError names the part of the file it is for."""
    try:
        bound = query.resolve(logical_time).bind(opened.schema, opened.roles)
        bound.check(opened.schema)
    except ConfigError as error:
        if part is None:
            raise
        raise ConfigError(f"{part!r}: {error.message}", cure=error.cure) from error
    return bound


def _read(opened: Opened, queries: Sequence[Query], *, first: bool) -> Read:
    """Return what these queries read of a source, together; of the first, all begin with the export's own filter."""
    needed = {name for query in queries for name in query.needs(opened.schema)}
    columns = [name for name in opened.schema if name in needed]
    return Read(
        version=opened.version,
        columns=None if len(columns) == len(opened.schema) else columns,
        pushed=queries[0].filter if first or len(queries) == 1 else None,
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
