"""What people see in the terminal: results, failures, tables, and a progress bar; clear without colour, too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Table

from export_pipeline.results import ExportResult

WIDE = 200
"""Columns of a table that goes into a file or a pipe."""
STAGES = ("plan", "extract", "filter", "aggregate", "write", "verify", "deliver")


def size(count: float) -> str:
    """Return bytes as people read them: ``1.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def ago(then: datetime | None, now: datetime) -> str:
    """Return how long ago something was."""
    if then is None:
        return ""
    seconds = (now - then).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


class Screen:
    """Writes to the terminal; progress and failures go to standard error, results to standard output."""

    def __init__(self) -> None:
        self.out = Console(highlight=False, soft_wrap=True)
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str = "", style: str = "") -> None:
        """Print a line."""
        self.out.print(escape(text), style=style or None)

    def note(self, text: str) -> None:
        """Print a line that is not part of the result."""
        self.err.print(escape(text), style="dim")

    def failure(self, cause: str, cure: str | None, again: str | None) -> None:
        """Print cause, cure and the command to try again, a line each."""
        self.err.print(escape(cause), style="bold red")
        if cure:
            self.err.print(escape(cure))
        if again:
            self.err.print(f"Try again: [bold]{escape(again)}[/bold]")

    def result(self, result: ExportResult) -> None:
        """Print the files of a run that went well, with what proves them."""
        for file in result.files:
            verified = f"verified: {file.rows:,} rows, {file.columns} columns"
            if result.skipped:
                self.say(f"{file.path}: not delivered, {result.skipped}", "yellow")
                continue
            self.out.print(f"[bold]{escape(file.path)}[/bold]  [green]{verified}[/green], {size(file.bytes)}")
        for receipt in result.receipts:
            if receipt.skipped:
                self.note(f"{receipt.name}: not sent again, {receipt.reason}")
        for loss in result.losses:
            where = f"column {loss.column!r}" if loss.column else "the table"
            self.note(f"{loss.output}: {where}: {loss.why}")
        rate = f", {result.rows / result.seconds:,.0f} rows/s" if result.seconds > 0 and result.rows else ""
        self.note(f"{result.export}: {result.seconds:.1f} s{rate}, run {result.run_id}")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = ()) -> None:
        """Print a table."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in columns:
            table.add_column(name, justify="right" if name in right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(escape("" if value is None else str(value)) for value in row))
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = WIDE
        console.print(table)

    @contextlib.contextmanager
    def progress(self, title: str, *, shown: bool = True) -> Iterator[Bar]:
        """Show a progress bar on standard error while the block runs."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"),
        )
        shown = shown and self.err.is_terminal
        with Progress(*columns, console=self.err, transient=True, disable=not shown) as progress:
            yield Bar(progress, progress.add_task(title, total=len(STAGES), detail=""), title)


class Bar:
    """The progress bar of one run: a step for each stage, and rows, rate and time remaining within it."""

    def __init__(self, progress: Progress, task: TaskID, title: str) -> None:
        self._progress, self._task, self._title = progress, task, title

    def stage(self, name: str) -> None:
        """Show that a stage began."""
        done = STAGES.index(name) if name in STAGES else 0
        self._progress.update(self._task, completed=done, description=f"{self._title}: {name}", detail="")

    def waiting(self, state: str) -> None:
        """Show that nothing runs yet."""
        self._progress.update(self._task, description=f"{self._title}: {state}")

    def rows(self, stage: str, rows: int, total: int | None, rate: float, left: float | None) -> None:
        """Show how far a stage is."""
        done = STAGES.index(stage) if stage in STAGES else 0
        part = min(rows / total, 1.0) if total else 0.0
        of = f" of {total:,}" if total else ""
        remaining = f", {left:.0f} s left" if left is not None else ""
        detail = f"{rows:,}{of} rows, {rate:,.0f} rows/s{remaining}"
        self._progress.update(self._task, completed=done + part, description=f"{self._title}: {stage}", detail=detail)
