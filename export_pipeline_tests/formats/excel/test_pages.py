"""Printing, protection, pictures and the properties of the workbook."""

from __future__ import annotations

import datetime as dt
import struct
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from pydantic import ValidationError

from export_pipeline.errors import ConfigError
from export_pipeline.formats.about import About
from export_pipeline.formats.excel import Excel
from export_pipeline.verification import verify
from export_pipeline_tests.formats.excel.pictures import JPEG, png
from export_pipeline_tests.formats.excel.written import capped, part, written

FRAME = pl.DataFrame({"id": [1, 2, 3]})


def page(path: Path) -> Any:
    return openpyxl.load_workbook(path).worksheets[0]


def test_print_setup(tmp_path: Path) -> None:
    given = {
        "orientation": "landscape", "paper": "a3", "fit_width": 1, "header": {"left": "L", "right": "&D"},
        "footer": "Page &P of &N", "margins": {"left": 0.25}, "gridlines": True, "center": True, "area": "A1:A4",
    }  # fmt: skip
    sheet = page(written(FRAME, tmp_path, Excel.model_validate({"print": given, "first_row": 2})).path)
    setup = sheet.page_setup
    assert (setup.orientation, setup.paperSize, setup.fitToWidth, setup.fitToHeight) == ("landscape", 8, 1, 0)
    assert (sheet.sheet_properties.pageSetUpPr.fitToPage, sheet.print_title_rows) == (True, "$2:$2")
    assert (sheet.oddHeader.left.text, sheet.oddHeader.right.text) == ("L", "&D")
    assert sheet.oddFooter.center.text == "Page &P of &N"
    assert (sheet.page_margins.left, sheet.page_margins.right, sheet.print_area) == (0.25, 0.7, "'Data'!$A$1:$A$4")
    assert (sheet.print_options.gridLines, sheet.print_options.horizontalCentered) == (True, True)


def test_protection_with_a_password_that_excel_would_accept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_SHEET", "pässword")
    form = Excel.model_validate(
        {"protection": {"password": {"env": "EXPORT_SHEET"}, "allow": ["sort", "select_locked"]}}
    )
    path = written(FRAME, tmp_path, form).path
    found = page(path).protection
    assert (found.sheet, found.sort, found.selectLockedCells, found.autoFilter, found.formatCells) == (
        True, False, False, True, True,
    )  # fmt: skip
    assert (found.algorithmName, found.spinCount) == ("SHA-512", 100_000)
    assert b"ssword" not in b"".join(zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist())
    import base64
    import hashlib

    digest = hashlib.sha512(base64.b64decode(found.saltValue) + "pässword".encode("utf-16-le")).digest()
    for turn in range(100_000):
        digest = hashlib.sha512(digest + struct.pack("<I", turn)).digest()
    assert found.hashValue == base64.b64encode(digest).decode()


def test_passwords_come_from_variables_that_may_be_read() -> None:
    with pytest.raises(ValidationError, match="may not be read"):
        Excel.model_validate({"protection": {"password": {"env": "HOME"}}})


@pytest.mark.parametrize(("name", "data", "size"), [("a.png", png(40, 20), (80, 40)), ("b.jpg", JPEG, (80, 53))])
def test_a_logo_is_copied_byte_for_byte_onto_each_sheet(
    name: str, data: bytes, size: tuple[int, int], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    form = capped(6, first_row=4, images=[{"file": name, "cell": "B1", "width": 80}])
    artifact = form.write(FRAME.lazy(), tmp_path / "file.xlsx", about=About(folder=tmp_path, roots=(tmp_path,)))
    verify(artifact, form)
    with zipfile.ZipFile(artifact.path) as package:
        pictures = [package.read(entry) for entry in package.namelist() if entry.startswith("xl/media/")]
    assert pictures == [data, data]
    drawing = part(artifact.path, "xl/drawings/drawing1.xml")
    assert f'cx="{size[0] * 9525}"' in drawing
    assert f'cy="{size[1] * 9525}"' in drawing
    assert "<xdr:col>1</xdr:col>" in drawing or "<col>1</col>" in drawing


def test_pictures_that_are_none_or_may_not_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no picture")
    (tmp_path / "in").mkdir()
    for name, roots, said in (
        ("x.png", None, "no PNG or JPEG"),
        ("y.png", None, "cannot be read"),
        ("x.png", (tmp_path / "in",), "outside"),
    ):
        form = Excel.model_validate({"images": [{"file": name}]})
        with pytest.raises(ConfigError, match=said):
            form.write(FRAME.lazy(), tmp_path / "f.xlsx", about=About(folder=tmp_path, roots=roots))
        assert not (tmp_path / "f.xlsx").exists()


def test_what_the_workbook_says_about_itself(tmp_path: Path) -> None:
    given = {
        "author": "Ada", "created": "2024-05-01T10:00:00+02:00", "title": "T", "subject": "S", "keywords": "k",
        "category": "C", "comments": "& so on", "company": "A & B", "manager": "M",
        "properties": {"n": 42, "big": 2**40, "yes": True, "share": 0.5, "text": "x",
                       "at": {"moment": "2024-01-01T01:00:00+01:00"}},
    }  # fmt: skip
    form = Excel.model_validate({"workbook": given})
    path = written(FRAME, tmp_path, form).path
    book = openpyxl.load_workbook(path)
    found = book.properties
    assert (found.creator, found.title, found.subject, found.keywords) == ("Ada", "T", "S", "k")
    assert (found.category, found.description) == ("C", "& so on")
    assert found.created == found.modified == dt.datetime(2024, 5, 1, 8)
    custom = {prop.name: prop.value for prop in book.custom_doc_props.props}
    assert custom == {"n": 42, "big": 2.0**40, "yes": True, "share": 0.5, "at": dt.datetime(2024, 1, 1), "text": "x"}
    assert "<Company>A &amp; B</Company>" in part(path, "docProps/app.xml")
    again = form.write(FRAME.lazy(), tmp_path / "again.xlsx")
    assert again.path.read_bytes() == path.read_bytes()
