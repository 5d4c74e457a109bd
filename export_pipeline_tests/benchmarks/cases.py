"""The cases: one function each, run in a process of its own; it returns the seconds of the work without imports.

Peers keep the row order unless their name says otherwise, and neither hash nor verify.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Work = Callable[[Path, Path], float]


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    group: str
    """Cases of one group do the same work."""
    name: str
    work: Work
    ours: bool = False
    unordered: bool = False
    """Whether the peer does not keep the order of the rows: shown, not compared."""
    small: bool = False
    """Whether it is too slow for 10M rows."""
    commands: bool = False
    """Whether it names columns of the commands."""

    @property
    def key(self) -> str:
        """Name for the command line."""
        return f"{self.group}/{self.name}"


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _write(tag: str, **options: Any) -> Work:
    """Our write stage: hash, checksums and all."""

    def work(source: Path, out: Path) -> float:
        import polars as pl

        from export_pipeline.formats import AnyFormat
        from export_pipeline.options import members_of
        from export_pipeline.snapshots import scan_parquet

        made = members_of(AnyFormat)[tag].model_validate(options)
        rows = scan_parquet([source], pl.Schema(pl.read_parquet_schema(source)))
        made.write(rows.head(1), out)  # type: ignore[attr-defined]  # what is imported late is imported now
        return _timed(lambda: made.write(rows, out))  # type: ignore[attr-defined]

    return work


def _run(format: Any, **more: Any) -> Work:  # noqa: A002
    """A whole run without Dagster: snapshot of a DuckDB table, write, hash, independent verification, delivery.

    `more` are further options of the export.
    """

    def work(source: Path, out: Path) -> float:
        from export_pipeline.config import ExportConfig
        from export_pipeline.home import Home
        from export_pipeline.parsing import parse
        from export_pipeline.pipeline import Context, run

        home = Home(out.parent / f"{out.name}.home").create()
        store = source.with_suffix(".duckdb")
        if format == TEMPLATE:
            _template(source, home.root / "report.xlsx")
        home.stores.write_text(f"stores: {{bench: {{duckdb: {{path: {store}}}}}}}\n", encoding="utf-8")
        config = parse(
            ExportConfig,
            {
                "name": "bench",
                "source": {"store": "bench", "dataset": "commands"},
                "format": format,
                "file_name": out.name,
                "deliver": {"local": str(out.parent)},
                **more,
            },
        )
        run(config.replace(limit=1, name="warm"), Context(home, trusted=True))  # what is imported late is imported now
        return _timed(lambda: run(config, Context(home, trusted=True)))

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


def _polars(sink: str, **options: Any) -> Work:
    def work(source: Path, out: Path) -> float:
        import polars as pl

        return _timed(lambda: getattr(pl.scan_parquet(source), sink)(out, **options))

    return work


def _duckdb(options: str) -> Work:
    def work(source: Path, out: Path) -> float:
        import duckdb

        with duckdb.connect() as database:
            return _timed(lambda: database.execute(f"copy (from '{source}') to '{out}' ({options})"))

    return work


def _chdb(format: str) -> Work:  # noqa: A002
    def work(source: Path, out: Path) -> float:
        import chdb

        text = f"select * from file('{source}', Parquet) into outfile '{out}' truncate format {format}"
        query: Any = chdb.query
        return _timed(lambda: query(text))

    return work


def _rustpy(source: Path, out: Path) -> float:
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


def _xlsxwriter(source: Path, out: Path) -> float:
    import polars as pl
    import xlsxwriter

    def work() -> None:
        with xlsxwriter.Workbook(str(out)) as book:
            pl.read_parquet(source).write_excel(
                book, "Data", autofit=True, freeze_panes=(1, 0), table_style="Table Style Medium 2"
            )

    return _timed(work)


NESTED = {"nested": {"by": [{"key": "agent_id", "name": "agents"}], "records": "commands"}}
NORMALIZED = {
    "normalized": {
        "entities": {"agents": {"key": "agent_id", "fields": []}, "commands": {"key": "id"}},
        "relationships": {"agent_commands": {"from": "agents", "to": "commands"}},
    }
}
PARTITIONED = {"parquet": {"partition_by": ["agent_id"], "commit_marker": True}}
KEY = "EXPORT_BENCH_KEY"
ENCRYPTED = {"parquet": {"encryption": {"key": {"env": KEY}}}}
os.environ.setdefault(KEY, "YmVuY2htYXJrIG9mIDE2Yg==")  # of no secret
RICH = {
    "excel": {
        "title": "Commands",
        "first_row": 3,
        "borders": "thin",
        "data_style": {"font": "Arial", "size": 10},
        "totals": {"cost_usd": "sum", "duration_ms": "average"},
        "formulas": [{"column": "cost per second", "formula": "={cost_usd}/({duration_ms}+1)*1000"}],
        "conditional_formatting": [
            {"data_bar": {"columns": ["cost_usd"]}},
            {"cell": {"columns": ["status"], "operator": "eq", "value": "failed", "style": {"color": "C00000"}}},
        ],
        "data_validation": [{"list": {"columns": ["status"], "values": ["success", "failed", "timeout"]}}],
        "charts": [{"kind": "scatter", "x": "duration_ms", "values": ["cost_usd"]}],
    }
}
PIVOT_TABLE = {"name": "Costs", "rows": ["agent_id"], "columns": ["status"], "values": [{"column": "cost_usd"}]}
TEMPLATE = {"excel": {"template": {"file": "report.xlsx"}}}
SHEETS = {
    "excel": {
        "sheets": [
            {"name": "Commands"},
            {"name": "By agent", "rows": {"aggregate": {"group_by": "agent_id", "measures": {"runs": "count"}}}},
        ]
    }
}
PIVOT = {"rows": ["agent_id"], "columns": ["status"], "values": ["cost_usd"], "totals": True}
CASES: tuple[Case, ...] = (
    Case("write csv", "export_pipeline", _write("csv"), ours=True),
    Case("write csv", "polars sink", _polars("sink_csv")),
    Case("write csv", "duckdb copy", _duckdb("format csv, header")),
    Case("write csv", "chdb (unordered)", _chdb("CSVWithNames"), unordered=True),
    Case("write ndjson", "export_pipeline", _write("json", layout="lines"), ours=True),
    Case("write ndjson", "polars sink", _polars("sink_ndjson")),
    Case("write ndjson", "duckdb copy", _duckdb("format json")),
    Case("write ndjson", "chdb (unordered)", _chdb("JSONEachRow"), unordered=True),
    Case("write json", "export_pipeline", _write("json"), ours=True),
    Case("write json", "export_pipeline, pretty", _write("json", pretty_print=True), ours=True),
    Case("write json", "export_pipeline, metadata", _write("json", include_metadata=True), ours=True),
    Case("write json", "export_pipeline, nested", _write("json", structure=NESTED), ours=True, commands=True),
    Case("write json", "export_pipeline, normalized", _write("json", structure=NORMALIZED), ours=True, commands=True),
    Case("write json", "duckdb copy array", _duckdb("format json, array true")),
    Case("write json", "chdb (unordered)", _chdb("JSON"), unordered=True),
    Case("write parquet", "export_pipeline", _write("parquet"), ours=True),
    Case("write parquet", "polars sink", _polars("sink_parquet")),
    Case("write parquet", "duckdb copy", _duckdb("format parquet, codec zstd")),
    Case("write parquet", "chdb (unordered)", _chdb("Parquet"), unordered=True),
    Case("write excel", "export_pipeline", _write("excel"), ours=True),
    Case("write excel", "rustpy-xlsxwriter", _rustpy, small=True),
    Case("write excel", "polars + xlsxwriter", _xlsxwriter, small=True),
    Case("write csv.gz", "export_pipeline", _write("csv", compression="gzip"), ours=True),
    Case("write csv.gz", "polars sink", _polars("sink_csv", compression="gzip")),
    Case("write csv.gz", "duckdb copy", _duckdb("format csv, header, compression gzip")),
    Case("write csv.zst", "export_pipeline", _write("csv", compression="zstd"), ours=True),
    Case("write csv.zst", "polars sink", _polars("sink_csv", compression="zstd")),
    Case("write csv.zst", "duckdb copy", _duckdb("format csv, header, compression zstd")),
    Case("write json.gz", "export_pipeline", _write("json", compression="gzip"), ours=True),
    Case("write json.gz", "duckdb copy array", _duckdb("format json, array true, compression gzip")),
    Case("whole run csv", "export_pipeline", _run("csv"), ours=True),
    Case("whole run ndjson", "export_pipeline", _run({"json": {"layout": "lines"}}), ours=True),
    Case("whole run json", "export_pipeline", _run("json"), ours=True),
    Case("whole run json", "export_pipeline, nested", _run({"json": {"structure": NESTED}}), ours=True, commands=True),
    Case(
        "whole run json",
        "export_pipeline, normalized",
        _run({"json": {"structure": NORMALIZED}}),
        ours=True,
        commands=True,
    ),
    Case(
        "whole run csv",
        "export_pipeline, dates and numbers",
        _run({"csv": {"date_format": "DD.MM.YYYY HH:mm:ss", "number_format": {"decimals": 2}}}),
        ours=True,
    ),
    Case("whole run csv", "export_pipeline, pivot", _run("csv", pivot=PIVOT), ours=True, commands=True),
    Case("whole run csv", "export_pipeline, zip", _run({"csv": {"compression": "zip"}}), ours=True),
    Case("whole run parquet", "export_pipeline", _run("parquet"), ours=True),
    Case("whole run parquet", "export_pipeline, partitioned", _run(PARTITIONED), ours=True, commands=True),
    Case("whole run parquet", "export_pipeline, encrypted", _run(ENCRYPTED), ours=True),
    Case("whole run excel", "export_pipeline", _run("excel"), ours=True),
    Case("whole run excel", "export_pipeline, rich", _run(RICH), ours=True, commands=True),
    Case("whole run excel", "export_pipeline, several sheets", _run(SHEETS), ours=True, commands=True),
    Case(
        "whole run excel",
        "export_pipeline, pivot table",
        _run({"excel": {"pivot_tables": [PIVOT_TABLE]}}),
        ours=True,
        commands=True,
    ),
    Case("whole run excel", "export_pipeline, template", _run(TEMPLATE), ours=True, commands=True),
)
WHOLE = {f"whole run {name}": f"write {name}" for name in ("csv", "ndjson", "json", "parquet", "excel")}
"""Group of whole runs -> the group whose bare, unverified peers they are compared with."""
EXTENSIONS = {
    "csv": ".csv",
    "csv.gz": ".csv.gz",
    "csv.zst": ".csv.zst",
    "json.gz": ".json.gz",
    "ndjson": ".ndjson",
    "json": ".json",
    "parquet": ".parquet",
    "excel": ".xlsx",
}


def find(key: str) -> Case:
    """Return the case of a key."""
    return next(case for case in CASES if case.key == key)
