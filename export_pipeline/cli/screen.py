"""What people see in the terminal: results, failures, tables, and a progress bar; clear without colour, too."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from export_pipeline.cli import failures
from export_pipeline.pace import Pace

if TYPE_CHECKING:
    from export_pipeline.results import ExportedFile, ExportResult, LossReport

WIDE = 10_000
"""Characters of a line of a table that goes into a file or a pipe: nothing is wrapped or cut there."""
PAUSE = 5.0
"""Seconds between two lines of progress where no bar can be shown."""
_FEW = 5
"""Losses that a run shows; a workbook of several sheets may have dozens, and `status` shows them all."""
STAGES = ("plan", "extract", "filter", "aggregate", "write", "verify", "deliver")


def size(count: float) -> str:
    """Return bytes as people read them: ``1.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def short(count: float) -> str:
    """Return a number of rows as it fits beside a bar: ``9,999``, ``12.3k``, ``5.2M``."""
    for unit, length in (("M", 1_000_000), ("k", 1_000)):
        if count >= length * (10 if unit == "k" else 1):
            return f"{count / length:.1f}{unit}"
    return f"{count:,.0f}"


def duration(seconds: float) -> str:
    """Return how long something takes: ``45 s``, ``3 min``, ``2.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


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
        self.problem(cause)
        if cure:
            self.err.print(escape(cure))
        if again:
            self.err.print(f"Try again: [bold]{escape(again)}[/bold]")

    def problem(self, what: str) -> None:
        """Print what is wrong."""
        self.err.print(escape(what), style="bold red")

    def result(self, result: ExportResult, *, brief: bool = False) -> None:
        """Print the files of a run that went well, with what proves them; `brief`: only the first few of the losses."""
        for receipt in result.receipts:
            if receipt.skipped:
                self.note(f"{receipt.name}: not sent again, {receipt.reason}")
            elif receipt.reason:
                self.note(f"{receipt.name}: {receipt.reason}")
        losses = [
            f"{output}: {', '.join(columns)}: {why}" if columns else f"{output}: {why}"
            for (output, why), columns in _by_reason(result.losses).items()
        ]
        shown = losses[:_FEW] if brief and len(losses) > _FEW + 1 else losses
        for line in shown:
            self.note(line)
        if len(shown) < len(losses):
            more = len(losses) - len(shown)
            self.note(f"and {more} more of these: {failures.command('status', result.run_id[:8])}")
        rate = f", {result.rows / result.seconds:,.0f} rows/s" if result.seconds > 0 and result.rows else ""
        self.note(f"{result.export}: {result.seconds:.1f} s{rate}, run {result.run_id}")
        for file in result.files:
            if result.skipped:
                self.say(f"{file.path}: not delivered, {result.skipped}", "yellow")
            else:
                self.file(file)

    def file(self, file: ExportedFile) -> None:
        """Print a file and that it is verified."""
        verified = f"verified: {file.rows:,} rows, {file.columns} columns"
        many = "" if file.files is None else f" in {file.files:,} files"
        self.out.print(f"[bold]{escape(file.path)}[/bold]  [green]{verified}[/green], {size(file.bytes)}{many}")

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        right: Sequence[str] = (),
        cut: Sequence[str] = (),
    ) -> None:
        """Print a table; the columns `cut` are cut where the terminal ends, others wrapped."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in columns:
            justify: JustifyMethod = "right" if name in right else "left"
            table.add_column(name, justify=justify, overflow="ellipsis" if name in cut else "fold", no_wrap=name in cut)
        for row in rows:
            table.add_row(*(escape("" if value is None else str(value)) for value in row))
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = WIDE
        console.print(table)

    @contextlib.contextmanager
    def progress(self, title: str, *, shown: bool = True, steps: bool = True) -> Iterator[Bar]:
        """Show on standard error what goes on while the block runs: a bar, or a line now and then without a terminal.

        Without `steps` nobody says how far it is.
        """
        live = self.err.is_terminal and not self.err.is_dumb_terminal
        bar = (BarColumn(bar_width=14), TextColumn("{task.fields[detail]}")) if steps else (TimeElapsedColumn(),)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), *bar)
        with Progress(*columns, console=self.err, transient=True, disable=not (shown and live)) as progress:
            task = progress.add_task(title, total=len(STAGES), detail="")
            yield Bar(progress, task, title, say=self.note if shown and not live else lambda _: None)


def _by_reason(losses: Iterable[LossReport]) -> dict[tuple[str, str], list[str]]:
    """Return output and reason -> the columns that are concerned; none where the whole table is."""
    found: dict[tuple[str, str], list[str]] = {}
    for loss in losses:
        found.setdefault((loss.output, loss.why), []).extend([loss.column] if loss.column else [])
    return found


class Bar:
    """The progress bar of one run: a step for each stage, and rows, rate and time remaining within it."""

    def __init__(self, progress: Progress, task: TaskID, title: str, say: Callable[[str], None]) -> None:
        """`say` gets the lines that are shown where no bar can be."""
        self._progress, self._task, self._title, self._say = progress, task, title, say
        self._said = time.monotonic()

    def stage(self, name: str) -> None:
        """Show that a stage began."""
        self._update(name, "", completed=_steps(name))

    def waiting(self, state: str) -> None:
        """Show that nothing runs yet, or no more."""
        self._update(state, "")

    def rows(self, pace: Pace) -> None:
        """Show how far a stage is."""
        part = min(pace.rows / pace.total, 1.0) if pace.total else 0.0
        of = f" of {short(pace.total)}" if pace.total else ""
        left = f", {duration(pace.seconds_left)} left" if pace.seconds_left is not None else ""
        detail = f"{short(pace.rows)}{of} rows, {short(pace.rate)} rows/s{left}"
        self._update(pace.stage, detail, completed=_steps(pace.stage) + part)

    def _update(self, what: str, detail: str, **more: float) -> None:
        said = f"{self._title}: {what}"
        self._progress.update(self._task, description=said, detail=detail, **more)  # type: ignore[arg-type]
        now = time.monotonic()
        if now - self._said >= PAUSE:
            self._said = now
            self._say(f"{said} {detail}".rstrip())


def _steps(stage: str) -> int:
    """Return how many stages are done when this one begins."""
    return STAGES.index(stage) if stage in STAGES else 0
