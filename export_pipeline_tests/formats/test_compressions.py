"""Every compression under every text format: written, read back, proven; the name and the type that the file gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from export_pipeline.compression import AnyCompression
from export_pipeline.errors import ConfigError, VerificationError
from export_pipeline.formats import AnyFormat
from export_pipeline.formats.plain import TextFormat
from export_pipeline.options import members_of
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.test_contract import proven

PASSWORD = {"env": "EXPORT_TEST_ZIP"}
PACKED: list[Any] = [
    *members_of(AnyCompression),
    {"zip": {"password": PASSWORD}},
    {"zip": {"password": PASSWORD, "level": 9, "threads": 2}},
    {"gzip": {"level": 9, "threads": 2}},
    {"zstd": {"level": 3, "threads": 2}},
]
TEXT = [form for form in members_of(AnyFormat).values() if issubclass(form, TextFormat)]
MORE: list[dict[str, Any]] = [{"tag": "json", "layout": "lines"}, {"tag": "json", "include_metadata": True}]
OPTIONS = [*({"tag": form.tag} for form in TEXT), *MORE, {"tag": "csv", "encoding": "utf-16"}]
FILES = {".gz": "gzip", ".zst": "zstd", ".br": "brotli", ".zip": "zip", "": "none"}


def made(options: dict[str, Any], packed: Any) -> TextFormat:
    given = {name: value for name, value in options.items() if name != "tag"}
    (form,) = (form for form in TEXT if form.tag == options["tag"])
    return form.model_validate(given | {"compression": packed})


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_TEST_ZIP", "pass word")


@pytest.mark.parametrize("packed", PACKED, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_value_comes_back(options: dict[str, Any], packed: Any, tmp_path: Path) -> None:
    form = made(options, packed)
    artifact = proven(form, nasty.table(), tmp_path)
    tag = packed if isinstance(packed, str) else next(iter(packed))
    assert FILES[form.compression.extension] == tag
    assert artifact.path.name.endswith(form.compression.extension)
    assert artifact.media_type == ("application/zip" if tag == "zip" else form.replace(compression="none").content_type)
    proven(form, nasty.table().clear(), tmp_path)
    assert form.confidential == ("password" in str(packed))


@pytest.mark.parametrize("packed", PACKED, ids=str)
@pytest.mark.parametrize("options", OPTIONS[: len(TEXT)], ids=str)
def test_damage_is_found_by_the_reader_itself(options: dict[str, Any], packed: Any, tmp_path: Path) -> None:
    form = made(options, packed)
    artifact = form.write(pl.DataFrame({"n": range(20_000)}).lazy(), tmp_path / f"file{form.suffix}")
    artifact.path.write_bytes(artifact.path.read_bytes()[:-30])
    with pytest.raises(VerificationError, match=r"rows were written|cannot be read after row"):
        verify(artifact, form)


@pytest.mark.parametrize("packed", [one for one in PACKED if "password" not in str(one)], ids=str)
def test_the_same_rows_are_the_same_file(packed: Any, tmp_path: Path) -> None:
    form = made({"tag": "csv"}, packed)
    rows = pl.DataFrame({"n": range(50_000), "f": [n / 7 for n in range(50_000)]}).lazy()
    first, second = (form.write(rows, tmp_path / f"{n}{form.suffix}", name=f"x{form.suffix}") for n in range(2))
    assert first.path.read_bytes() == second.path.read_bytes()


def test_a_missing_password_is_refused_before_a_row_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPORT_TEST_ZIP")
    form = made({"tag": "csv"}, {"zip": {"password": PASSWORD}})

    def touched(frame: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError("a row was read")

    rows = pl.LazyFrame({"n": [1]}).map_batches(touched, schema={"n": pl.Int64})
    with pytest.raises(ConfigError, match="EXPORT_TEST_ZIP is not set"):
        form.write(rows, tmp_path / "file.csv.zip")
    assert list(tmp_path.iterdir()) == []
