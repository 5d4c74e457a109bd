"""Formulas of new columns have the values that programs compute for them, or none."""

from __future__ import annotations

import datetime as dt
import math
import re
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from openpyxl.utils.datetime import to_excel
from python_calamine import CalamineWorkbook

from export_pipeline.formats.excel import Excel
from export_pipeline.verification import verify
from export_pipeline_tests.formats.excel.office import asked, converted
from export_pipeline_tests.formats.excel.written import capped, sheet, written

NUMBERS = [0.0, 1.0, -1.5, 0.1, 0.2, 0.3, 1 / 3, 100.0, 1e15, 123456789.125, -0.0, 1e-9, 7e-301, 1e200, 1e301, 49.0]
FRAME = pl.DataFrame(
    {
        "x": [n for n in NUMBERS for _ in NUMBERS],
        "y": NUMBERS * len(NUMBERS),
        "n": [None if n % 11 == 5 else (n - 120) * 10 ** (n % 14) for n in range(256)],
        "small": pl.Series([None if n % 13 == 5 else n * 0.1 for n in range(256)], dtype=pl.Float32),
        "money": pl.Series([Decimal(n * 25 - 3_000) / 100 for n in range(256)], dtype=pl.Decimal(38, 2)),
        "exact": pl.Series([Decimal(n**7) for n in range(256)], dtype=pl.Decimal(38, 4)),
        "day": [dt.date(1899, 12, 1) + dt.timedelta(days=997 * n) for n in range(256)],
        "at": [dt.datetime(2024, 1, 1) + dt.timedelta(hours=n) for n in range(256)],
        "took": [dt.timedelta(minutes=7 * n) for n in range(256)],
        "text": [[None, "a", ' <&"', "=1+1", "é\U0001f600", "5", "", "two\nlines"][n % 8] for n in range(256)],
    }
)
KNOWN = [
    "={x}*{y}", "={x}/{y}", "={x}+{y}", "={x}-{y}", "=({x}+{y})*({x}-{y})", "={x}/3", "=1/{x}", "={x}/49*49",
    "={n}*{money}", "={n}/7", "={small}*10", "={small}+{n}", "={money}*1.19", "={money}/100", "={exact}/3", "={n}",
    "=-{n}", "=--{x}-1", "=2+3*4-{row}", "=(({row}))*.5E1", "={day}+1", "={at}-{day}", "={at}*24", "={took}*24",
    "={x}*{x}*{x}", "={x}-{y}-{small}", "={small}-{money}/100", '="a"', '={text}&"-"&{n}', '="<"&{row}&">"&" "',
    '={n}&{money}', '="say ""no"""&{text}', '={row}+1&"%"', '={day}&""', '={text}', '={x}*2&"|"&{y}-1', '={at}&"."',
    '=({text})&({small})',
]  # fmt: skip
LEFT = [
    "=ROUND({x},1)", "={x}^2", "={x}%", "={text}+1", "={x}={y}", "={row}{row}", "={x}{y}", "={x}1", "=1{row}", "=B2+1",
    "={n} {x}", '="{x}"', "={1,2}+1", "=SUM({1,2})", "={x}*1234567890.123456", "=1e400", "={text}*1", "=+{text}",
    "=({x}", "={x}+", "=()", '="two" "texts"', "={done}+1", "=" + "+".join(["{x}"] * 101), "={x}.5", "=1e5{row}",
    "={row}:{row}", "=TRUE", "={x},{y}", '="a\tb"',
]  # fmt: skip


def formulas(*given: str, **options: Any) -> Excel:
    return Excel.model_validate(
        {"formulas": [{"column": f"f{n}", "formula": formula} for n, formula in enumerate(given)], **options}
    )


def read(path: Path, columns: int) -> list[list[Any]]:
    """Return the last columns of the rows, as openpyxl reads their values."""
    page = openpyxl.load_workbook(path, data_only=True).worksheets[0]
    return [list(row[-columns:]) for row in page.iter_rows(min_row=2, values_only=True)]


