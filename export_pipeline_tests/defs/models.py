"""A small language with every shape a model of the product can have."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from export_pipeline.options import OneOf, Options


class Where(Options):
    """One comparison."""

    tag: ClassVar[str] = "where"
    field: str
    """Column to compare."""
    operator: Literal["eq", "gt", "in"] = "eq"
    """How to compare."""
    value: Any = None
    """Value to compare with."""


class Status(Options):
    """Rows with one of these states."""

    tag: ClassVar[str] = "status"
    whole: ClassVar[str | None] = "values"
    values: list[str]
    """States to keep."""


class And(Options):
    """All of these."""

    tag: ClassVar[str] = "and"
    whole: ClassVar[str | None] = "items"
    items: list[AnyFilter]
    """Filters that must all hold."""


class Not(Options):
    """Not this."""

    tag: ClassVar[str] = "not"
    whole: ClassVar[str | None] = "item"
    item: AnyFilter
    """Filter that must not hold."""


AnyFilter = Annotated[Where | Status | And | Not, OneOf("filter")]
And.model_rebuild()
Not.model_rebuild()


class NumberFormat(Options):
    """How numbers are written."""

    decimals: int = Field(2, ge=0, le=20)
    """Digits behind the separator."""
    separator: str = "."
    """Between whole and fraction."""


class Csv(Options):
    """Text with separators."""

    tag: ClassVar[str] = "csv"
    delimiter: Literal[",", ";", "\t", "|"] = ","
    """Between the columns."""
    headers: bool | list[str] = True
    """A header row, or the names to use."""
    number_format: NumberFormat | None = None
    """Numbers as text."""


class Json(Options):
    """Objects."""

    tag: ClassVar[str] = "json"
    pretty: bool = False
    """Indented."""


class Template(Options):
    """A workbook to fill."""

    tag: ClassVar[str] = "template"
    short: ClassVar[str | None] = "path"
    path: str
    """The workbook."""
    sheet: str = "Data"
    """The sheet to fill."""


AnyFormat = Annotated[Csv | Json | Template, OneOf("format")]


class StoreSource(Options):
    """Rows of a store."""

    store: str
    """Name of the store."""
    dataset: str | None = None
    """Name of the dataset."""


class FilesSource(Options):
    """Rows of files."""

    files: str
    """Pattern of the files."""


AnySource = Annotated[
    Annotated[StoreSource, Tag("store")] | Annotated[FilesSource, Tag("files")],
    Discriminator(lambda value: "files" if isinstance(value, FilesSource) or "files" in value else "store"),
]


class Count(Options):
    """Number of rows."""

    tag: ClassVar[str] = "count"
    short: ClassVar[str | None] = "field"
    field: str | None = None
    """Column whose values count."""


class Percentile(Options):
    """A percentile."""

    tag: ClassVar[str] = "percentile"
    short: ClassVar[str | None] = "field"
    field: str
    """Column."""
    p: float = 50
    """Which one."""


AnyMeasure = Annotated[Count | Percentile, OneOf("measure")]


class Local(Options):
    """A folder."""

    tag: ClassVar[str] = "local"
    folder: str = ""
    """Which one."""


AnyDestination = Annotated[Local, OneOf("destination")]


class Export(Options):
    """An export."""

    name: str = ""
    """Its name."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Labels."""
    source: AnySource | None = None
    """Rows."""
    filter: AnyFilter | None = None
    """Rows to keep."""
    measures: dict[str, AnyMeasure] = Field(default_factory=dict)
    """Measures by name."""
    format: AnyFormat = Field(default_factory=Csv, validate_default=True)
    """Format of the file."""
    deliver: Annotated[
        list[AnyDestination], BeforeValidator(lambda value: value if isinstance(value, list) else [value])
    ] = Field(default_factory=lambda: [Local()])
    """Destinations."""
    limit: int | None = Field(None, ge=1)
    """At most so many rows."""
    window: timedelta = timedelta(seconds=5)
    """A duration."""
