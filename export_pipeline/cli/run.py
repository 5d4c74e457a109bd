"""`export-pipeline run`: one export, now."""

from __future__ import annotations

from pathlib import Path

import click

from export_pipeline.home import Home


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
    from export_pipeline.service import ExportService

    with ExportService(home) as service:
        service.warm()  # before anything heavy is imported here
        from export_pipeline.cli.running import Asked, run

        return run(service, Asked(target, to, where, sets, output, instant, redeliver), as_json=as_json)
