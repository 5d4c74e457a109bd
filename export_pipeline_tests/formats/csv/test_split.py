"""CSV that is split into several files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.errors import FormatError, VerificationError
from export_pipeline.formats import Csv
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.parts import sample, split, written


@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip"}, {"compression": "zstd", "headers": False}, {"quotes": "all"}]
)
def test_csv_is_split_by_rows(options: dict[str, Any], tmp_path: Path) -> None:
    frame = sample(25_000).with_columns(agent=pl.lit("a"))
    artifact = written(split(split={"rows": 10_001}, **options), frame, tmp_path, "report")
    ending = Csv.model_validate(options).suffix
    assert [(part.name, part.rows) for part in artifact.parts] == [
        (f"report-part-00001{ending}", 10_001),
        (f"report-part-00002{ending}", 10_001),
        (f"report-part-00003{ending}", 4_998),
    ]
    header = options.get("headers", True)
    back = [pl.read_csv(part.path, has_header=header, new_columns=frame.columns) for part in artifact.files]
    assert pl.concat(back)["n"].to_list() == list(range(25_000))


def test_csv_is_split_by_bytes(tmp_path: Path) -> None:
    artifact = written(split(split={"bytes": 100_000}), sample(20_000), tmp_path)
    assert len(artifact.parts) > 3
    assert all(100_000 <= part.bytes < 150_000 for part in artifact.parts[:-1])


def test_split_parts_are_those_of_the_whole(tmp_path: Path) -> None:
    frame = nasty.table()
    whole = split().write(frame.lazy(), tmp_path / "whole.csv")
    artifact = written(split(split={"rows": 7}), frame, tmp_path)
    assert artifact.checksums == whole.checksums
    first, *rest = [part.path.read_bytes() for part in artifact.files]
    header = split().write(frame.head(0).lazy(), tmp_path / "header.csv").path.read_bytes()
    assert first + b"".join(part.removeprefix(header) for part in rest) == whole.path.read_bytes()


@pytest.mark.parametrize("bom", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_each_part_has_one_byte_order_mark_at_most(encoding: str, bom: bool, tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(25_000), "text": ["é"] * 25_000})
    artifact = written(split(split={"rows": 12_000}, encoding=encoding, bom=bom), frame, tmp_path)
    codec = "utf-16-le" if encoding == "utf-16" else "utf-8"
    for part, rows in zip(artifact.files, [12_000, 12_000, 1_000], strict=True):
        text = part.path.read_bytes().decode(codec)
        assert text.startswith("\ufeffn,text\r\n" if bom else "n,text\r\n") and text.count("\ufeff") == bom
        assert text.count("\r\n") == 1 + rows


def test_parts_that_are_zip_files_hold_what_they_are_called_after(tmp_path: Path) -> None:
    artifact = written(split(split={"rows": 10}, compression={"zip": {"threads": 2}}), sample(15), tmp_path, "report")
    names = [zipfile.ZipFile(part.path).namelist() for part in artifact.files]
    assert names == [["report-part-00001.csv"], ["report-part-00002.csv"]]


def test_any_row_may_be_the_first_of_a_part(tmp_path: Path) -> None:
    frame = pl.DataFrame({"text": ["a", "\ufeffb"]})
    split(headers=False).write(frame.lazy(), tmp_path / "whole.csv")
    with pytest.raises(FormatError, match="byte order mark"):
        split(headers=False, split={"rows": 1}).write(frame.lazy(), tmp_path / "parts")


def test_swapped_parts_are_found(tmp_path: Path) -> None:
    form = split(split={"rows": 10})
    artifact = written(form, pl.DataFrame({"n": range(10, 30)}), tmp_path)
    one, two = (part.path for part in artifact.files)
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)
    with pytest.raises(VerificationError, match="column 'n'"):
        verify(artifact, form)


def test_an_empty_table_is_one_part_with_its_header(tmp_path: Path) -> None:
    artifact = written(split(split={"rows": 10}), sample(0), tmp_path)
    assert artifact.files[0].path.read_bytes() == b"n,agent,ok,cost\r\n"


@pytest.mark.parametrize("given", [{}, {"rows": 1, "bytes": 5000}, {"rows": 0}, {"bytes": 1}])
def test_wrong_splits_are_refused(given: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        split(split=given)
