"""The commands by name, each loaded when it is used, and how whatever comes out of them is told."""

from __future__ import annotations

import difflib
import importlib
import os
from typing import Any

import click

from export_pipeline import interrupts
from export_pipeline.cli import CANCELLED, failures
from export_pipeline.errors import Cancelled, ExportError
from export_pipeline.home import VARIABLE, Home

COMMANDS = {
    "demo": ("start", "Make a demo store with example exports, and run four of them."),
    "up": ("start", "Start Dagster's UI and daemon, and follow changes of the exports."),
    "init": ("start", "Write a first export for a data file, or for a database."),
    "run": ("run", "Run an export now: by its name, by its file, or any data file with --to."),
    "validate": ("check", "Check exports against their stores without reading a row."),
    "preview": ("check", "Show the first rows of what an export would write."),
    "doctor": ("check", "Find what could keep exports from running here, each with its cure."),
    "schema": ("check", "Print the JSON Schema of an export file."),
    "list": ("show", "List the exports of the home folder; broken ones say what is wrong and where."),
    "history": ("show", "Show the latest runs, of all doors."),
    "status": ("show", "Show how far a run is, or how it ended."),
    "cancel": ("show", "Stop a run; nothing half-written stays."),
}
"""Command -> the module that has it, imported when the command is used, and what it does."""


class Commands(click.Group):
    """Loads a command's module when it is asked for, and knows the nearest name for a wrong one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order in which one needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command by name."""
        if name not in COMMANDS:
            return None
        module, _ = COMMANDS[name]
        found: click.Command = getattr(importlib.import_module(f"export_pipeline.cli.{module}"), f"{name}_command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Name the nearest command where there is none of that name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command {args[0]!r} ({hint})", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an interrupt is told like everything else, not in click's words."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Cancelled(failures.CANCELLED[0]) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--home", "folder", envvar=VARIABLE, type=click.Path(file_okay=False), help="Folder of stores and exports."
)
@click.option("--debug", is_flag=True, help=f"Show the traceback of an error; {failures.DEBUG}=1 does the same.")
@click.version_option(package_name="export_pipeline")
@click.pass_context
def cli(context: click.Context, folder: str | None, debug: bool) -> None:
    """Exports of a data store as verified CSV, JSON, Parquet and Excel files.

    Start with `export-pipeline demo`, or `export-pipeline init FILE` for your own data.
    """
    if debug:
        os.environ[failures.DEBUG] = "1"  # for the processes that this one starts, too
    given = context.get_parameter_source("folder") is click.core.ParameterSource.COMMANDLINE
    failures.PREFIX.set(("--home", str(folder)) if given else ())
    context.obj = Home.find(folder)


def run(arguments: list[str]) -> int:
    """Run the command line with these arguments; returns the exit code."""
    failures.TYPED.set(arguments)
    try:
        result = cli.main(arguments, prog_name="export-pipeline", standalone_mode=False)
    except click.exceptions.Exit as done:
        return int(done.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else error.format_message())
        return 2
    except click.ClickException as error:
        return failures.tell(arguments, *failures.of_usage(error), 2)
    except (click.Abort, KeyboardInterrupt, Cancelled) as error:
        return failures.tell(arguments, str(error) or failures.CANCELLED[0], failures.CANCELLED[1], CANCELLED)
    except SystemExit:
        raise
    except ExportError as error:
        failures.trace()
        return failures.tell(arguments, error.message, error.cure or error.usual_cure, error.exit_code)
    except BrokenPipeError:
        return 1
    except BaseException as error:  # what nobody foresaw is told like everything else, a panic of Rust, too
        if interrupts.missed():  # a library made an error of its own of it
            return failures.tell(arguments, *failures.CANCELLED, CANCELLED)
        failures.trace()
        return failures.tell(arguments, *failures.of_unforeseen(error), 1)
    return result if isinstance(result, int) else 0
