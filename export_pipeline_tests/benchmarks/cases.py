"""The cases, in groups that do the same work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from export_pipeline_tests.benchmarks.works import (
    KEY,
    TEMPLATE,
    Work,
    chdb,
    duckdb_copy,
    polars_sink,
    polars_xlsxwriter,
    run,
    rustpy,
    write,
)


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
    """Whether it is too slow for 10M rows, or one sheet is too short for them."""
    commands: bool = False
    """Whether it names columns of the commands."""

    @property
    def key(self) -> str:
        """Name for the command line."""
        return f"{self.group}/{self.name}"


NESTED = {"nested": {"by": [{"key": "agent_id", "name": "agents"}], "records": "commands"}}
NORMALIZED = {
    "normalized": {
        "entities": {"agents": {"key": "agent_id", "fields": []}, "commands": {"key": "id"}},
        "relationships": {"agent_commands": {"from": "agents", "to": "commands"}},
    }
}
PARTITIONED = {"parquet": {"partition_by": ["agent_id"], "commit_marker": True}}
ENCRYPTED = {"parquet": {"encryption": {"key": {"env": KEY}}}}
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
SHEETS = {
    "excel": {
        "sheets": [
            {"name": "Commands"},
            {"name": "By agent", "rows": {"aggregate": {"group_by": "agent_id", "measures": {"runs": "count"}}}},
        ]
    }
}
PIVOT = {"rows": ["agent_id"], "columns": ["status"], "values": ["cost_usd"], "totals": True}


def _whole(kind: str, format: Any, copy: str) -> tuple[Case, ...]:  # noqa: A002
    """Return whole runs of a format, with and without delivery, and what DuckDB makes of the same table with `copy`."""
    ours = {
        "": run(format),
        ", verified": run(format, delivered=False),
        ", of files": run(format, files=True),
        ", of files, verified": run(format, files=True, delivered=False),
    }
    return (
        *(Case(f"whole run {kind}", f"export_pipeline{which}", work, ours=True) for which, work in ours.items()),
        Case(f"whole run {kind}", "duckdb copy of its table", duckdb_copy(copy, table=True)),
    )


CASES: tuple[Case, ...] = (
    Case("write csv", "export_pipeline", write("csv"), ours=True),
    Case("write csv", "export_pipeline, pivot", write("csv", pivot=PIVOT), ours=True, commands=True),
    Case("write csv", "polars sink", polars_sink("sink_csv")),
    Case("write csv", "duckdb copy", duckdb_copy("format csv, header")),
    Case("write csv", "chdb (unordered)", chdb("CSVWithNames"), unordered=True),
    Case("write ndjson", "export_pipeline", write({"json": {"layout": "lines"}}), ours=True),
    Case("write ndjson", "polars sink", polars_sink("sink_ndjson")),
    Case("write ndjson", "duckdb copy", duckdb_copy("format json")),
    Case("write ndjson", "chdb (unordered)", chdb("JSONEachRow"), unordered=True),
    Case("write json", "export_pipeline", write("json"), ours=True),
    Case("write json", "export_pipeline, pretty", write({"json": {"pretty_print": True}}), ours=True),
    Case("write json", "export_pipeline, metadata", write({"json": {"include_metadata": True}}), ours=True),
    Case("write json", "export_pipeline, nested", write({"json": {"structure": NESTED}}), ours=True, commands=True),
    Case(
        "write json",
        "export_pipeline, normalized",
        write({"json": {"structure": NORMALIZED}}),
        ours=True,
        commands=True,
    ),
    Case("write json", "duckdb copy array", duckdb_copy("format json, array true")),
    Case("write json", "chdb (unordered)", chdb("JSON"), unordered=True),
    Case("write parquet", "export_pipeline, auto", write({"parquet": {"row_group_size": "auto"}}), ours=True),
    Case("write parquet", "export_pipeline, encrypted", write(ENCRYPTED), ours=True),
    Case("write parquet", "export_pipeline, partitioned", write(PARTITIONED), ours=True, commands=True),
    Case("write parquet", "polars sink", polars_sink("sink_parquet")),
    Case("write parquet", "duckdb copy", duckdb_copy("format parquet, codec zstd")),
    Case("write parquet", "chdb (unordered)", chdb("Parquet"), unordered=True),
    Case("write 5k parquet", "export_pipeline", write("parquet"), ours=True),
    Case("write 5k parquet", "polars sink", polars_sink("sink_parquet", row_group_size=5_000)),
    Case("write 5k parquet", "duckdb copy", duckdb_copy("format parquet, codec zstd, row_group_size 5000")),
    Case("write excel", "export_pipeline", write("excel"), ours=True),
    Case("write excel", "export_pipeline, rich", write(RICH), ours=True, commands=True),
    Case("write excel", "export_pipeline, several sheets", write(SHEETS), ours=True, commands=True),
    Case("write excel", "rustpy-xlsxwriter", rustpy, small=True),
    Case("write excel", "polars + xlsxwriter", polars_xlsxwriter, small=True),
    Case("write csv.gz", "export_pipeline", write({"csv": {"compression": "gzip"}}), ours=True),
    Case("write csv.gz", "polars sink", polars_sink("sink_csv", compression="gzip")),
    Case("write csv.gz", "duckdb copy", duckdb_copy("format csv, header, compression gzip")),
    Case("write csv.zst", "export_pipeline", write({"csv": {"compression": "zstd"}}), ours=True),
    Case("write csv.zst", "polars sink", polars_sink("sink_csv", compression="zstd")),
    Case("write csv.zst", "duckdb copy", duckdb_copy("format csv, header, compression zstd")),
    Case("write json.gz", "export_pipeline", write({"json": {"compression": "gzip"}}), ours=True),
    Case("write json.gz", "duckdb copy array", duckdb_copy("format json, array true, compression gzip")),
    *_whole("csv", "csv", "format csv, header"),
    *_whole("ndjson", {"json": {"layout": "lines"}}, "format json"),
    *_whole("json", "json", "format json, array true"),
    *_whole("parquet", "parquet", "format parquet, codec zstd, row_group_size 5000"),
    Case("whole run json", "export_pipeline, nested", run({"json": {"structure": NESTED}}), ours=True, commands=True),
    Case(
        "whole run json",
        "export_pipeline, normalized",
        run({"json": {"structure": NORMALIZED}}),
        ours=True,
        commands=True,
    ),
    Case(
        "whole run csv",
        "export_pipeline, dates and numbers",
        run({"csv": {"date_format": "DD.MM.YYYY HH:mm:ss", "number_format": {"decimals": 2}}}),
        ours=True,
    ),
    Case("whole run csv", "export_pipeline, pivot", run("csv", pivot=PIVOT), ours=True, commands=True),
    Case("whole run csv", "export_pipeline, zip", run({"csv": {"compression": "zip"}}), ours=True),
    Case("whole run parquet", "export_pipeline, partitioned", run(PARTITIONED), ours=True, commands=True),
    Case("whole run parquet", "export_pipeline, encrypted", run(ENCRYPTED), ours=True),
    Case("whole run excel", "export_pipeline", run("excel"), ours=True),
    Case("whole run excel", "export_pipeline, rich", run(RICH), ours=True, commands=True),
    Case("whole run excel", "export_pipeline, several sheets", run(SHEETS), ours=True, commands=True),
    Case(
        "whole run excel",
        "export_pipeline, pivot table",
        run({"excel": {"pivot_tables": [PIVOT_TABLE]}}),
        ours=True,
        small=True,
        commands=True,
    ),
    Case("whole run excel", "export_pipeline, template", run(TEMPLATE), ours=True, small=True, commands=True),
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
