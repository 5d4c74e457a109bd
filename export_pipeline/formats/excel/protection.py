"""Protection of sheets against changes by mistake. It is no encryption: everybody can read the file."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from export_pipeline.options import Options
from export_pipeline.secrets import OwnSecret

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

    from export_pipeline.formats.excel.look import Look

_SPINS = 100_000
"""Rounds of the hash, as many as Excel makes."""

Action = Literal[
    "format_cells", "format_columns", "format_rows", "insert_columns", "insert_rows", "insert_hyperlinks",
    "delete_columns", "delete_rows", "sort", "filter", "pivot_tables", "select_locked", "select_unlocked",
]  # fmt: skip
_ATTRIBUTES = {
    "format_cells": "formatCells", "format_columns": "formatColumns", "format_rows": "formatRows",
    "insert_columns": "insertColumns", "insert_rows": "insertRows", "insert_hyperlinks": "insertHyperlinks",
    "delete_columns": "deleteColumns", "delete_rows": "deleteRows", "sort": "sort", "filter": "autoFilter",
    "pivot_tables": "pivotTables", "select_locked": "selectLockedCells", "select_unlocked": "selectUnlockedCells",
}  # fmt: skip
_ALLOWED: tuple[Action, ...] = ("select_locked", "select_unlocked", "filter", "sort")


class Protection(Options):
    """Protect the sheets against changes. This is no encryption: who has the file can read it."""

    password: OwnSecret | None = None
    """The password that takes the protection away: `{env: EXPORT_SHEET_PASSWORD}`; null: anybody may."""
    allow: list[Action] = Field(default_factory=lambda: list[Action](_ALLOWED))
    """What stays allowed."""

    def hashes(self, name: str) -> dict[str, str]:
        """Return what stands for the password (ISO 29500, 18.3.1.85: SHA-512, salted, in rounds).

        The salt comes from the export's name, not from chance: the same export makes the same file.
        """
        if self.password is None:
            return {}
        salt = hashlib.sha512(b"export_pipeline " + name.encode()).digest()[:16]
        word = self.password.resolve().get_secret_value()
        digest = hashlib.sha512(salt + word.encode("utf-16-le")).digest()
        for turn in range(_SPINS):
            digest = hashlib.sha512(digest + turn.to_bytes(4, "little")).digest()
        return {
            "algorithmName": "SHA-512",
            "hashValue": base64.b64encode(digest).decode(),
            "saltValue": base64.b64encode(salt).decode(),
            "spinCount": str(_SPINS),
        }


def protect(sheet: Worksheet, look: Look, number: int, rows: int) -> None:  # noqa: ARG001
    """Protect a sheet where that is asked for."""
    asked = look.options.protection
    if asked is None:
        return
    protection = sheet.protection
    protection.sheet = protection.objects = protection.scenarios = True
    for action, attribute in _ATTRIBUTES.items():
        setattr(protection, attribute, action not in asked.allow)
    for attribute, value in look.hashes.items():
        setattr(protection, attribute, int(value) if attribute == "spinCount" else value)
