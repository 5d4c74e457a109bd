"""The `export-pipeline` command.

Exit codes: 0 done, 1 failed, 2 bad input (nothing was read), 130 cancelled. A failure's first line is the cause, the
second the cure, the third the command to try again.
"""

from __future__ import annotations

import os
import sys

from export_pipeline import interrupts

CANCELLED = 130


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        interrupts.listen()
        from export_pipeline.cli.commands import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before there was anything to cancel
        code = CANCELLED
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
