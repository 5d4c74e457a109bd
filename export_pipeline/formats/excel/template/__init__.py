"""Rows in a workbook that somebody has made: a report with its charts, pivots, pictures, formulas and macros.

::

    archive.py      the template on the disk, refused where it is broken, encrypted or an attack
    markup.py       XML that is changed in places, every other byte kept     grid.py     the cells of a sheet
    place.py        where the rows go                                        styles.py   dates that show as dates
    references.py   cells and formulas when rows move          rules.py, parts.py   ... by element, by part
    book.py         sheets, tables, names                                    samples.py  styles and formulas of the rows
    filling.py      the filled workbook, written as the rows arrive
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, ClassVar, Literal, Self

import polars as pl
from pydantic import AfterValidator, Field, model_validator

from export_pipeline.formats.excel.styles import CellAddress
from export_pipeline.options import NamesFiles, Options

if TYPE_CHECKING:
    from export_pipeline.formats.about import About
    from export_pipeline.formats.excel.template.filling import Filling
    from export_pipeline.formats.excel.values import NonFinite

_MEDIA_TYPES = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
}


def _workbook(file: str) -> str:
    if Path(file).suffix.lower() not in (".xlsx", ".xlsm", ".xltx", ".xltm"):
        raise ValueError(f"{file!r} is no template; its name ends in .xlsx, .xlsm, .xltx or .xltm")
    return file


class Template(Options):
    """A workbook that the rows are put into. Everything else of it stays; what stands below the rows moves down."""

    short: ClassVar[str | None] = "file"

    file: Annotated[str, Field(min_length=1), AfterValidator(_workbook), NamesFiles]
    """A workbook, or a template of Excel, with or without macros (.xlsx, .xlsm, .xltx, .xltm); relative to the home
    folder (for an export file elsewhere: to that file), and in a folder that exports may read."""
    sheet: str | None = Field(None, min_length=1)
    """A sheet, a table or a defined name (of the header with the sample rows, or of a cell of the first row); null: the
    only table, else the first sheet."""
    start: CellAddress | None = None
    """The first cell of the first row of data; null: the row below the header."""
    header: Literal["keep", "write"] = "keep"
    """Keep the header that the template has, or write the names of the columns into the row above the data."""
    columns: Literal["header", "position"] = "header"
    """Put columns below the header that has their name, or one after the other."""

    @model_validator(mode="after")
    def _header_is_known(self) -> Self:
        if self.header == "write" and self.columns == "header":
            if "columns" in self.model_fields_set:
                raise ValueError("a header that is written cannot place the columns: say columns: position")
            object.__setattr__(self, "columns", "position")
        return self

    @property
    def extension(self) -> str:
        """The ending of the filled workbook: macros keep theirs."""
        return ".xlsm" if Path(self.file).suffix.lower() in (".xlsm", ".xltm") else ".xlsx"

    @property
    def media_type(self) -> str:
        """The media type of the filled workbook."""
        return _MEDIA_TYPES[self.extension]

    def load(self, schema: pl.Schema, about: About) -> Filling:
        """Return the template, ready for rows of such columns; ConfigError where it cannot be filled with them."""
        from xml.parsers.expat import ExpatError

        from export_pipeline.errors import ConfigError
        from export_pipeline.formats.excel.template.archive import Archive
        from export_pipeline.formats.excel.template.filling import Filling

        try:
            return Filling.of(Archive.load(self.file, about), self, schema)
        except (ExpatError, ValueError, KeyError, IndexError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"excel: template: {self.file!r} is broken: {error}", cure="Open it in Excel and save it."
            ) from error

    def write(self, rows: pl.LazyFrame, sink: BinaryIO, about: About, non_finite: NonFinite) -> None:
        """Write the template with these rows in it."""
        self.load(rows.collect_schema(), about).write(rows, sink, non_finite)

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Yield the rows of a filled workbook."""
        from export_pipeline.formats.excel.reader.filled import read

        return read(path, schema, by_header=self.columns == "header", start=self.start, header=self.header == "write")


def contradictions(given: Options, kept: set[str]) -> list[str]:
    """Return the options that say how a new workbook looks, which a template has decided."""
    fields: dict[str, Any] = {name: info.get_default(call_default_factory=True)
                              for name, info in type(given).model_fields.items()}  # fmt: skip
    return [name for name, default in fields.items() if name not in kept and getattr(given, name) != default]
