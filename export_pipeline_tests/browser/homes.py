"""The home folder that is looked at in a browser: the demo, and exports that break, wait and fail."""

from __future__ import annotations

from pathlib import Path

from export_pipeline import demo
from export_pipeline.home import Home
from export_pipeline_tests.defs.homes import deep

LONG = """
description: Fifteen million rows in an order that no source has
source: {files: "many-*.parquet"}
columns: {include: [id, host, message]}
sort: [-message, -id]
format: csv
deliver: {local: {folder: long}}
"""
BLOCKED = """
description: Agents, into a folder that is a file at first
source: {store: dashboard, dataset: agents}
file_name: "{name}"
deliver: {local: {folder: blocked}}
retry: {attempts: 0}
"""
CHANGING = """
description: Agents, in a file format that is changed between two runs
source: {store: dashboard, dataset: agents}
format: {csv: {delimiter: ";"}}
file_name: "{name}"
deliver: {local: {folder: changing, if_exists: version}}
"""
BROKEN = """
source: {store: dashboard, dataset: agents}
format:
  csv:
    delimeter: ";"
"""
MENDED = BROKEN.replace("delimeter", "delimiter")
COPIES = 60


def make_home(folder: Path) -> Home:
    """Make the home folder."""
    made = Home(folder).create()
    demo.create(folder, rows=30_000)
    demo.parquet(250_000, folder / "many-0.parquet")
    for number in range(1, COPIES):  # a long run needs many rows, not much room on the disk
        (folder / f"many-{number}.parquet").hardlink_to(folder / "many-0.parquet")
    texts = {"long": LONG, "blocked": BLOCKED, "changing": CHANGING, "broken": BROKEN, "deep": deep_filter()}
    for name, text in texts.items():
        (made.exports / f"{name}.yaml").write_text(text.lstrip(), encoding="utf-8")
    (made.out / "blocked").write_text("in the way")
    return made


def deep_filter() -> str:
    """An export whose only condition on the status is six levels deep."""
    return deep(6).replace("{files: commands.parquet}", "{store: dashboard, dataset: commands}")
