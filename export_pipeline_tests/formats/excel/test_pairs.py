"""Each option of Excel alone, and each two together over every nasty value.

Each workbook is verified, keeps the schema, and has in openpyxl and calamine the values that the format says it holds;
what it says it holds is equal to the data, or a named loss.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from python_calamine import CalamineWorkbook

from export_pipeline.formats.excel import MAX_ROWS, Excel
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.excel.options import ALONE, PASSWORD, ROWS, SMALL, about, form_of
from export_pipeline_tests.formats.excel.schema import complaints
from export_pipeline_tests.formats.excel.written import plain

Rows = list[list[Any]]
ELSEWHERE = (
    "list_text", "list_list", "array", "struct", "struct_leaves", "binary", "nothing", "uint64", "int128", "float16",
    "ms", "ns", "zoned_ns",
)  # fmt: skip
"""Left out: in a sheet they are like another column, and `test_contract` proves each of them."""
MIDNIGHT = (dt.timedelta(0), dt.timedelta(days=1), dt.datetime(1900, 1, 1))


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "word")


def shown(value: Any, dtype: pl.DataType) -> Any:
    """Return what readers see of a value that a sheet holds."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool) and digits(value) > 15:
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else str(value)
    if dtype == pl.Float32 and value is not None:
        return float(pl.Series([value], dtype=dtype).cast(pl.String)[0])
    if isinstance(value, dt.date) and value.isoformat() < "1900-03-01":
        return value.isoformat()
    return plain(value)


def digits(value: int | Decimal) -> int:
    """Return how many digits a number has; zeros at the end of its fraction do not count."""
    text = str(abs(value)) if isinstance(value, int) else f"{abs(value):f}"
    return len((text.rstrip("0") if "." in text else text).replace(".", "").lstrip("0"))


def by_openpyxl(path: Path, form: Excel, schema: pl.Schema, heights: list[int]) -> Rows:
    pages = openpyxl.load_workbook(path, data_only=True).worksheets
    assert [page.sheet_state for page in pages[len(heights) :]] in ([], ["hidden"])
    rows: Rows = []
    headers = form.header_texts(schema)
    for page, height in zip(pages, heights, strict=False):
        top = form.first_row
        if headers is not None:
            found = [plain(page.cell(top, n).value) or "" for n in range(1, len(headers) + 1)]
            assert found == headers
            top += 1
        read = page.iter_rows(min_row=top, max_row=top + height - 1, max_col=len(schema), values_only=True)
        rows += [[plain(value) for value in row] for row in read]
    return rows


def by_calamine(path: Path, form: Excel, schema: pl.Schema, heights: list[int]) -> Rows:
    book, rows = CalamineWorkbook.from_path(str(path)), Rows()
    for name, height in zip(book.sheet_names, heights, strict=False):
        top = form.first_row - 1 + form.header
        read = book.get_sheet_by_name(name).to_python(skip_empty_area=False)[top : top + height]
        read += [[]] * (height - len(read))
        for row in read:
            cells = row[: len(schema)] + [""] * (len(schema) - len(row))
            rows.append([None if value == "" else plain(value) for value in cells])
    return rows


def proven(row: dict[str, Any], frame: pl.DataFrame, folder: Path, cap: int = MAX_ROWS) -> None:
    form = form_of(row)
    form._max_rows = cap
    artifact = form.write(frame.lazy(), folder / "file.xlsx", about=about(folder))
    assert verify(artifact, form).rows == frame.height
    assert complaints(artifact.path) == []
    held = form.render(frame.lazy()).collect()
    lost = {loss.column for loss in artifact.losses}
    kept = [name for name in frame.columns if name not in lost]
    assert kept
    assert_frame_equal(held.select(kept), frame.select(kept))
    room = cap - form.first_row + 1 - form.header - bool(form.totals)
    heights = [min(room, frame.height - begin) for begin in range(0, frame.height, room)]
    wanted = [[shown(v, dtype) for v, dtype in zip(values, held.dtypes, strict=True)] for values in held.rows()]
    for read in (by_openpyxl, by_calamine):
        found = read(artifact.path, form, held.schema, heights)
        errors = form.non_finite == "error_value"
        for n, name in enumerate(held.columns):
            column = [values[n] for values in found]
            if held[name].dtype == pl.Time:  # a moment before midnight is midnight of the next day to readers
                column = [dt.timedelta(days=1) if value in MIDNIGHT else value for value in column]
                wanted = [[*r[:n], dt.timedelta(days=1) if r[n] in MIDNIGHT else r[n], *r[n + 1 :]] for r in wanted]
            if errors and held[name].dtype.is_float():
                column = [value for value in column if value not in ("#NUM!", "#DIV/0!", None)]
                assert column == [v for r in wanted if (v := r[n]) not in ("NaN", "inf", None)], (read, name)
            else:
                assert column == [values[n] for values in wanted], (read, name)


def test_each_option_alone(tmp_path: Path) -> None:
    for n, row in enumerate(ALONE):
        proven(row, SMALL, tmp_path, cap=7 if n % 5 == 0 else MAX_ROWS)


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_each_two_options_together(number: int, tmp_path: Path) -> None:
    frame = nasty.table(without=ELSEWHERE).with_columns(
        pl.col("text").cast(pl.Categorical).alias("category"), float32=pl.col("float32").cast(pl.Float32)
    )
    if ROWS[number]["non_finite"] == "error":
        finite = pl.col("non_finite").is_finite()
        frame = frame.with_columns(pl.when(finite).then("non_finite").alias("non_finite"))
    proven(ROWS[number], frame, tmp_path, cap=40 if number % 3 == 0 else MAX_ROWS)
