"""The `export-pipeline` command.

Exit codes: 0 done, 1 failed, 2 bad input (nothing was read), 130 cancelled. A failure's first line is the cause, the
second the cure, the third the command to try again.
"""

from __future__ import annotations

import difflib
import json
import shlex
import sys
from typing import Any

import click

from export_pipeline.cli.screen import Screen
from export_pipeline.errors import Cancelled, ExportError
from export_pipeline.home import VARIABLE, Home

COMMANDS = {
    "demo": "start",
    "up": "start",
    "init": "start",
    "run": "run",
    "validate": "check",
    "preview": "check",
    "doctor": "check",
    "schema": "check",
    "list": "show",
    "history": "show",
    "status": "show",
    "cancel": "show",
}
"""Command -> module that has it; a module is imported when its command is used."""


class Commands(click.Group):
    """Loads a command's module when it is asked for, and knows the nearest name for a wrong one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order in which one needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command by name."""
        import importlib

        module = COMMANDS.get(name)
        if module is None:
            return None
        found: click.Command = getattr(importlib.import_module(f"export_pipeline.cli.{module}"), f"{name}_command")
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Name the nearest command where there is none of that name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command {args[0]!r} ({hint})", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--home", "folder", envvar=VARIABLE, type=click.Path(file_okay=False), help="Folder of stores and exports."
)
@click.version_option(package_name="export_pipeline")
@click.pass_context
def cli(context: click.Context, folder: str | None) -> None:
    """Exports of a data store as verified CSV, JSON, Parquet and Excel files.

    Start with `export-pipeline demo`, or `export-pipeline init FILE` for your own data.
    """
    context.obj = Home.find(folder)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line with these arguments; returns the exit code."""
    try:
        result = cli.main(arguments, prog_name="export-pipeline", standalone_mode=False)
    except click.exceptions.Exit as done:
        return int(done.exit_code)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt, Cancelled) as error:
        return _tell(arguments, str(error) or "cancelled", None, 130)
    except ExportError as error:
        return _tell(arguments, error.message, error.cure, error.exit_code)
    except BrokenPipeError:
        return 1
    return result if isinstance(result, int) else 0


def _tell(arguments: list[str], cause: str, cure: str | None, code: int) -> int:
    """Print cause, cure and the command to try again; as one JSON object for machines."""
    again = f"export-pipeline {shlex.join(arguments)}"
    if "--json" in arguments:
        state = "cancelled" if code == 130 else "failed"
        click.echo(json.dumps({"state": state, "error": cause, "cure": cure, "retry": again}))
    else:
        Screen().failure(cause, cure, again if code != 130 else None)
    return code
