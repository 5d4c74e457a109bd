"""The proof of valid workbooks can fail, and the same export makes the same bytes whatever is installed.

That every option makes a valid workbook, `test_pairs.py` proves.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree as Tree

import openpyxl
import pytest

from export_pipeline.formats.excel import Excel
from export_pipeline_tests.formats.excel.options import ROWS, SMALL, about, form_of
from export_pipeline_tests.formats.excel.schema import complaints
from export_pipeline_tests.formats.excel.written import written


@pytest.mark.parametrize(
    ("part", "good", "bad"),
    [
        ("xl/worksheets/sheet1.xml", rb' t="inlineStr"', b' t="inline"'),
        ("xl/worksheets/sheet1.xml", rb"(<sheetViews>.*?</sheetViews>)(<sheetFormatPr.*?/>)", rb"\2\1"),
        ("xl/worksheets/sheet1.xml", rb'dxfId="0"', b'dxfId="99"'),
        ("xl/worksheets/sheet1.xml", rb'priority="1"', b""),
        ("xl/worksheets/sheet1.xml", rb"</c></row>", b"</row>"),
        ("xl/tables/table1.xml", rb"autoFilter", b"autofilter"),
        ("xl/styles.xml", rb"(<b [^>]*>)(.*?)(<name [^>]*>)", rb"\3\2\1"),
        ("xl/workbook.xml", rb"<sheets>", b"<calcPr/><sheets>"),
        ("docProps/app.xml", rb"</Properties>", b""),
        ("xl/_rels/workbook.xml.rels", rb"sheet1", b"sheet9"),
        (
            "[Content_Types].xml",
            rb'<Override[^>]*table1.xml"[^>]*>',
            b'<Default ContentType="text/css" Extension="x"/>',
        ),
    ],
)
def test_damage_is_a_complaint(part: str, good: bytes, bad: bytes, tmp_path: Path) -> None:
    form = Excel.model_validate({"conditional_formatting": [{"top": {"columns": ["int8"]}}]})
    path = written(SMALL, tmp_path, form).path
    assert complaints(path) == []
    with zipfile.ZipFile(path) as package, zipfile.ZipFile(tmp_path / "bad.xlsx", "w") as copy:
        for name in package.namelist():
            data = package.read(name)
            if name == part:
                assert re.search(good, data)
                data = re.sub(good, bad, data, count=1)
            copy.writestr(name, data)
    try:
        assert complaints(tmp_path / "bad.xlsx")
    except Tree.ParseError:
        assert bad in (b"</row>", b"")


PLAIN = [row for row in ROWS if not (row["protection"] or {}).get("password")][:4]
_WRITE = """
import sys
from pathlib import Path
import openpyxl
from export_pipeline_tests.formats.excel.test_schema import PLAIN, SMALL, about, form_of
folder = Path(sys.argv[1])
print(openpyxl.LXML)
for row in PLAIN:
    print(form_of(row).write(SMALL.lazy(), folder / "f.xlsx", about=about(folder)).sha256)
"""


def test_the_bytes_are_the_same_with_and_without_lxml(tmp_path: Path) -> None:
    here = [form_of(row).write(SMALL.lazy(), tmp_path / "f.xlsx", about=about(tmp_path)).sha256 for row in PLAIN]
    done = subprocess.run(
        [sys.executable, "-c", _WRITE, str(tmp_path)],
        env=os.environ | {"OPENPYXL_LXML": str(not openpyxl.LXML)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [str(not openpyxl.LXML), *here]