def same(ours: Any, theirs: Any) -> bool:
    """Return whether values are equal in the 15 digits that LibreOffice writes; it shows sums of dates as dates."""
    if isinstance(theirs, (dt.datetime, dt.time, dt.timedelta)):
        theirs = to_excel(theirs)
    if isinstance(ours, (int, float)) and isinstance(theirs, (int, float)):
        return math.isclose(ours, theirs, rel_tol=1e-14, abs_tol=0)
    return bool(ours == theirs)


@asked
def test_values_are_those_that_libreoffice_computes(tmp_path: Path) -> None:
    path = written(FRAME, tmp_path, formulas(*KNOWN)).path
    ours = read(path, len(KNOWN))
    bare = tmp_path / "bare" / "file.xlsx"  # without values, which LibreOffice would believe
    bare.parent.mkdir()
    with zipfile.ZipFile(path) as package, zipfile.ZipFile(bare, "w") as copy:
        for name in package.namelist():
            part = package.read(name)
            if name.endswith("sheet1.xml"):
                part = re.sub(rb' t="str"(><f>)|</f><v>[^<]*</v>', lambda f: f[1] or b"</f>", part)
                assert b"</f><v>" not in part
            copy.writestr(name, part)
    theirs = read(converted(bare, "xlsx") / "file.xlsx", len(KNOWN))
    wrong = [
        (KNOWN[n], row, mine, other)
        for row, (one, two) in enumerate(zip(ours, theirs, strict=True), 2)
        for n, (mine, other) in enumerate(zip(one, two, strict=True))
        if mine is not None and not same(mine, other)
    ]
    assert not wrong, wrong[:5]
    shares = [sum(row[n] is not None for row in ours) / len(ours) for n in range(len(KNOWN))]
    assert min(shares) > 0.03, KNOWN[shares.index(min(shares))]


def test_values_are_doubles_to_the_last_bit(tmp_path: Path) -> None:
    found = read(written(FRAME, tmp_path, formulas("={x}*{y}", "={x}/{y}", "={x}/3", "={x}+{y}")).path, 4)
    for (x, y), (product, ratio, third, total) in zip(FRAME.select("x", "y").rows(), found, strict=True):
        if product is not None and x and y and abs(x) < 1e300 > abs(y):
            assert product == x * y
        assert ratio is None or ratio == x / y
        assert third is None or third == x / 3
        assert total is None or total == x + y


def test_what_is_not_certain_has_no_value(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "x": [1.0, 0.3, 1e200, float("nan"), 5e-320, None],
            "y": [0.0, 0.3 - 2**-54, 1e200, 1.0, 1.0, None],
            "wide": [10**15, -1, None, 10**15 - 1, 10**11, 10**11 - 1],
            "text": [None, "", "x", "y" * 32_767, "é", "z"],
        }
    )
    form = formulas("={x}/{y}", "={x}-{y}", "={x}*{y}", "={wide}+0", '={wide}&""', '={text}&"!"', "={text}", "={x}&1")
    artifact = written(frame, tmp_path, Excel.model_validate(form.dump() | {"non_finite": "text"}))
    columns = [list(column) for column in zip(*read(artifact.path, 8), strict=True)]
    assert columns == [
        [None, 0.3 / (0.3 - 2**-54), 1, None, None, None],
        [1, None, 0, None, None, 0],
        [0, 0.3 * (0.3 - 2**-54), None, None, None, 0],
        [None, -1, 0, 10**15 - 1, 10**11, 10**11 - 1],
        [None, "-1", None, None, None, "99999999999"],
        ["!", "!", "x!", None, "é!", "z!"],
        [None, None, "x", "y" * 32_767, "é", "z"],
        ["11", None, None, None, None, "1"],
    ]
    assert [loss.why for loss in artifact.losses if loss.column == "f0"] == [
        "a formula whose value is an error, or not the same in each program, shows it once a program calculates it"
    ]


