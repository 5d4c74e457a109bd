"""What is measured: each function makes one that is run in a process of its own, and returns the seconds of the work.

Peers keep the row order unless their name says otherwise, and neither hash nor verify.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Work = Callable[[Path, Path], float]

KEY = "EXPORT_BENCH_KEY"
"""The variable that has the key of encrypted files."""
os.environ.setdefault(KEY, "YmVuY2htYXJrIG9mIDE2Yg==")  # of no secret
TEMPLATE = {"excel": {"template": {"file": "report.xlsx"}}}


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def write(format: Any, **query: Any) -> Work:  # noqa: A002
    """Our write stage out of a snapshot: hash, checksums and all; `query` is what the export makes of its rows."""

    def work(source: Path, out: Path) -> float:
        importlib.import_module("export_pipeline")  # before Polars, as in a run: it says how Polars allocates
        import shutil

        import polars as pl
        from pydantic import TypeAdapter

        from export_pipeline.formats import AnyFormat, Format
        from export_pipeline.query import Query
        from export_pipeline.snapshots import scan_parquet

        made: Format = TypeAdapter(AnyFormat).validate_python(format).using([KEY])
        rows = scan_parquet([source], pl.Schema(pl.read_parquet_schema(source)))
        made_of = Query.model_validate(query)
        tables = {part: table.query("UTC", None).apply(rows) for part, table in made.tables().items()}
        few = {part: rows.head(1) for part, rows in tables.items()}
        made.write(made_of.apply(rows.head(1)), out, tables=few)  # what is imported late is imported now
        # A run stages into a folder of its own, and peers write a new file, too. Taking the place of a file would be
        # another thing: ext4 then writes the whole new one to the disk first.
        shutil.rmtree(out) if out.is_dir() else out.unlink()
        return _timed(lambda: made.write(made_of.apply(rows), out, tables=tables))

    return work


def run(format: Any, *, files: bool = False, delivered: bool = True, **more: Any) -> Work:  # noqa: A002
    """A whole run without Dagster: snapshot of a DuckDB table, write, hash, independent verification, delivery.

    With `files`, of the Parquet file that peers write from, which is pinned, not copied. Not `delivered`, it ends with
    the verification: peers do not copy, sync and read back what they wrote. `more` are further options of the export.
    """

    def work(source: Path, out: Path) -> float:
        from export_pipeline.config import ExportConfig
        from export_pipeline.home import Home
        from export_pipeline.parsing import parse
        from export_pipeline.pipeline import STAGES, Context, plan
        from export_pipeline.pipeline import run as run_export

        def verify() -> None:
            context = Context(home, trusted=True)
            with context.staging.held():
                results: dict[str, Any] = {"plan": plan(context, config, datetime.now(UTC))}
                for stage in STAGES[:-1]:
                    results[stage.name] = stage(context, results)
            (artifact,) = results["verify"].artifacts.values()
            artifact.path.rename(out)

        home = Home(out.parent / f"{out.name}.home").create()
        store = source.with_suffix(".duckdb")
        if format == TEMPLATE:
            _template(source, home.root / "report.xlsx")
        home.stores.write_text(f"stores: {{bench: {{duckdb: {{path: {store}}}}}}}\n", encoding="utf-8")
        config = parse(
            ExportConfig,
            {
                "name": "bench",
                "source": {"files": str(source)} if files else {"store": "bench", "dataset": "commands"},
                "format": format,
                "file_name": out.name,
                "deliver": {"local": str(out.parent)},
                **more,
            },
        )
        run_export(
            config.replace(limit=1, name="warm"), Context(home, trusted=True)
        )  # what is imported late is imported now
        if delivered:
            return _timed(lambda: run_export(config, Context(home, trusted=True)))
        out.unlink()
        return _timed(verify)

    return work


def _template(source: Path, path: Path) -> None:
    """Write a workbook with a styled sample row, a chart and formulas over it."""
    import polars as pl
    from openpyxl import Workbook
    from openpyxl.chart import LineChart, Reference

    names = list(pl.read_parquet_schema(source))
    book = Workbook()
    sheet = book.active
    sheet.title = "Data"
    sheet.append(names)
    sheet.append(["x"] * len(names))
    report = book.create_sheet("Report")
    report["A1"] = "=COUNTA(Data!A2:A2)"
    chart = LineChart()
    chart.add_data(Reference(sheet, min_col=1, min_row=2, max_row=2))
    report.add_chart(chart, "C3")
    book.save(path)


def polars_sink(sink: str, **options: Any) -> Work:
    def work(source: Path, out: Path) -> float:
        import polars as pl

        return _timed(lambda: getattr(pl.scan_parquet(source), sink)(out, **options))

    return work


def duckdb_copy(options: str, *, table: bool = False) -> Work:
    """DuckDB's own export of the Parquet file, or of the table that our whole runs read."""

    def work(source: Path, out: Path) -> float:
        import duckdb

        place = str(source.with_suffix(".duckdb")) if table else ":memory:"
        rows = "commands" if table else f"'{source}'"
        with duckdb.connect(place, read_only=table) as database:
            return _timed(lambda: database.execute(f"copy (from {rows}) to '{out}' ({options})"))

    return work


def chdb(format: str) -> Work:  # noqa: A002
    def work(source: Path, out: Path) -> float:
        import chdb

        text = f"select * from file('{source}', Parquet) into outfile '{out}' truncate format {format}"
        query: Any = chdb.query
        return _timed(lambda: query(text))

    return work


def rustpy(source: Path, out: Path) -> float:
    import polars as pl
    from rustpy_xlsxwriter import write_worksheet

    def work() -> None:
        frame = pl.read_parquet(source)
        styled: Any = {
            "freeze_row": 1,
            "autofit": True,
            "bold_headers": True,
            "autofilter": True,
            "banded_rows": "DDEBF7",
        }
        write_worksheet(frame, str(out), sheet_name="Data", **styled)

    return _timed(work)


def polars_xlsxwriter(source: Path, out: Path) -> float:
    import polars as pl
    import xlsxwriter

    def work() -> None:
        with xlsxwriter.Workbook(str(out)) as book:
            pl.read_parquet(source).write_excel(
                book, "Data", autofit=True, freeze_panes=(1, 0), table_style="Table Style Medium 2"
            )

    return _timed(work)
