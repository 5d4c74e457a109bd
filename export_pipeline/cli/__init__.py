"""The `export-pipeline` command.

Exit codes: 0 done, 1 failed, 2 bad input (nothing was read), 130 cancelled. A failure's first line is the cause, the
second the cure, the third the command to try again.
"""

from __future__ import annotations

import os
import signal
import sys

CANCELLED = 130


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores one of them, and that is meant
                signal.signal(number, signal.default_int_handler)
        from export_pipeline.cli.commands import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before there was anything to cancel
        code = CANCELLED
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
