"""JSON files written, verified and read by Python's parser, told to refuse what no strict parser takes."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import polars as pl
import pytest
from pydantic import TypeAdapter

from export_pipeline.engines.external import ExternalSort
from export_pipeline.errors import VerificationError
from export_pipeline.formats import About, Json
from export_pipeline.verification import Artifact, verify

ABOUT = About(
    name="failed", logical_time="2026-03-01T06:00:00+00:00", timezone="Europe/Berlin", filter='status is "failed"',
    version="v1",
)  # fmt: skip


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")


def different(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; each of its keys is there once."""
    assert len(dict(pairs)) == len(pairs), f"a key is there twice: {[key for key, _ in pairs]}"
    return dict(pairs)


def strict(text: str, **options: Any) -> Any:
    return json.loads(text, parse_constant=refuse, object_pairs_hook=different, **options)


def json_form(options: dict[str, Any]) -> Json:
    return TypeAdapter(Json).validate_python(options)


def text_of(form: Json, path: Path) -> str:
    with form.compression.decompressing(path) as file:
        return file.read().decode()


def written(frame: pl.DataFrame, folder: Path, **options: Any) -> Artifact:
    """Return the artifact of a file that is verified."""
    form = json_form(options)
    artifact = form.write(frame.lazy(), folder / f"file{form.suffix}", about=ABOUT)
    assert artifact.rows == frame.height
    found = verify(artifact, form)
    assert found.rows == (artifact.rows if artifact.entries is None else artifact.entries)
    return artifact


def assert_damage_is_found(
    artifact: Artifact, form: Json, good: str, bad: str, said: str = "cannot be read|values differ"
) -> None:
    """Put a text in place of another where it is first, as if it had been written so: verification finds it."""
    text = text_of(form, artifact.path)
    assert good in text
    with artifact.path.open("wb") as file, form.compression.compressing(file) as stage:
        stage.write(text.replace(good, bad, 1).encode())
    data = artifact.path.read_bytes()
    with pytest.raises(VerificationError, match=said):
        verify(artifact.replace(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)), form)


def document(frame: pl.DataFrame, folder: Path, *, exact: bool = False, **options: Any) -> Any:
    """Return what is in the verified file; of lines, a list."""
    form = json_form(options)
    text = text_of(form, written(frame, folder, **options).path)
    more: dict[str, Any] = {"parse_float": Decimal} if exact else {}
    if form.layout == "lines":
        return [strict(line, **more) for line in text.split("\n") if line]
    return strict(text, **more)


def spilling(monkeypatch: Any, budget: int = 3_000) -> None:
    """Let sorts keep next to nothing in memory."""
    defaults = ExternalSort.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "budget", budget)


def nested(*by: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"structure": {"nested": {"by": list(by), **more}}}


def normalized(entities: dict[str, Any], relationships: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"structure": {"normalized": {"entities": entities, "relationships": relationships or {}, **more}}}
