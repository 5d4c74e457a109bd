"""The sheets, tables and defined names of a template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from export_pipeline.formats.excel.template.archive import Archive
from export_pipeline.formats.excel.template.markup import MAIN

ROWS = "export_pipeline.rows"
"""The hidden name that a filled workbook has for its rows of data; by it they are found again."""

_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


@dataclass(frozen=True)
class Table:
    """A table of a template."""

    name: str
    part: str
    sheet: str
    columns: Sequence[str]
    cells: str
    headers: int
    totals: int


class Book:
    """The sheets, tables and names of a template."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        tree, relations = archive.tree(archive.workbook), archive.relations(archive.workbook)
        self.sheets: dict[str, str] = {}
        """Name of a sheet -> its part; those of cells only."""
        self.order: list[str] = []
        for sheet in tree.iter(f"{{{MAIN}}}sheet"):
            relation = relations.get(sheet.get(_ID, ""))
            self.order.append(sheet.get("name", ""))
            if relation is not None and relation.kind == "worksheet":
                self.sheets[sheet.get("name", "")] = relation.target
        self.names = {
            name.get("name", ""): name.text or ""
            for name in tree.iter(f"{{{MAIN}}}definedName")
            if name.get("localSheetId") is None and name.get("name") != ROWS
        }
        self.tables = [table for sheet, part in self.sheets.items() for table in self._tables(sheet, part)]
        if not self.sheets:
            archive.refuse("has no sheet of cells")

    def _tables(self, sheet: str, part: str) -> Iterable[Table]:
        for relation in self.archive.relations(part).values():
            if relation.kind == "table":
                tree = self.archive.tree(relation.target)
                yield Table(
                    tree.get("displayName", ""),
                    relation.target,
                    sheet,
                    [unescaped(c.get("name", "")) for c in tree.iter(f"{{{MAIN}}}tableColumn")],
                    tree.get("ref", ""),
                    int(tree.get("headerRowCount", 1)),
                    int(tree.get("totalsRowCount", 0)),
                )


def unescaped(text: str) -> str:
    """Return the text that Excel's escapes (_x000D_) stand for."""
    return re.sub("_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)
