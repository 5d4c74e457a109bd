"""`demo`, `up`, `init`: from nothing to a first verified file, and to Dagster's UI."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from export_pipeline.errors import ConfigError
from export_pipeline.home import Home

if TYPE_CHECKING:
    from export_pipeline.cli.screen import Screen

FIRST = ("failed-commands", "cost-per-agent", "commands-lake", "partner-feed")
"""The demo's exports that `demo` runs: one of each format."""


@click.command("demo")
@click.option(
    "--rows", default=250_000, type=click.IntRange(min=1), show_default=True, help="Commands in the demo store."
)
@click.pass_obj
def demo_command(home: Home, rows: int) -> int:
    """Make a demo store with example exports, and run four of them."""
    from export_pipeline.service import ExportService

    with ExportService(home.create()) as service:
        service.warm()
        from export_pipeline.cli.running import Asked, run
        from export_pipeline.cli.screen import Screen

        screen = Screen()
        _make_demo(home, rows, screen)
        for name in FIRST:
            if name != FIRST[-1]:
                service.warm()  # the next one's process starts while this one works
            code = run(service, Asked(name))
            if code:
                return code
    from export_pipeline.catalog import Catalog

    others = ", ".join(entry.name for entry in Catalog(home).entries() if entry.name not in FIRST)
    screen.say()
    screen.say(f"Four verified files in {home.out}. More examples: {others}.")
    screen.say("Next: export-pipeline up (Dagster's UI), export-pipeline list, export-pipeline history")
    return 0


def _make_demo(home: Home, rows: int, screen: Screen) -> None:
    from export_pipeline import demo

    with screen.progress("making the demo store"):
        demo.create(home.root, rows=rows, until=datetime.now(UTC))
    screen.note(f"{rows:,} commands of 200 agents in {home.root}")


@click.command("up")
@click.option(
    "--port",
    default=3000,
    type=click.IntRange(1, 65535),
    show_default=True,
    help="Port of the Dagster UI; a busy one is told.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; Dagster has no login of its own.")
@click.pass_obj
def up_command(home: Home, port: int, host: str) -> int:
    """Start Dagster's UI and daemon for the home folder, and follow changes of its exports."""
    from export_pipeline.cli.up import serve

    return serve(home, host, port)


@click.command("init")
@click.argument("source", metavar="FILE|URL")
@click.option("--name", help="Name of the export; after the file or table where it is not given.")
@click.pass_obj
def init_command(home: Home, source: str, name: str | None) -> int:
    """Write a first export for a data file, or for a database: sqlite:///FILE, duckdb:///FILE.

    The time and status columns are guessed from names and types.
    """
    from export_pipeline import files, yaml
    from export_pipeline.catalog import Catalog
    from export_pipeline.cli.guess import first_export
    from export_pipeline.cli.screen import Screen

    screen = Screen()
    made = first_export(home, source, name)
    if any(entry.name == made.config.name for entry in Catalog(home).entries()):
        raise ConfigError(f"there is an export {made.config.name!r} already", cure="Give this one another name: --name")
    if made.stores is not None:
        files.write_text(home.create().stores, made.stores)
        screen.say(f"{home.stores}  {made.added}")
    path = Catalog(home).save(made.config)
    screen.say(f"{path}  holds the export:", "bold")
    screen.say(yaml.dump(made.config.written()).rstrip())
    for guess in made.guesses:
        screen.note(guess)
    screen.say(f"Next: export-pipeline preview {made.config.name}, export-pipeline run {made.config.name}")
    return 0