def test_nan_as_an_empty_cell_counts_as_zero_like_one(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [float("nan"), float("inf"), None]})
    assert read(written(frame, tmp_path, formulas("={x}+1")).path, 1) == [[1], [1], [1]]
    error = formulas("={x}+1", non_finite="error_value")
    assert read(written(frame, tmp_path, error).path, 1) == [[None], [None], [1]]


@pytest.mark.parametrize("formula", LEFT)
def test_other_formulas_are_left_to_excel_and_named(formula: str, tmp_path: Path) -> None:
    frame = FRAME.head(2).with_columns(done=True)
    form = formulas(formula)
    artifact = form.write(frame.lazy(), tmp_path / "file.xlsx")
    verify(artifact, form)
    assert "</f><v>" not in sheet(artifact.path)
    assert [loss.why for loss in artifact.losses if loss.column == "f0"] == [
        "a formula shows its value once a program calculates it"
    ]


def test_formulas_refer_to_those_of_other_columns_in_any_order(tmp_path: Path) -> None:
    form = Excel.model_validate(
        {
            "formulas": [
                {"column": "gross", "formula": "={net}*2"},
                {"column": "net", "formula": "={x}*{n}", "style": {"fill": "FFFFCC"}, "number_format": "0.00"},
                {"column": "said", "formula": '={text}&"="&{net}'},
                {"column": "round", "formula": "={round_too}"},
                {"column": "round_too", "formula": "={round}"},
                {"column": "y", "formula": "={x}+1"},  # keeps its own values
                {"column": "more", "formula": "={y}+1"},
            ]
        }
    )
    frame = pl.DataFrame({"x": [1.5, 2.0], "n": [2, None], "y": [7, 8], "text": ["a", None]})
    path = written(frame, tmp_path, form).path
    assert read(path, 7) == [["a", 6, 3, "a=3", None, None, None], [None, 0, 0, "=0", None, None, None]]
    assert [row[2] for row in read(path, 8)] == [6, 0]
    assert [row[4:8] for row in CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()[1:]] == [
        [6, 3, "a=3", ""],
        [0, 0, "=0", ""],
    ]


def test_rows_are_counted_on_each_sheet(tmp_path: Path) -> None:
    form = capped(3, **formulas("={row}*{n}").model_dump(include={"formulas"}))
    path = written(pl.DataFrame({"n": range(5)}), tmp_path, form).path
    pages = openpyxl.load_workbook(path, data_only=True).worksheets
    assert [[row[1] for row in page.iter_rows(min_row=2, values_only=True)] for page in pages] == [[0, 3], [4, 9], [8]]


def test_a_wrong_value_is_found(tmp_path: Path) -> None:
    form = formulas("={n}*2", '={n}&"x"')
    artifact = form.write(pl.DataFrame({"n": [1, 2]}).lazy(), tmp_path / "file.xlsx")
    good = artifact.path.read_bytes()
    for old, new in ((b"<v>4.0</v>", b"<v>5.0</v>"), (b"<v>2x</v>", b"<v>2y</v>"), (b"</f><v>4.0</v>", b"</f>")):
        with zipfile.ZipFile(artifact.path) as package:
            parts = {name: package.read(name) for name in package.namelist()}
        assert old in parts["xl/worksheets/sheet1.xml"]
        parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"].replace(old, new)
        with zipfile.ZipFile(artifact.path, "w", zipfile.ZIP_DEFLATED) as package:
            for name, part in parts.items():
                package.writestr(name, part)
        with pytest.raises(ValueError, match="result of a formula"):
            list(form.read(artifact.path, form.render(pl.LazyFrame({"n": [1, 2]})).collect_schema()))
        artifact.path.write_bytes(good)


def test_every_number_is_one_that_cells_can_hold(tmp_path: Path) -> None:
    for row in read(written(FRAME, tmp_path, formulas("={x}*{y}", "={x}/{y}")).path, 2):
        for value in row:
            assert value is None or (math.isfinite(value) and (value == 0 or 1e-300 < abs(value) < 1e300))
