"""How a CSV file is written: its delimiter and its header, told by its first lines."""

from __future__ import annotations

import csv
import io
from typing import NamedTuple

DELIMITERS = ",;\t|"
"""The delimiters that are found by themselves; on equal terms the first."""
SAMPLE = 1 << 18
"""Bytes that are looked at."""
_RECORDS = 100


class Look(NamedTuple):
    """What the first lines tell."""

    delimiter: str
    names: tuple[str, ...]
    """The columns; none where the file is empty."""
    rows: bool
    """Whether there is any row."""
    blank: int
    """Blank lines before the first one that is not."""


def look(sample: str, *, whole: bool, delimiter: str | None, quote: str, header: bool) -> Look:
    """Look at the beginning of a file; `whole` says that it is all of it."""
    chosen = delimiter or max(DELIMITERS, key=lambda sign: _fit(_records(sample, sign, quote, whole=whole)))
    records = _records(sample, chosen, quote, whole=whole)
    if not records:
        return Look(chosen, (), rows=False, blank=0)
    names = _unique(records[0]) if header else tuple(f"column_{n}" for n in range(1, len(records[0]) + 1))
    blank = len(sample[: len(sample) - len(sample.lstrip("\r\n"))].splitlines())
    return Look(chosen, names, rows=not header or len(records) > 1 or not whole, blank=blank)


def _records(sample: str, delimiter: str, quote: str, *, whole: bool) -> list[list[str]]:
    """Return the first records that are not blank; the last one of a sample may be cut off."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, quotechar=quote)
    records: list[list[str]] = []
    try:
        for record in reader:
            if record:
                records.append(record)
            if len(records) > _RECORDS:
                break
        else:
            if not whole and len(records) > 1:
                records.pop()
    except csv.Error:  # a quote that is never closed: what came before it counts
        pass
    return records


def _fit(records: list[list[str]]) -> tuple[bool, int]:
    """Return how well a delimiter fits: all records with the same number of fields, and how many."""
    counts = {len(record) for record in records}
    return (len(counts) == 1 and max(counts) > 1, len(records[0]) if records else 0)


def _unique(names: list[str]) -> tuple[str, ...]:
    """Return names for a header: blank ones are numbered by place, repeated ones counted."""
    used: dict[str, None] = {}
    for place, given in enumerate(names, start=1):
        name = given.strip() or f"column_{place}"
        count = 1
        while (name if count == 1 else f"{name}_{count}") in used:
            count += 1
        used[name if count == 1 else f"{name}_{count}"] = None
    return tuple(used)
