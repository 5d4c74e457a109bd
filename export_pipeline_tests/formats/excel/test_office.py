"""LibreOffice opens the workbook and sees the same values."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from export_pipeline_tests.formats.excel.office import ASKED, converted, sheets
from export_pipeline_tests.formats.excel.template.books import filled, rich
from export_pipeline_tests.formats.excel.written import capped, written

pytestmark = ASKED


@pytest.mark.parametrize("compact", [False, True])
def test_libreoffice_sees_the_same_values(compact: bool, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "n": range(40),
            "text": ["=1+1", "a_x0041_b", "<&>", "two\nlines", " spaces "] * 8,
            "moment": [dt.datetime(2024, 2, 29, 12, 30, n) for n in range(40)],
            "date": [dt.date(1850, 1, 1), dt.date(2024, 12, 31)] * 20,
            "wide": [2**53 + 1, 7] * 20,
            "hours": [dt.timedelta(hours=30)] * 40,
            "yes": [True, None] * 20,
        }
    )
    form = capped(31, compact=compact)
    form.write(frame.lazy(), tmp_path / "file.xlsx")
    read = []
    for header, *rows in sheets(tmp_path / "file.xlsx", "Data", "Data (2)"):
        assert header == frame.columns
        read += rows
    assert len(read) == frame.height
    for got, row in zip(read, frame.iter_rows(named=True), strict=True):
        assert got == [
            str(row["n"]), row["text"], row["moment"].strftime("%Y-%m-%d %H:%M:%S"), row["date"].isoformat(),
            str(row["wide"]), "30:00:00", "TRUE" if row["yes"] else "",
        ]  # fmt: skip


def test_libreoffice_computes_the_formulas_and_draws_the_rich_workbook(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"agent": [f"a{n % 3}" for n in range(9)], "cost": [n / 4 for n in range(9)], "runs": range(9)}
    )
    form = capped(
        8,
        first_row=3,
        title="Costs",
        borders=True,
        alternating_rows="FFF8E7",
        header_style={"fill": "333F4F", "align": "center"},
        columns={"cost": {"style": {"bold": True, "color": "1F4E78"}, "number_format": "0.00"}},
        formulas=[
            {"column": "double", "formula": "={cost}*2", "number_format": "0.00"},
            {"column": "runs", "formula": "=ROW()-4"},
            {"cell": "C1", "formula": '="<"&SUM({runs})&">"'},
        ],
        totals={"agent": {"label": "Total"}, "cost": "sum", "runs": "max", "double": {"formula": "=SUM({double})"}},
        conditional_formatting=[{"color_scale": {"columns": ["cost"]}}, {"data_bar": {"columns": ["runs"]}}],
        data_validation=[{"list": {"columns": ["agent"], "values": [f"a, {n}" for n in range(3)]}}],
        print={"orientation": "landscape", "footer": "Page &P"},
    )
    written(frame, tmp_path, form)
    (rows,) = sheets(tmp_path / "file.xlsx", "Data")
    assert rows[0] == ["Costs", "", "<6>", ""]
    assert rows[2:] == [
        ["agent", "cost", "runs", "double"],
        *([f"a{n % 3}", f"{n / 4:g}", str(n), f"{n / 2:g}"] for n in range(4)),
        ["Total", "1.5", "3", "3"],
    ]
    drawn = (converted(tmp_path / "file.xlsx", "pdf") / "file.pdf").read_bytes()
    assert drawn.startswith(b"%PDF")
    assert drawn.count(b"/Type/Page/") + drawn.count(b"/Type/Page ") + drawn.count(b"/Type/Page\n") >= 3  # sheets


def test_libreoffice_computes_a_filled_template(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": range(10), "status": ["ok", "failed"] * 5, "cost": [n / 2 for n in range(10)]})
    artifact = filled(frame, tmp_path, str(rich(tmp_path / "report.xlsm", macros=True)))
    data, summary = sheets(artifact.path, "Data", "Summary")
    assert data[0][:3] == ["Report", "", "22.5"]
    assert [row[1:5] for row in data[4:14]] == [
        [str(n), "failed" if n % 2 else "ok", f"{n / 2:g}", str(n)] for n in range(10)
    ]
    assert [row[0] for row in summary[:3:2]] == ["22.5", "5 of D5:D7"]
