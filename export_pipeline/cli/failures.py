"""How the command says what went wrong: the cause, the cure and the command to try again, a line each."""

from __future__ import annotations

import json
import os
import shlex
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

DEBUG = "EXPORT_PIPELINE_DEBUG"
"""Environment variable that shows tracebacks."""
PROGRAM = "export-pipeline"
TYPED: ContextVar[Sequence[str]] = ContextVar("typed", default=())
"""The arguments of the command that runs, all of them."""
PREFIX: ContextVar[Sequence[str]] = ContextVar("prefix", default=())
"""Those of them that say which home is meant."""
CANCELLED = ("cancelled: nothing half-written is left", "What has a receipt already stays, and is not sent twice.")
"""Cause and cure of what somebody stopped."""
NOT_LAUNCHED: dict[str, Any] = {
    "run_id": None,
    "export": None,
    "rows": 0,
    "seconds": 0.0,
    "files": [],
    "receipts": [],
    "losses": [],
}
"""What a program that reads JSON finds where no run came about."""


def one_line(text: str) -> str:
    """Return a text of several lines, such as a list of problems, as one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = "".join(lines[:1])
    for line in lines[1:]:
        told += f"{' ' if told[-1] in '.!?' else '. ' if line[0].isupper() else '; '}{line}"
    return told


def debugging() -> bool:
    """Return whether tracebacks are wanted."""
    return os.environ.get(DEBUG, "") not in ("", "0")


def trace() -> None:
    """Show where the error that is being handled came from, if that is wanted."""
    if debugging():
        traceback.print_exc()


def command(*arguments: str) -> str:
    """Return a command for the same home as one types it."""
    return shlex.join([PROGRAM, *PREFIX.get(), *arguments])


def of_usage(error: click.ClickException) -> tuple[str, str]:
    """Return cause and cure of a command line that cannot be understood."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    cause = error.format_message().rstrip(".")
    return cause[:1].lower() + cause[1:], f"{path} --help shows what it takes."


def of_unforeseen(error: BaseException) -> tuple[str, str]:
    """Return cause and cure of an error that nobody foresaw."""
    told = one_line(str(error))
    cause = f"an error that nobody foresaw: {type(error).__name__}" + (f": {told}" if told else "")
    if debugging():
        return cause, "Please report it with the traceback above."
    return cause, f"Please report it, with the traceback that {PROGRAM} --debug shows."


def tell(
    arguments: Sequence[str], cause: str, cure: str | None, code: int, run: Mapping[str, Any] = NOT_LAUNCHED
) -> int:
    """Print cause, cure and the command to try again; with `run` as one JSON object for machines.

    Returns the exit code.
    """
    again = shlex.join([PROGRAM, *arguments])
    cause = one_line(cause)
    cure = one_line(cure) if cure else None
    if "--json" in arguments:
        told = {"state": "cancelled" if code == 130 else "failed", "error": cause, "cure": cure, "retry": again}
        sys.stdout.write(json.dumps({**run, **told}) + "\n")
        return code
    from export_pipeline.cli.screen import Screen

    Screen().failure(cause, cure, again)
    return code
