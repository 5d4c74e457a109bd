"""One changed byte anywhere in a document: the reader finds it, unless every reader reads the same."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from export_pipeline.errors import VerificationError
from export_pipeline.verification import verify
from export_pipeline_tests.formats.json.documents import json_form, strict, written

NESTED = {"nested": {"by": [{"key": "k", "name": "ks"}, {"key": "n", "name": "ns", "keep": True}], "records": "r"}}
NORMALIZED = {
    "normalized": {
        "entities": {"ks": {"key": "k", "fields": []}, "ns": {"key": "n"}},
        "relationships": {"k_ns": {"from": "ks", "to": "ns"}},
    }
}
FRAME = pl.DataFrame(
    {"n": [1, 2, 3, 10], "k": ["a", "b", "a", None], "t": ['q"\\\n', "", None, "},"], "l": [[1, 2], [], None, [3]]}
)
BYTES = b'{}[]",:\n 0129ax\\-'


def read_alike(text: bytes, other: bytes) -> bool:
    """Return whether Python's parser, which is strict here, reads the same in the same order."""
    try:
        return repr(strict(text.decode())) == repr(strict(other.decode()))
    except (AssertionError, ValueError):
        return False


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("structure", ["flat", NESTED, NORMALIZED], ids=["flat", "nested", "normalized"])
def test_a_changed_a_lost_or_a_doubled_byte_is_found(structure: Any, pretty: bool, tmp_path: Path) -> None:
    options = {"structure": structure, "pretty_print": pretty}
    form = json_form(options)
    artifact = written(FRAME, tmp_path, **options)
    good = artifact.path.read_bytes()
    chance = random.Random(7)
    for at in range(0, len(good), 3):
        new = bytes([chance.choice([one for one in BYTES if one != good[at]])])
        for bad in (
            good[:at] + new + good[at + 1 :],
            good[:at] + good[at + 1 :],
            good[:at] + good[at : at + 1] + good[at:],
        ):
            artifact.path.write_bytes(bad)
            claimed = artifact.replace(sha256=hashlib.sha256(bad).hexdigest(), bytes=len(bad))
            try:
                verify(claimed, form)
            except VerificationError:
                continue
            assert read_alike(good, bad), f"byte {at}: {bad[max(0, at - 20) : at + 20]!r} passed"
