"""Several sheets in one workbook: which hold the export's rows, and which have rows of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import to_jsonable_python

from export_pipeline.formats.excel.names import going_on
from export_pipeline.formats.excel.sheet import SheetOptions
from export_pipeline.formats.excel.validations import LISTS
from export_pipeline.options import Options
from export_pipeline.tables import Table

if TYPE_CHECKING:
    from export_pipeline.formats.excel import Excel

OWN = (
    "sheet_name", "columns", "column_formats", "title", "formulas", "totals", "conditional_formatting",
    "data_validation", "images", "charts", "pivot_tables",
)  # fmt: skip
"""Options that speak of one sheet's columns or cells: beside `sheets`, they would hold for none."""


class Sheet(SheetOptions):
    """One of several sheets."""

    also: ClassVar[Mapping[str, str]] = {**SheetOptions.also, "name": "sheet_name"}

    rows: Table | None = None
    """Rows of its own, such as `{source: hosts, sort: name}` or `{aggregate: {group_by: [status], measures: {runs:
    count}}}`; else those of the export."""

    @classmethod
    def describe(cls, described: JsonSchemaValue) -> None:
        """Describe `name`, too, by which examples call a sheet."""
        super().describe(described)
        options = described["properties"]
        options["name"] = {**options["sheet_name"], "description": "Its name, as `sheet_name`."}

    @model_serializer(mode="wrap")
    def _given(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Dump what was given, also where it is the default: it may differ from what the sheets share."""
        dumped = dump(self)
        for name in self.model_fields_set - dumped.keys():
            value = getattr(self, name)
            dumped[name] = value.dump() if isinstance(value, Options) else to_jsonable_python(value)
        return {name: dumped[name] for name in type(self).model_fields if name in self.model_fields_set}

    @property
    def rows_of_its_own(self) -> Table | None:
        """The rows of this sheet, where they are not the export's."""
        return self.rows

    def completed(self, shared: SheetOptions) -> Sheet:
        """Return this sheet with the looks that it shares with the others, as far as it has none of its own."""
        given = (name for name in SheetOptions.model_fields if name in shared.model_fields_set and name not in OWN)
        made = self.replace(**{name: getattr(shared, name) for name in given if name not in self.model_fields_set})
        made._max_rows = shared._max_rows
        return made


def check_sheets(book: Excel) -> None:
    """Raise ValueError where sheets do not go together, or options are given that hold for no sheet."""
    if not book.sheets:
        return
    if lost := next((name for name in OWN if name in book.model_fields_set), None):
        raise ValueError(f"{lost} speaks of one sheet: with sheets, it must stand inside of one of them")
    names = [sheet.sheet_name for sheet in book.sheets]
    holders = [sheet.sheet_name for sheet in book.sheets if sheet.rows is None]
    if len(holders) != 1:
        found = f"{' and '.join(map(repr, holders))} have" if holders else "no sheet is without"
        raise ValueError(
            f"one sheet holds the export's rows and has no `rows` of its own, but {found}"
            f"{' none' if holders else ' them'}: " + ("give the others rows" if holders else "leave them out of one")
        )
    lists = any(sheet.data_validation for sheet in book.sheets)
    taken = {LISTS.casefold(): "the hidden sheet of lists"} if lists else {}
    for name in names:
        for number, title in enumerate(going_on(name), 1):
            if taken.setdefault(title.casefold(), name) != name or (number == 1 and names.count(name) > 1):
                raise ValueError(f"two sheets would be called {title!r}: give each a name of its own")
    for sheet in book.sheets:
        for title in {table.on for table in sheet.pivot_tables}:
            holder = taken.setdefault(title.casefold(), f"{title} of {sheet.sheet_name}")
            if holder != f"{title} of {sheet.sheet_name}":
                raise ValueError(
                    f"pivot_tables of {sheet.sheet_name!r} would stand on {title!r}, which holds other things"
                )
    pivots = [table.name.casefold() for sheet in book.sheets for table in sheet.pivot_tables]
    if twice := next((name for name in pivots if pivots.count(name) > 1), None):
        raise ValueError(f"two pivot_tables are called {twice!r}: give each a name of its own")
