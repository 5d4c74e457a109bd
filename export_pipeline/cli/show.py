"""`list`, `history`, `status`, `cancel`: what there is, what ran, what is running."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

from export_pipeline.cli import failures
from export_pipeline.cli.screen import Screen, ago
from export_pipeline.home import Home
from export_pipeline.instance import Instance
from export_pipeline.service import ExportService

if TYPE_CHECKING:
    from export_pipeline.catalog import Entry

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


def _entry(entry: Entry) -> dict[str, Any]:
    config = entry.config
    if config is None:
        return {"name": entry.name, "file": str(entry.path), "problem": str(entry.problem)}
    schedule = config.schedule.sentence() if config.schedule else None
    formats = [output.format.tag for output in config.files]
    return {
        "name": entry.name,
        "file": str(entry.path),
        "formats": formats,
        "schedule": schedule,
        "timezone": config.timezone,
        "description": config.description,
        "problem": None,
    }


@click.command("list")
@JSON
@click.pass_obj
def list_command(home: Home, as_json: bool) -> int:
    """List the exports of the home folder; broken ones say what is wrong and where."""
    from export_pipeline.catalog import Catalog

    entries = [_entry(entry) for entry in Catalog(home).entries()]
    if as_json:
        click.echo(json.dumps(entries))
        return 0
    screen = Screen()
    if not entries:
        screen.note(f"No export in {home.exports}. Make one: export-pipeline init FILE, or export-pipeline demo.")
        return 0
    good = [entry for entry in entries if entry["problem"] is None]
    rows = [
        (entry["name"], ", ".join(entry["formats"]), entry["schedule"] or "", entry["description"]) for entry in good
    ]
    screen.table(("export", "formats", "runs", "what for"), rows)
    for entry in entries:
        if entry["problem"] is not None:
            screen.failure(f"broken: {entry['problem']}", None, None)
    return 0


@click.command("history")
@click.argument("name", required=False)
@click.option("--limit", default=20, type=click.IntRange(min=1), show_default=True, help="How many runs.")
@JSON
@click.pass_obj
def history_command(home: Home, name: str | None, limit: int, as_json: bool) -> int:
    """Show the latest runs, of all doors: this command, the Dagster UI, GraphQL, schedules."""
    found = ExportService(home).get_export_history(name, limit)
    if as_json:
        click.echo(json.dumps([{"created": created} | result.dump(defaults=True) for created, result in found]))
        return 0
    now = datetime.now(UTC)
    rows = [
        (
            result.run_id[:8],
            result.export,
            result.state,
            ago(datetime.fromtimestamp(created, UTC), now),
            f"{result.rows:,}" if result.state == "done" else "",
            f"{result.seconds:.1f} s" if result.seconds else "",
            failures.one_line(result.error) or ", ".join(PurePath(file.path).name for file in result.files),
        )
        for created, result in found
    ]
    screen = Screen()
    if not rows:
        screen.note(f"No run of {name} yet." if name else "No run yet: export-pipeline run NAME makes one.")
        return 0
    columns = ("run", "export", "state", "when", "rows", "took", "what")
    screen.table(columns, rows, right=("rows", "took"), cut=("what",))
    return 0


@click.command("status")
@click.argument("run_id", required=False)
@JSON
@click.pass_obj
def status_command(home: Home, run_id: str | None, as_json: bool) -> int:
    """Show how far a run is, or how it ended; without a run, whether an instance is up."""
    screen = Screen()
    if run_id is None:
        instance = Instance.find(home)
        url = instance.url if instance else None
        if as_json:
            click.echo(json.dumps({"home": str(home.root), "url": url}))
        else:
            screen.say(f"home  {home.root}")
            screen.say(f"up    {url or 'no: export-pipeline up starts Dagster; run works without it'}")
        return 0
    service = ExportService(home)
    result, progress = service.get_export_status(run_id)
    if as_json:
        click.echo(json.dumps(result.dump(defaults=True) | {"progress": progress}))
        return 0
    screen.say(f"{result.export}: {result.state}", "bold")
    if result.state in ("running", "cancelling") and progress:
        of = f" of {progress['total']:,}" if progress.get("total") else ""
        rows = f", {progress['rows']:,}{of} rows, {progress['rate']:,.0f} rows/s" if "rows" in progress else ""
        screen.say(f"stage {progress['stage']}{rows}")
    if result.state == "done":
        screen.result(result)
    if result.error:
        if failures.debugging():
            sys.stderr.write(service.get_export_trace(result.run_id))
        again = failures.command("run", result.export)
        screen.failure(failures.one_line(result.error), failures.one_line(result.cure) or None, again)
    return 0


@click.command("cancel")
@click.argument("run_id")
@click.pass_obj
def cancel_command(home: Home, run_id: str) -> int:
    """Stop a run; nothing half-written stays, and what has a receipt stays listed."""
    result = ExportService(home).cancel_export(run_id)
    Screen().say(f"{result.export}: {result.state}")
    return 0 if result.state == "cancelled" else 1
