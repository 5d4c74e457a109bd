"""Every error of the product, in one tree.

::

    ExportError
    ├── ConfigError (ValueError)          an export, a store or a command line is wrong: nothing was read
    ├── NotFoundError (KeyError)          no export, store, dataset or run of that name
    ├── SourceError                       rows cannot be read
    │   └── SourceUnavailableError        ... right now: locked, not reachable (transient)
    ├── FormatError                       rows cannot be written in this format
    ├── VerificationError                 the file read back is not what was written
    ├── StorageError                      this machine's disk refused: full, read-only (transient)
    ├── DeliveryError                     the file could not be delivered, and trying again will not help
    │   ├── TransientDeliveryError        ... trying again can help (transient)
    │   ├── DeliveryBusyError             another run is delivering the same file now (transient)
    │   └── UnknownDeliveryError          it may have arrived: never sent again without a person's word
    └── Cancelled                         somebody stopped the run

`transient` says in the class whether the same thing, tried again, can succeed; retry policies look only there.
Each error has a cause (its message) and, where there is one, a cure: what the person can do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

_MEND = "Mend it; export-pipeline schema describes every option of an export."


class ExportError(Exception):
    """The root of every error this package raises on purpose."""

    transient: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1
    usual_cure: ClassVar[str] = "export-pipeline doctor finds what could keep exports from running here."
    """What to do where an error itself has no cure."""

    def __init__(self, message: str, *, cure: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return self.message if self.cure is None else f"{self.message}\n{self.cure}"


class ConfigError(ExportError, ValueError):
    """An export, a store or a command line is wrong; nothing was read, nothing was written."""

    exit_code = 2
    usual_cure = _MEND


class NotFoundError(ExportError, KeyError):
    """There is no export, store, dataset or run of that name."""

    exit_code = 2
    usual_cure = "export-pipeline list shows the exports, export-pipeline history the runs."


class SourceError(ExportError):
    """Rows cannot be read."""

    usual_cure = "export-pipeline doctor looks at the stores."


class SourceUnavailableError(SourceError):
    """Rows cannot be read right now: the store is locked or does not answer."""

    transient = True


class FormatError(ExportError):
    """Rows cannot be written in this format."""

    usual_cure = _MEND


class VerificationError(ExportError):
    """The file, read back, is not what was written; it is not delivered."""


class StorageError(ExportError):
    """This machine's disk refused: full, read-only, no permission."""

    transient = True


class DeliveryError(ExportError):
    """The file could not be delivered, and trying again will not help."""


class TransientDeliveryError(DeliveryError):
    """The file could not be delivered now; trying again can help."""

    transient = True


class DeliveryBusyError(DeliveryError):
    """Another run is delivering the same file to the same place now."""

    transient = True


class UnknownDeliveryError(DeliveryError):
    """The file may have arrived; it is never sent again without a person's word."""


class Cancelled(ExportError):
    """Somebody stopped the run."""

    exit_code = 130


def not_installed(option: str, package: str, extra: str) -> ConfigError:
    """Return the error of an option whose library is not there."""
    return ConfigError(f"{option} needs {package}", cure=f'Install it: pip install "export_pipeline[{extra}]"')


def did_you_mean(given: object, valid: Iterable[object], *, limit: int = 12) -> str:
    """Return the words that help with a wrong name: the nearest valid one, else the valid ones.

    >>> did_you_mean("delimeter", ["delimiter", "headers"])
    "did you mean 'delimiter'?"
    >>> did_you_mean("cost", ["cost_usd", "host"])
    "did you mean 'cost_usd'?"
    >>> did_you_mean("x", ["json", "csv"])
    'valid: csv, json'
    """
    names = sorted({str(name) for name in valid})
    folded = {name.casefold(): name for name in names}
    asked = str(given).casefold()
    longer = [name for name in folded if asked and name.startswith((f"{asked}_", f"{asked}-"))]
    near = longer[:1] if len(longer) == 1 else difflib.get_close_matches(asked, folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean {folded[near[0]]!r}?"
    if not names:
        return "there is none"
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"valid: {', '.join(names[:limit])}{more}"
