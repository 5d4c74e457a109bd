"""Outputs of several files, written and verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from pydantic import TypeAdapter

from export_pipeline.formats import AnyFormat, Csv
from export_pipeline.verification import Artifact, verify

KEYS = [
    "a",
    "b/c",
    "..",
    ".",
    "x=y",
    "100%",
    "ä ö",
    "\U0001f600",
    " ",
    "a b.",
    "it's",
    "null",
    "A",
    "~",
    "\x00\n",
    None,
]


def sample(rows: int = 5000) -> pl.DataFrame:
    return pl.DataFrame({"n": range(rows)}).with_columns(
        agent=pl.Series([KEYS[n % len(KEYS)] for n in range(rows)], dtype=pl.String),
        ok=pl.Series([(True, False, None)[n % 3] for n in range(rows)], dtype=pl.Boolean),
        cost=pl.col("n") / 7,
    )


def written(form: Any, frame: pl.DataFrame, folder: Path, name: str = "out") -> Artifact:
    """Write and verify; the sums are those of the files."""
    artifact: Artifact = form.write(frame.lazy(), folder / name)
    verify(artifact, form)
    assert artifact.is_folder and artifact.rows == frame.height == sum(part.rows for part in artifact.parts)
    assert artifact.bytes == sum(p.stat().st_size for p in artifact.path.rglob("*") if p.is_file())
    assert [entry.name for entry in folder.iterdir() if entry.name.startswith(".")] == []
    return artifact


def split(**options: Any) -> Csv:
    form = TypeAdapter(AnyFormat).validate_python({"csv": options})
    assert isinstance(form, Csv)
    return form
