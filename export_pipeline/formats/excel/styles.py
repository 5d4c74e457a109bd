"""What a sheet's header and numbers look like."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import AfterValidator, Field

from export_pipeline.options import Options

_BUILT_IN = {"Light": 21, "Medium": 28, "Dark": 11}


def _color(text: str) -> str:
    if not re.fullmatch(r"#?[0-9A-Fa-f]{6}", text):
        raise ValueError(f"{text!r} is no color; write six hex digits such as 1F4E78")
    return text.removeprefix("#").upper()


def _table_style(name: str) -> str:
    known = re.fullmatch(r"TableStyle(Light|Medium|Dark)([1-9]\d?)", name)
    if name != "none" and not (known and int(known[2]) <= _BUILT_IN[known[1]]):
        styles = ", ".join(f"TableStyle{kind}1 to {count}" for kind, count in _BUILT_IN.items())
        raise ValueError(f"{name!r} is no table style; choose one of {styles}, or none")
    return name


def _format_code(code: str) -> str:
    if not code.strip() or len(code) > 255 or re.search("[\x00-\x1f]", code):
        raise ValueError(f"{code!r} is no number format; write one of Excel's, such as #,##0.00 or yyyy-mm-dd")
    return code


def _cell_address(text: str) -> str:
    found = re.fullmatch(r"([A-Z]{1,3})([1-9][0-9]{0,6})", text)
    column = 0
    for letter in found[1] if found else "":
        column = column * 26 + ord(letter) - 64
    if not found or column > 16_384 or int(found[2]) > 1_048_576:
        raise ValueError(f"{text!r} is no cell of a sheet; write one such as B2")
    return text


Color = Annotated[str, AfterValidator(_color)]
"""Six hex digits: red, green, blue."""
TableStyle = Annotated[str, AfterValidator(_table_style)]
FormatCode = Annotated[str, AfterValidator(_format_code)]
CellAddress = Annotated[str, AfterValidator(_cell_address)]


class HeaderStyle(Options):
    """The look of the header row."""

    bold: bool = True
    """Bold text."""
    italic: bool = False
    """Italic text."""
    color: Color = "FFFFFF"
    """Color of the text."""
    fill: Color | None = "1F4E78"
    """Color behind the text; null for none."""
    size: float = Field(11, ge=1, le=409)
    """Size of the text in points."""
    align: Literal["left", "center", "right"] | None = None
    """Where the text stands in its cell; null: on the left."""
    wrap: bool = False
    """Break long headers into lines."""

    def of_cell(self) -> dict[str, Any]:
        """Return the properties of a cell of openpyxl."""
        from openpyxl.styles import Alignment, Font, PatternFill

        return {
            "font": Font(name="Calibri", bold=self.bold, italic=self.italic, color=self.color, size=self.size),
            "fill": PatternFill("solid", fgColor=self.fill) if self.fill else PatternFill(),
            "alignment": Alignment(horizontal=self.align, wrap_text=self.wrap or None),
        }


class NumberFormats(Options):
    """How values show, by type, in Excel's own format codes. The values themselves are not changed."""

    integer: FormatCode = "General"
    """Whole numbers; `#,##0` shows thousands."""
    float: FormatCode = "General"
    """Floating-point numbers."""
    decimal: FormatCode | None = None
    """Decimals; null: with the digits of their scale up to 4, else General."""
    date: FormatCode = "yyyy-mm-dd"
    """Dates."""
    datetime: FormatCode = "yyyy-mm-dd hh:mm:ss"
    """Dates with time; `yyyy-mm-dd hh:mm:ss.000` shows milliseconds."""
    time: FormatCode = "hh:mm:ss"
    """Times of day."""
    duration: FormatCode = "[h]:mm:ss"
    """Durations."""

    def code(self, dtype: pl.DataType) -> str | None:
        """Return the format of cells of a (rendered) type; None for General."""
        code: str | None = None
        if dtype.is_integer():
            code = self.integer
        elif dtype.is_float():
            code = self.float
        elif isinstance(dtype, pl.Decimal):
            fixed = f"0.{'0' * dtype.scale}" if 1 <= dtype.scale <= 4 else "General"
            code = self.decimal or fixed
        elif dtype.is_temporal():
            names = {pl.Date: self.date, pl.Datetime: self.datetime, pl.Time: self.time, pl.Duration: self.duration}
            code = names[dtype.base_type()]
        return None if code == "General" else code
