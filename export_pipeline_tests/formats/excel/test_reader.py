"""The second reader refuses every file that is not exactly what it must be."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from export_pipeline.errors import VerificationError
from export_pipeline.formats.excel import Excel
from export_pipeline.formats.excel.reader import sheets
from export_pipeline.verification import Artifact, verify
from export_pipeline_tests.formats.excel.written import capped

ROWS = 200
FRAME = pl.DataFrame({"n": range(ROWS)}).select(
    pl.col("n"),
    pl.when(pl.col("n") % 4 > 0).then(pl.format("t & {}", "n")).alias("text"),
    (pl.col("n") / 8).alias("float"),
    pl.lit(5).cast(pl.Date).alias("date"),
    (pl.col("n") % 2 == 0).alias("bool"),
)
SHEET = "xl/worksheets/sheet1.xml"


def repacked(artifact: Artifact, part: str, change: Callable[[bytes], bytes | None]) -> None:
    """Replace one part of the workbook (None: leave it out)."""
    with zipfile.ZipFile(artifact.path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    changed = change(parts[part])
    assert changed != parts[part], "nothing was changed"
    if changed is None:
        del parts[part]
    else:
        parts[part] = changed
    with zipfile.ZipFile(artifact.path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in parts.items():
            package.writestr(name, data)


def swap(old: str, new: str) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old.encode() in data
        return data.replace(old.encode(), new.encode(), 1)

    return change


# fmt: off
DEFECTS: list[tuple[str, Callable[[bytes], bytes | None], str]] = [
    (SHEET, swap("<v>17</v>", "<v>18</v>"), "'n'"),
    (SHEET, swap("t &amp; 17<", "t &amp; 18<"), "'text'"),
    (SHEET, swap("t &amp; 17<", "t & 17<"), "entity"),
    (SHEET, swap("t &amp; 17<", "t &nbsp; 17<"), "entity"),
    (SHEET, swap("t &amp; 17<", "t \x01 17<"), "XML"),
    (SHEET, swap('<c r="A9">', '<c r="A10">'), "not where it must be"),
    (SHEET, swap('<c r="A9">', '<c r="B9">'), "not where it must be"),
    (SHEET, swap('<c r="A9"><v>7</v></c>', ''), "values differ in column 'n'"),
    (SHEET, swap('<c r="A9"><v>7</v></c>', '<c r="A9"><v>7</v></c>' * 2), "not where it must be"),
    (SHEET, swap('<row r="9">', '<row r="10">'), "numbered"),
    (SHEET, swap('<row r="9">', '<row r="9" hidden="1">'), "numbered"),
    (SHEET, swap('<c r="A9">', '<c r="A9" t="b">'), "column 'n'"),
    (SHEET, swap('<c r="A9"><v>7</v>', '<c r="A9"><v>7<v/>'), "end as it begins"),
    (SHEET, swap('<c r="A9"><v>7</v>', '<c r="A9"><f>1+6</f><v>7</v>'), "no cell"),
    (SHEET, swap('<c r="A9"><v>7</v>', '<c r="A9"><v>x</v>'), "column 'n'"),
    (SHEET, swap('<c r="A9"><v>7</v>', '<c r="A9" s="1"><v>7</v>'), "column 'n'"),
    (SHEET, swap(' s="1"><v>25574', '><v>25574'), "not yyyy-mm-dd"),
    (SHEET, swap('t="b"><v>1<', 't="b"><v>2<'), "column 'bool'"),
    (SHEET, swap("</row></sheetData>", "</sheetData>"), "middle of a row"),
    (SHEET, lambda data: data[:len(data) // 2], "middle of its rows"),
    (SHEET, lambda data: data.replace(data[data.index(b'<row r="50">'):data.index(b'<row r="51">')], b""), "numbered"),
    (SHEET, lambda data: data.replace(data[data.index(b'<row r="201">'):data.index(b"</sheetData>")], b""), "rows"),
    (SHEET, swap("</worksheet>", "<x></worksheet>"), "mismatched"),
    (SHEET, swap('>float<', '>flat<'), "headers"),
    (SHEET, lambda data: data.replace(b"t &amp; 17", b"t \xff 17"), "utf"),
    ("xl/tables/table1.xml", swap("A1:E201", "A1:E200"), "spans"),
    ("xl/tables/table1.xml", swap('name="float"', 'name="flat"'), "headers"),
    ("xl/workbook.xml", swap("</workbook>", "</workbok>"), "mismatched"),
    ("xl/styles.xml", lambda data: None, "missing"),
    ("xl/theme/theme1.xml", lambda data: None, "missing"),
    ("[Content_Types].xml", swap("/xl/styles.xml", "/xl/style.xml"), "missing"),
    ("xl/styles.xml", swap('formatCode="yyyy-mm-dd"', 'formatCode="0"'), "not yyyy-mm-dd"),
]
# fmt: on


@pytest.mark.parametrize(("part", "change", "says"), DEFECTS, ids=[f"{n} {d[2]}" for n, d in enumerate(DEFECTS)])
def test_a_defect_is_found(part: str, change: Callable[[bytes], bytes | None], says: str, tmp_path: Path) -> None:
    artifact = Excel().write(FRAME.lazy(), tmp_path / "file.xlsx")
    repacked(artifact, part, change)
    # The digest alone would find it; here the reader has to.
    reader = Excel()
    with pytest.raises(Exception, match=says):  # of any kind: verification takes each as "broken"
        rows = pl.concat(list(reader.read(artifact.path, FRAME.schema)))
        digested = artifact.replace(sha256=_digest(artifact.path), bytes=artifact.path.stat().st_size)
        assert rows.schema == FRAME.schema
        verify(digested, reader)


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_flipped_bytes_are_found_wherever_they_are(tmp_path: Path) -> None:
    artifact = Excel().write(FRAME.lazy(), tmp_path / "file.xlsx")
    good = artifact.path.read_bytes()
    seeded = random.Random(5)
    for _ in range(40):
        bad = bytearray(good)
        bad[seeded.randrange(len(bad))] ^= 1 << seeded.randrange(8)
        artifact.path.write_bytes(bad)
        with pytest.raises(VerificationError):
            verify(artifact, Excel())


@pytest.mark.parametrize("size", [1, 64, 777, 1 << 22])
@pytest.mark.parametrize("compact", [False, True])
def test_pieces_of_any_size_read_the_same(
    size: int, compact: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "READ", size)
    nulls = FRAME.select(pl.when(pl.col("n") % 7 > 3).then(pl.all()))
    form = capped(90, compact=compact)
    artifact = form.write(nulls.lazy(), tmp_path / "file.xlsx")
    assert_frame_equal(pl.concat(list(form.read(artifact.path, nulls.schema))), nulls)


@pytest.mark.parametrize("nulls", [[], [1], [1, 2, 3], [98, 99, 100], list(range(1, 101)), list(range(2, 100))])
def test_rows_without_cells_keep_their_places(nulls: list[int], tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [None if n in nulls else n for n in range(1, 101)]}, schema={"a": pl.Int64})
    artifact = Excel().write(frame.lazy(), tmp_path / "file.xlsx")
    assert_frame_equal(pl.concat(list(Excel().read(artifact.path, frame.schema))), frame)


def test_a_reader_that_is_left_leaves_nothing_running(tmp_path: Path) -> None:
    import threading

    artifact = Excel().write(FRAME.lazy(), tmp_path / "file.xlsx")
    frames = iter(Excel().read(artifact.path, FRAME.schema))
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("verify")]
