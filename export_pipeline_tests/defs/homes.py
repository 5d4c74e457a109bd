"""Home folders with exports over a few rows that are made here."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from export_pipeline.home import Home

STATES = ("success", "failed", "timeout")


def commands(rows: int = 1000) -> pl.DataFrame:
    """Commands of agents: each third one fails, each fifth has no text."""
    number = pl.int_range(rows, eager=True)
    return pl.DataFrame(
        {
            "id": number,
            "agent": [f"agent-{i % 7}" for i in range(rows)],
            "status": [STATES[i % 3] for i in range(rows)],
            "cost": number / 8,
            "text": [None if i % 5 == 0 else f"line {i}; ü" for i in range(rows)],
        }
    )


FAILED = """
description: Commands that failed.
tags: {team: ops}
timezone: Europe/Berlin
source: {files: commands.parquet}
filter:
  and:
    - where: {field: status, operator: eq, value: failed}
    - where: {field: id, operator: lt, value: 900}
columns: {exclude: [text]}
format: {csv: {delimiter: ";"}}
file_name: "{name}"
deliver:
  - local: {folder: failed, if_exists: version}
"""

BROKEN = """
source: {files: commands.parquet}
format:
  csv:
    delimeter: ";"
"""


def nested(levels: int) -> str:
    """A filter in filters, `levels` of them, as YAML in one line."""
    text = "{where: {field: status, operator: eq, value: failed}}"
    for level in range(levels - 1):
        text = (
            f"{{not: {text}}}" if level % 2 else f"{{and: [{text}, {{where: {{field: id, operator: ge, value: 0}}}}]}}"
        )
    return text


def deep(levels: int) -> str:
    """An export with such a filter."""
    return f"source: {{files: commands.parquet}}\nfilter: {nested(levels)}\nfile_name: '{{name}}'\n"


def home(folder: Path, exports: dict[str, str], rows: int = 1000) -> Home:
    """Make a home folder with these export files and ``commands.parquet``."""
    made = Home(folder).create()
    commands(rows).write_parquet(folder / "commands.parquet")
    for name, text in exports.items():
        (made.exports / f"{name}.yaml").write_text(text, encoding="utf-8")
    return made
