"""Ctrl-C that nobody loses.

Python raises it wherever the main thread happens to be. In the callback of a weak reference or in a finalizer, of which
imports have many, the exception is dropped ("Exception ignored in ..."); a library may turn it into an error of its
own, a panic of Rust included. So it is counted, too, and whoever waits for something long looks at the count.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_pressed = 0
_heard = 0


def listen(*numbers: signal.Signals) -> None:
    """Count and raise KeyboardInterrupt at these signals; without any, at those that nobody wants ignored.

    `nohup` and a shell without job control ignore one of them, and `nohup` means it.
    """
    for number in numbers or SIGNALS:
        if numbers or signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _press)
    sys.unraisablehook = _dropped


def missed() -> bool:
    """Return whether there was a signal that nobody has acted on."""
    return _pressed > _heard


def heard() -> None:
    """Say that what there was of signals is being acted on."""
    global _heard
    _heard = _pressed


def check() -> None:
    """Raise KeyboardInterrupt if there was a signal that nobody has acted on."""
    if missed():
        raise KeyboardInterrupt


def _press(_number: int, _frame: FrameType | None) -> None:
    global _pressed
    _pressed += 1
    raise KeyboardInterrupt


def _dropped(what: sys.UnraisableHookArgs) -> None:
    if not isinstance(what.exc_value, KeyboardInterrupt):  # that one is counted: it is not news
        sys.__unraisablehook__(what)
