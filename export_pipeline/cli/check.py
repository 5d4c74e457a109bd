"""`validate`, `preview`, `doctor`, `schema`: look before you run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from export_pipeline import files, times
from export_pipeline.catalog import Catalog
from export_pipeline.cli import failures
from export_pipeline.cli.screen import Screen
from export_pipeline.cli.targets import Target, find_target
from export_pipeline.config import ExportConfig
from export_pipeline.errors import ExportError
from export_pipeline.home import Home
from export_pipeline.pipeline import Context, plan, preview
from export_pipeline.plan import Plan

TO = click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="For a data file: the file to make.")
WHERE = click.option("--where", multiple=True, help='Filter, such as "status = failed".')
SET = click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change one option.")


def _planned(home: Home, target: Target) -> Plan:
    return plan(Context(home, trusted=True), target.config, datetime.now(UTC))


@click.command("validate")
@click.argument("targets", nargs=-1, metavar="[FILE|NAME]...")
@SET
@click.pass_obj
def validate_command(home: Home, targets: tuple[str, ...], sets: tuple[str, ...]) -> int:
    """Check exports against their stores without reading a row; all of the home folder if none is named."""
    screen, code = Screen(), 0
    for name in targets or [entry.name for entry in Catalog(home).entries()]:
        try:
            made = _planned(home, find_target(home, name, sets=sets))
        except ExportError as error:
            cure, again = error.cure or error.usual_cure, failures.command("validate", name)
            told = failures.one_line(error.message)
            cause = told if told.startswith(Path(name).name) else f"{name}: {told}"  # what was read says where
            screen.failure(cause, failures.one_line(cure), again)
            code = 2
            continue
        named = ", ".join(file.name for file in made.files)
        screen.say(f"{name}: right. {made.sentence or 'every row'} -> {named}")
    return code


@click.command("preview")
@click.argument("target", metavar="FILE|NAME")
@click.option("--rows", default=20, type=click.IntRange(min=1), show_default=True, help="How many rows.")
@TO
@WHERE
@SET
@click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
@click.pass_obj
def preview_command(
    home: Home, target: str, rows: int, to: Path | None, where: tuple[str, ...], sets: tuple[str, ...], as_json: bool
) -> int:
    """Show the first rows of what an export would write."""
    to = to if to is not None or Path(target).suffix in (".yaml", ".yml", "") else Path("preview.csv")
    found = find_target(home, target, to=to, where=where, sets=sets)
    made, frame = preview(found.config, Context(home, trusted=True), rows)
    if as_json:
        click.echo(frame.write_json())
        return 0
    screen = Screen()
    screen.note(f"{made.sentence or 'every row'} ({made.config.timezone}, {times.format_instant(made.logical_time)})")
    screen.table(frame.columns, frame.iter_rows())
    return 0


@click.command("schema")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file.")
def schema_command(output: Path | None) -> int:
    """Print the JSON Schema of an export file, and the header line that makes editors use it."""
    text = json.dumps(ExportConfig.model_json_schema(), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return 0
    files.write_text(output, text + "\n")
    screen = Screen()
    screen.say(f"Written to {output}. First line of an export file:")
    screen.say(f"# yaml-language-server: $schema={output.resolve().as_uri()}")
    return 0


@click.command("doctor")
@click.pass_obj
def doctor_command(home: Home) -> int:
    """Find what could keep exports from running here, each with its cure.

    It looks at the home folder, the ledger, the stores, the exports, their secrets and servers, and the instance.
    """
    from export_pipeline.cli.doctor import findings

    screen, bad = Screen(), 0
    for finding in findings(home):
        mark, style = ("ok", "green") if finding.good else ("!!", "bold red")
        screen.out.print(f"[{style}]{mark}[/{style}]  {finding.what}")
        if finding.cure:
            screen.say(f"    {finding.cure}")
        bad += not finding.good
    return 1 if bad else 0
