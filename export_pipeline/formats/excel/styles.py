"""What the cells of a sheet look like: fonts, fills, lines, number formats."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer

from export_pipeline.formats.excel.strings import Printable
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
    if not code.strip() or len(code) > 255 or re.search("[\x00-\x1f\ufffe\uffff]", code):
        raise ValueError(f"{code!r} is no number format; write one of Excel's, such as #,##0.00 or yyyy-mm-dd")
    return code


def valid_address(text: str) -> str:
    """Return the address of a cell that a sheet has; else ValueError."""
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
CellAddress = Annotated[str, AfterValidator(valid_address)]
Width = Annotated[float, Field(gt=0, le=255)]
Line = Literal["hair", "thin", "medium", "thick", "dashed", "dotted", "double"]


class Border(Options):
    """Lines around each cell."""

    short: ClassVar[str | None] = "line"

    line: Line = "thin"
    """Kind of the lines."""
    color: Color = "BFBFBF"
    """Color of the lines."""

    @model_serializer(mode="wrap")
    def _shortest(self, dump: SerializerFunctionWrapHandler) -> Any:
        """Say `thin` where only defaults are left: an empty mapping would be shown as no border at all."""
        return dump(self) or self.line

    def of_cell(self) -> Any:
        """Return the border of a cell of openpyxl."""
        from openpyxl.styles import Border as Made
        from openpyxl.styles import Side

        side = Side(self.line, color=self.color)
        return Made(left=side, right=side, top=side, bottom=side)


class CellStyle(Options):
    """The look of cells; what is not given is Excel's own."""

    font: Printable = Field("Calibri", min_length=1, max_length=31)
    """Name of the font."""
    size: float = Field(11, ge=1, le=409)
    """Size of the text in points."""
    bold: bool = False
    """Bold text."""
    italic: bool = False
    """Italic text."""
    underline: bool = False
    """Underlined text."""
    strike: bool = False
    """Text that is struck through."""
    color: Color | None = None
    """Color of the text; null: black."""
    fill: Color | None = None
    """Color behind the text; null for none."""
    align: Literal["left", "center", "right", "justify"] | None = None
    """Where the text stands in its cell; null: text on the left, numbers on the right."""
    vertical: Literal["top", "center", "bottom"] | None = None
    """Where the text stands in a high cell; null: at the bottom."""
    indent: int = Field(0, ge=0, le=250)
    """Steps that the text is moved in."""
    wrap: bool = False
    """Break long texts into lines."""
    border: Border | None = None
    """Lines around each cell: `thin`, or `{line: medium, color: 1F4E78}`; null: as `borders` says."""

    @property
    def covers(self) -> bool:
        """Whether a cell without a value shows it, too."""
        return self.fill is not None or self.border is not None

    def of_cell(self) -> dict[str, Any]:
        """Return the properties of a cell of openpyxl."""
        from openpyxl.styles import Alignment, Font, PatternFill

        if self == CellStyle():
            return {}
        return {
            "font": Font(
                name=self.font,
                size=self.size,
                bold=self.bold,
                italic=self.italic,
                underline="single" if self.underline else None,
                strike=self.strike or None,
                color=self.color,
            ),
            "fill": PatternFill("solid", fgColor=self.fill) if self.fill else PatternFill(),
            "alignment": Alignment(
                horizontal=self.align, vertical=self.vertical, indent=self.indent, wrap_text=self.wrap or None
            ),
        } | ({"border": self.border.of_cell()} if self.border else {})


class HeaderStyle(CellStyle):
    """The look of the header row."""

    bold: bool = True
    """Bold text."""
    color: Color | None = "FFFFFF"
    """Color of the text."""
    fill: Color | None = "1F4E78"
    """Color behind the text; null for none."""


class ColumnOptions(Options):
    """How one column looks."""

    header: str | None = Field(None, min_length=1, max_length=255)
    """Text of its header; null: its name."""
    width: Width | None = None
    """Width in characters; null: as `column_widths` says."""
    number_format: FormatCode | None = None
    """How its values show; null: as `column_formats` and `number_formats` say."""
    style: CellStyle | None = None
    """The look of its cells, in place of `data_style`."""
    hidden: bool = False
    """Hide it; its values are in the file."""


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
