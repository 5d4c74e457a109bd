"""`export-pipeline run`: one export, now."""

from __future__ import annotations

import json
import shlex
import sys
import uuid
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from export_pipeline import times, yaml
from export_pipeline.cli.screen import Bar, Screen
from export_pipeline.cli.targets import find_target
from export_pipeline.errors import ConfigError
from export_pipeline.home import Home
from export_pipeline.results import ExportResult
from export_pipeline.service import ExportService

CODES = {"done": 0, "failed": 1, "cancelled": 130}


@click.command("run")
@click.argument("target", metavar="FILE|NAME")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="File to make; its ending says the format.")
@click.option("--where", multiple=True, help='Filter, such as "status = failed"; several must all hold.')
@click.option(
    "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change one option, such as format.csv.delimiter=;"
)
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), help="Root of relative local folders.")
@click.option("--at", "instant", help="Logical time: the instant that relative ranges and file names refer to.")
@click.option("--redeliver", is_flag=True, help="Send again what was sent already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@click.pass_obj
def run_command(
    home: Home,
    target: str,
    to: Path | None,
    where: tuple[str, ...],
    sets: tuple[str, ...],
    output: Path | None,
    instant: str | None,
    redeliver: bool,
    as_json: bool,
) -> int:
    """Run an export now: by its name, by its file, or any data file with --to.

    \b
    export-pipeline run failed-commands
    export-pipeline run failed-commands --set limit=100 --output /tmp/check
    export-pipeline run sales.csv --to sales.xlsx --where "status = failed"
    """
    screen = Screen()
    found = find_target(home, target, to=to, where=where, sets=sets)
    launch = found.launch(
        logical_time=_instant(instant, found.config.timezone),
        output_root=output.expanduser().resolve() if output else None,
        redeliver=str(uuid.uuid4()) if redeliver else None,
        private=output is not None or to is not None,
    )
    if found.quick and not as_json:
        screen.note("# the same as this export file:\n" + yaml.dump(found.config.written()).rstrip())
    with screen.progress(found.config.name, shown=not as_json) as bar:
        result = ExportService(home).export_data(launch, partial(follow, bar))
    return tell(screen, result, as_json=as_json)


def follow(bar: Bar, message: dict[str, Any]) -> None:
    """Show what happens in a run."""
    if "waiting" in message:
        bar.waiting(message["waiting"])
    elif "rows" in message:
        total, rate = message["total"], message["rate"]
        left = max(total - message["rows"], 0) / rate if total and rate else None
        bar.rows(message["stage"], message["rows"], total, rate, left)
    elif "stage" in message:
        bar.stage(message["stage"])


def tell(screen: Screen, result: ExportResult, *, as_json: bool) -> int:
    """Print how a run ended; returns the exit code."""
    if as_json:
        click.echo(json.dumps(result.dump(defaults=True)))
    elif result.state == "done":
        screen.result(result)
    else:
        again = f"export-pipeline {shlex.join(sys.argv[1:])}" if result.state == "failed" else None
        lines = result.error.splitlines() or [f"the run was {result.state}"]
        screen.failure("\n".join(lines), result.cure or None, again)
    return CODES.get(result.state, 1)


def _instant(text: str | None, zone: str) -> datetime | None:
    if text is None:
        return None
    try:
        return times.parse_instant(text, datetime.now(UTC), times.zone(zone))
    except ValueError as error:
        raise ConfigError(f"--at {text!r} is no instant: {error}", cure="For example: 2026-11-05T06:30") from None
