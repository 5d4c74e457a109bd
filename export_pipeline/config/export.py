"""An export as a person writes it: which rows, shaped how, in which format, delivered where and when."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from export_pipeline import times
from export_pipeline.aggregations import Aggregate
from export_pipeline.columns import Columns, Pivot
from export_pipeline.config.outputs import Deliver, FileName, Output, checked_name
from export_pipeline.config.places import add_places, normalised
from export_pipeline.destinations import Local
from export_pipeline.errors import did_you_mean
from export_pipeline.formats import AnyFormat, Csv
from export_pipeline.lists import listed
from export_pipeline.names import DEFAULT_FILE_NAME
from export_pipeline.notifications import AnyNotification
from export_pipeline.options import SHORT, Options
from export_pipeline.query import Filters, Query, Sorts
from export_pipeline.retries import Retry
from export_pipeline.schedules import Schedule
from export_pipeline.sources import AnySource

SINGLE = {"format", "file_name", "deliver"}
"""Options that stand for one entry of `outputs`."""
Notify = Annotated[
    list[AnyNotification],
    BeforeValidator(listed, json_schema_input_type=Annotated[AnyNotification, SHORT] | list[AnyNotification]),
]


class ExportConfig(Options):
    """An export: rows out of a data store, filtered, shaped, written, verified and delivered."""

    also: ClassVar[Mapping[str, str]] = {
        "aggregation": "aggregate",
        "destinations": "deliver",
        "destination": "deliver",
        "filters": "filter",
        "title": "description",
    }

    version: Literal[1] = 1
    """Version of this file's language."""
    name: str = ""
    """Name of the export and of its job: lower-case letters, digits, `-` and `_`; else that of its file."""
    description: str = ""
    """What the export is for, in a sentence."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Labels of every run of this export."""
    timezone: str = "UTC"
    """IANA time zone that decides days, weeks, months, time buckets, file names and the schedule."""
    source: AnySource | None = None
    """Where the rows come from: `{store, dataset}`, `{store, query}` or `{files}`."""
    sources: dict[str, AnySource] = Field(default_factory=dict)
    """Several sources by name, read in one consistent view. The export's rows are those of the first; sheets and
    entities may take rows of the others."""
    filter: Filters = None
    """Which rows to keep; a list means all of its filters."""
    aggregate: Aggregate | None = None
    """Groups and measures instead of single rows."""
    pivot: Pivot | None = None
    """Values of a column become columns."""
    sort: Sorts = Field(default_factory=list)
    """Order of the rows; `-name` is descending. Nulls come last, ties keep the source's order."""
    limit: int | None = Field(None, ge=1)
    """At most this many rows, after sorting."""
    columns: Columns = Field(default_factory=Columns)
    """Which columns, under which names, in which order."""
    format: AnyFormat = Field(default_factory=Csv, validate_default=True)
    """Format of the file: `csv`, `json`, `parquet` or `excel`."""
    file_name: FileName = DEFAULT_FILE_NAME
    """Template of the file's name; dates in moment.js syntax. The extension follows the format."""
    deliver: Deliver = Field(default_factory=lambda: [Local()])
    """Where the file goes; each destination gets the same verified bytes."""
    outputs: list[Output] = Field(default_factory=list)
    """Several files of one snapshot, instead of `format`, `file_name` and `deliver`."""
    on_empty: Literal["deliver", "skip", "fail"] = "deliver"
    """What an export without rows does: deliver the empty file, deliver nothing, or fail."""
    schedule: Schedule | None = None
    """When the export runs by itself."""
    retry: Retry = Field(default_factory=Retry)
    """Retries of reading and delivering."""
    notify: Notify = Field(default_factory=list)
    """Who is told how a run ended."""

    @model_validator(mode="before")
    @classmethod
    def _places(cls, value: Any) -> Any:
        return normalised(value)

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        return checked_name(name, "an export")

    @field_validator("sources")
    @classmethod
    def _named_sources(cls, sources: dict[str, AnySource]) -> dict[str, AnySource]:
        for name in sources:
            if not name:
                raise ValueError("a source has no name")
            checked_name(name, "a source")
        return sources

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        return times.zone(name).key

    @model_serializer(mode="wrap")
    def _once(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Dump each file once: with `outputs`, what stands for a single one is not given."""
        dumped: dict[str, Any] = dump(self)
        return {name: value for name, value in dumped.items() if not self.outputs or name not in SINGLE}

    @model_validator(mode="after")
    def _one_spelling(self) -> Self:
        if (self.source is None) == (not self.sources):
            given = "neither 'source' nor 'sources'" if self.source is None else "both 'source' and 'sources'"
            raise ValueError(f"{given} is given: name the rows once, such as source: {{files: sales.csv}}")
        self._check_sources()
        twice = sorted(SINGLE & self.model_fields_set) if self.outputs else []
        if twice:
            raise ValueError(f"'outputs' is given, so {', '.join(map(repr, twice))} must stand inside each output")
        labels = [output.label for output in self.files]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two outputs are called {label!r}: give each a name of its own")
        return self

    def _check_sources(self) -> None:
        """Refuse names of sources that are not there, and sources that nothing takes rows of."""
        first, *others = self.inputs
        used = set()
        for output in self.files:
            for part, table in output.format.tables().items():
                if table.source is not None and table.source not in self.inputs:
                    hint = did_you_mean(table.source, self.inputs)
                    raise ValueError(f"{part!r} takes rows of a source {table.source!r}, which is not there ({hint})")
                used.add(table.source or first)
        for name in others:
            if name not in used:
                raise ValueError(
                    f"nothing takes rows of the source {name!r}: the export's rows are those of {first!r}. Leave it"
                    f" out, name it in a sheet or an entity (rows: {{source: {name}}}), or join both in a query"
                )

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the JSON Schema of export files, with the places of the TypeScript contract."""
        made = super().model_json_schema(*args, **kwargs)
        add_places(made)
        return made

    @property
    def inputs(self) -> dict[str, AnySource]:
        """The sources by name; a single `source` is called ``rows``."""
        return {"rows": self.source} if self.source is not None else dict(self.sources)

    @property
    def files(self) -> list[Output]:
        """The outputs; `format`, `file_name` and `deliver` are one."""
        if self.outputs:
            return list(self.outputs)
        return [Output(format=self.format, file_name=self.file_name, deliver=self.deliver)]

    @property
    def query(self) -> Query:
        """What happens to the rows between source and file."""
        return Query(
            timezone=self.timezone,
            filter=self.filter,
            aggregate=self.aggregate,
            pivot=self.pivot,
            sort=self.sort,
            limit=self.limit,
            columns=self.columns,
        )

    def written(self) -> dict[str, Any]:
        """Return the export as one would write it down: what is not at its default, and always what it makes."""
        dumped = self.dump()
        made = {} if self.outputs else {"format": dumped.get("format", self.format.tag)}
        given = {"version": self.version} | dumped | made
        return {name: given[name] for name in type(self).model_fields if name in given}

    def digest(self) -> str:
        """Return the hash of what decides the file and where it goes; equal exports in other spellings agree."""
        decisive = {
            "name": self.name,
            "sources": {name: source.dump() for name, source in self.inputs.items()},
            "query": self.query.dump(),
            "rows": next(iter(self.inputs)),
            "outputs": [output.dump() for output in self.files],
            "on_empty": self.on_empty,
        }
        return hashlib.sha256(json.dumps(decisive, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
