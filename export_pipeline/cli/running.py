"""A run from the command line: what was asked for, the bar while it lasts, how it ended."""

from __future__ import annotations

import json
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from export_pipeline import times, yaml
from export_pipeline.cli import failures
from export_pipeline.cli.screen import Bar, Screen
from export_pipeline.cli.targets import Target, find_target
from export_pipeline.errors import ConfigError, ExportError
from export_pipeline.launches import Launch
from export_pipeline.pace import Pace
from export_pipeline.results import ExportResult
from export_pipeline.service import ExportService

CODES = {"done": 0, "failed": 1, "cancelled": 130}
"""How a run ended -> exit code."""
TOLD = {
    "failed": ("the run failed", ExportError.usual_cure),
    "cancelled": failures.CANCELLED,
}
"""How a run ended -> cause and cure where the run itself says nothing of it."""


@dataclass(frozen=True)
class Asked:
    """The arguments of `run`."""

    target: str
    to: Path | None = None
    where: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    output: Path | None = None
    instant: str | None = None
    redeliver: bool = False

    def launch(self, found: Target) -> Launch:
        """Return the launch of the export that was found."""
        return found.launch(
            logical_time=_instant(self.instant, found.config.timezone),
            output_root=self.output.expanduser().resolve() if self.output else None,
            redeliver=str(uuid.uuid4()) if self.redeliver else None,
            private=self.output is not None or self.to is not None,
        )


def run(service: ExportService, asked: Asked, *, as_json: bool = False) -> int:
    """Run an export to its end and tell what became of it; returns the exit code."""
    screen = Screen()
    found = find_target(service.home, asked.target, to=asked.to, where=asked.where, sets=asked.sets)
    launch = asked.launch(found)
    if found.quick and not as_json:
        screen.note("# the same as this export file:\n" + yaml.dump(found.config.written()))
    with screen.progress(found.config.name, shown=not as_json) as bar:
        result = service.export_data(launch, partial(follow, bar))
    if result.error and result.run_id and failures.debugging():
        sys.stderr.write(service.get_export_trace(result.run_id))
    return tell(screen, result, as_json=as_json)


def follow(bar: Bar, message: dict[str, Any]) -> None:
    """Show what happens in a run."""
    if "waiting" in message:
        bar.waiting(message["waiting"])
    elif "rows" in message:
        bar.rows(Pace(message["stage"], message["rows"], message["total"], message["rate"]))
    elif "stage" in message:
        bar.stage(message["stage"])


def tell(screen: Screen, result: ExportResult, *, as_json: bool = False) -> int:
    """Print how a run ended; returns the exit code."""
    if result.state == "done":
        if as_json:
            sys.stdout.write(json.dumps(result.dump(defaults=True)) + "\n")
        else:
            screen.result(result, brief=True)
        return 0
    cause, cure = TOLD.get(result.state, (f"the run is {result.state}", TOLD["failed"][1]))
    told = result.dump(defaults=True) | {"run_id": result.run_id or None}
    typed = failures.TYPED.get()
    return failures.tell(typed, result.error or cause, result.cure or cure, CODES.get(result.state, 1), told)


def _instant(text: str | None, zone: str) -> datetime | None:
    if text is None:
        return None
    try:
        return times.parse_instant(text, datetime.now(UTC), times.zone(zone))
    except ValueError as error:
        said = error.message if isinstance(error, ConfigError) else str(error)
        raise ConfigError(f"--at: {said}", cure="For example: --at 2026-11-05T06:30") from None
