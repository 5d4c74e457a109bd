"""How a sheet is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from export_pipeline.formats.excel.places import CellRange
from export_pipeline.formats.excel.strings import Printable
from export_pipeline.options import Options

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

    from export_pipeline.formats.excel.look import Look

_PAPERS = {"letter": 1, "tabloid": 3, "legal": 5, "executive": 7, "a3": 8, "a4": 9, "a5": 11, "b4": 12, "b5": 13}
"""ECMA-376, 18.3.1.63."""

Inches = Annotated[float, Field(ge=0, le=20)]
Line = Annotated[Printable, Field(max_length=200)]


class Margins(Options):
    """Margins of a printed page, in inches."""

    left: Inches = 0.7
    """Left."""
    right: Inches = 0.7
    """Right."""
    top: Inches = 0.75
    """Top."""
    bottom: Inches = 0.75
    """Bottom."""
    header: Inches = 0.3
    """Above the line at the top."""
    footer: Inches = 0.3
    """Below the line at the bottom."""


class PageLine(Options):
    """The line at the top or bottom of printed pages; `&P` is the page, `&N` their number, `&A` the sheet's name."""

    short: ClassVar[str | None] = "center"

    left: Line | None = None
    """On the left."""
    center: Line | None = None
    """In the middle."""
    right: Line | None = None
    """On the right."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if sum(len(part or "") + 2 for part in (self.left, self.center, self.right)) > 255:
            raise ValueError("the three parts of a page's line have more than 255 characters together")
        return self


class PrintSetup(Options):
    """How the sheets are printed."""

    orientation: Literal["portrait", "landscape"] = "portrait"
    """Which way the paper lies."""
    paper: Literal["letter", "tabloid", "legal", "executive", "a3", "a4", "a5", "b4", "b5"] = "a4"
    """Size of the paper."""
    fit_width: int | None = Field(None, ge=1, le=32_767)
    """Make it small enough for so many pages side by side."""
    fit_height: int | None = Field(None, ge=1, le=32_767)
    """Make it small enough for so many pages one below the other."""
    scale: int | None = Field(None, ge=10, le=400)
    """Size in percent, in place of fitting."""
    repeat_header: bool = True
    """Print the header row on each page."""
    area: CellRange | None = None
    """The cells to print; null: all."""
    header: PageLine = PageLine()
    """The line at the top of each page."""
    footer: PageLine = PageLine()
    """The line at the bottom of each page."""
    margins: Margins = Margins()
    """Margins in inches."""
    gridlines: bool = False
    """Print the lines between cells."""
    center: bool = False
    """Put the cells in the middle of the page's width."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.scale is not None and (self.fit_width or self.fit_height):
            raise ValueError("scale and fit_width or fit_height cannot both hold; leave one out")
        return self


def set_up_pages(sheet: Worksheet, look: Look, number: int, rows: int) -> None:  # noqa: ARG001
    """Set up the printing of a sheet where that is asked for."""
    asked = look.options.print
    if asked is None:
        return
    setup = sheet.page_setup
    setup.orientation, setup.paperSize, setup.scale = asked.orientation, _PAPERS[asked.paper], asked.scale
    if asked.fit_width or asked.fit_height:
        sheet.sheet_properties.pageSetUpPr.fitToPage = True
        setup.fitToWidth, setup.fitToHeight = asked.fit_width or 0, asked.fit_height or 0  # 0: as many as it takes
    if asked.repeat_header and look.headers is not None:
        sheet.print_title_rows = f"{look.options.first_row}:{look.options.first_row}"
    if asked.area:
        sheet.print_area = asked.area
    for line, given in ((sheet.oddHeader, asked.header), (sheet.oddFooter, asked.footer)):
        line.left.text, line.center.text, line.right.text = given.left, given.center, given.right
    for side, inches in asked.margins:
        setattr(sheet.page_margins, side, inches)
    sheet.print_options.gridLines = asked.gridlines or None
    sheet.print_options.horizontalCentered = asked.center or None
