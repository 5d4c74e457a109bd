"""The second reader: it proves what a workbook holds, and shares no code with the writer.

It reads the XML dialect of this package only, and strictly: every byte of a sheet must be what the dialect says. A file
that is not well formed or has cells in a wrong place, of a wrong kind or in a wrong order is refused.
Python's zipfile and expat open the package and its small parts; cells are taken apart by Polars' operations on columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import polars as pl

from export_pipeline.formats.excel.reader.layout import Layout
from export_pipeline.formats.excel.reader.package import Workbook
from export_pipeline.formats.excel.reader.sheets import frames

__all__ = ["Layout", "read"]


def read(
    path: Path,
    name: str,
    schema: pl.Schema,
    layout: Layout,
    all_names: Sequence[str] | None = None,
    summaries: Collection[str] = (),
) -> Iterator[pl.DataFrame]:
    """Yield the rows of the sheet of this name and of those that they go on in, in batches, with this schema.

    With `all_names`, the package is looked at as a whole, too: no sheet may be there that goes on none of these
    and is no summary. Raises ValueError that says where the file is not as it must be.
    """
    with Workbook(path) as workbook:
        if all_names is not None:
            workbook.check_parts()
            workbook.check_sheets(all_names, summaries)
        for sheet in workbook.sheets(name):
            rows = yield from frames(workbook, sheet, schema, layout)
            workbook.check_tables(sheet, rows, layout)
