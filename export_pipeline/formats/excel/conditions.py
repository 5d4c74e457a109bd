"""Conditional formatting: cells look as their values say. Rules cost nothing per row."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from export_pipeline.formats.excel.formulas import MAX_LITERAL, FormulaText, check_names, filled
from export_pipeline.formats.excel.names import letters
from export_pipeline.formats.excel.rules import Rule, Styled
from export_pipeline.formats.excel.strings import Printable, held_text
from export_pipeline.formats.excel.styles import Color
from export_pipeline.options import OneOf

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

    from export_pipeline.formats.excel.look import Look

Scalar = int | FiniteFloat | Annotated[Printable, Field(max_length=MAX_LITERAL)]
Operator = Literal["eq", "ne", "gt", "ge", "lt", "le", "between", "not_between"]
_OPERATORS = {
    "eq": "equal", "ne": "notEqual", "gt": "greaterThan", "ge": "greaterThanOrEqual", "lt": "lessThan",
    "le": "lessThanOrEqual", "between": "between", "not_between": "notBetween",
}  # fmt: skip
_ICONS = {
    "arrows": "3Arrows", "arrows_gray": "3ArrowsGray", "flags": "3Flags", "traffic_lights": "3TrafficLights1",
    "signs": "3Signs", "symbols": "3Symbols", "symbols_circled": "3Symbols2",
    "arrows_4": "4Arrows", "rating_4": "4Rating",
    "traffic_lights_4": "4TrafficLights", "arrows_5": "5Arrows", "rating_5": "5Rating", "quarters": "5Quarters",
}  # fmt: skip


class CellRule(Styled):
    """Cells whose value compares so."""

    tag: ClassVar[str] = "cell"

    operator: Operator
    """`eq`, `ne`, `gt`, `ge`, `lt`, `le`, `between` or `not_between`."""
    value: Scalar
    """The value; the lower one of two. A text is compared as text."""
    upper: Scalar | None = None
    """The upper value of `between` and `not_between`."""

    @model_validator(mode="after")
    def _two_values(self) -> Self:
        if self.operator.endswith("between") != (self.upper is not None):
            raise ValueError("between and not_between need value and upper; the other operators value only")
        return self

    def made(self, look: Look, first: str, row: int) -> Any:  # noqa: ARG002
        """Return openpyxl's rule."""
        from openpyxl.formatting.rule import Rule as Made

        values = [literal(value) for value in (self.value, self.upper) if value is not None]
        return Made("cellIs", operator=_OPERATORS[self.operator], formula=values, dxf=self.differential())


class FormulaRule(Styled):
    """Cells for which a formula is true."""

    tag: ClassVar[str] = "formula"

    formula: FormulaText
    """For the first row; `{cost}` is the column's cell in the row: `={cost}>{budget}`."""

    def check(self, option: str, names: Collection[str]) -> None:
        """Refuse columns that are not there."""
        super().check(option, names)
        check_names(option, self.formula, names)

    def made(self, look: Look, first: str, row: int) -> Any:  # noqa: ARG002
        """Return openpyxl's rule."""
        from openpyxl.formatting.rule import Rule as Made

        formula = filled(self.formula, look.names, lambda n: f"${letters(n)}{row}", str(row))
        return Made("expression", formula=[held_text(formula)], dxf=self.differential())


class Contains(Styled):
    """Cells whose text contains another one, in upper or lower case."""

    tag: ClassVar[str] = "contains"

    text: Printable = Field(min_length=1, max_length=MAX_LITERAL)
    """What is looked for."""
    negate: bool = False
    """The cells that do not contain it."""

    def made(self, look: Look, first: str, row: int) -> Any:  # noqa: ARG002
        """Return openpyxl's rule."""
        from openpyxl.formatting.rule import Rule as Made

        plain = re.sub("[~*?]", r"~\g<0>", self.text)  # SEARCH takes them for any text
        found, kind = (
            f"ISERROR(SEARCH({literal(plain)},{first}))",
            "notContainsText" if self.negate else "containsText",
        )
        formula, operator = (found, "notContains") if self.negate else (f"NOT({found})", "containsText")
        return Made(kind, operator=operator, text=held_text(self.text), formula=[formula], dxf=self.differential())


class Duplicates(Styled):
    """Cells whose value is there more than once."""

    tag: ClassVar[str] = "duplicates"

    unique: bool = False
    """The cells whose value is there once."""

    def made(self, look: Look, first: str, row: int) -> Any:  # noqa: ARG002
        """Return openpyxl's rule."""
        from openpyxl.formatting.rule import Rule as Made

        return Made("uniqueValues" if self.unique else "duplicateValues", dxf=self.differential())


class Top(Styled):
    """The greatest or least values."""

    tag: ClassVar[str] = "top"

    count: int = Field(10, ge=1, le=1_000)
    """How many, or how many percent."""
    percent: bool = False
    """Count in percent of the cells."""
    bottom: bool = False
    """The least ones."""

    @model_validator(mode="after")
    def _part(self) -> Self:
        if self.percent and self.count > 100:
            raise ValueError("count is more than 100 percent")
        return self

    def made(self, look: Look, first: str, row: int) -> Any:  # noqa: ARG002
        """Return openpyxl's rule."""
        from openpyxl.formatting.rule import Rule as Made

        return Made(
            "top10", rank=self.count, percent=self.percent or None, bottom=self.bottom or None, dxf=self.differential()
        )


class ColorScale(Rule):
    """Colors from the least to the greatest value."""

    tag: ClassVar[str] = "color_scale"

    low: Color = "F8696B"
    """Color of the least value."""
    middle: Color | None = "FFEB84"
    """Color of the middle one; null: two colors only."""
    high: Color = "63BE7B"
    """Color of the greatest value."""

    def made(self, look: Look, first: str, row: int) -> Any:  # noqa: ARG002
        """Return openpyxl's rule."""
        from openpyxl.formatting.rule import ColorScaleRule

        middle = {"mid_type": "percentile", "mid_value": 50, "mid_color": self.middle} if self.middle else {}
        return ColorScaleRule(start_type="min", start_color=self.low, end_type="max", end_color=self.high, **middle)


class DataBar(Rule):
    """Bars as long as the values."""

    tag: ClassVar[str] = "data_bar"

    color: Color = "638EC6"
    """Color of the bars."""
    minimum: FiniteFloat | None = None
    """The value of no bar; null: the least one."""
    maximum: FiniteFloat | None = None
    """The value of the longest bar; null: the greatest one."""
    values: bool = True
    """Show the values, too."""

    def made(self, look: Look, first: str, row: int) -> Any:  # noqa: ARG002
        """Return openpyxl's rule."""
        from openpyxl.formatting.rule import DataBarRule

        low = ("min", None) if self.minimum is None else ("num", self.minimum)
        high = ("max", None) if self.maximum is None else ("num", self.maximum)
        return DataBarRule(*low, *high, color=self.color, showValue=self.values)


class IconSet(Rule):
    """Icons for low, middle and high values."""

    tag: ClassVar[str] = "icon_set"

    icons: Literal[
        "arrows", "arrows_gray", "flags", "traffic_lights", "signs", "symbols", "symbols_circled", "arrows_4",
        "rating_4", "traffic_lights_4", "arrows_5", "rating_5", "quarters",
    ] = "traffic_lights"  # fmt: skip
    """Which icons."""
    limits: list[FiniteFloat] | None = None
    """Where the second, third, ... icon begins; null: equal parts, in percent."""
    reverse: bool = False
    """The best icon for the least values."""
    values: bool = True
    """Show the values, too."""

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        wanted = int(_ICONS[self.icons][0]) - 1
        if self.limits is not None and (len(self.limits) != wanted or self.limits != sorted(self.limits)):
            raise ValueError(f"the icons {self.icons} need {wanted} limits, in rising order")
        return self

    def made(self, look: Look, first: str, row: int) -> Any:  # noqa: ARG002
        """Return openpyxl's rule."""
        from openpyxl.formatting.rule import FormatObject
        from openpyxl.formatting.rule import IconSet as Made
        from openpyxl.formatting.rule import Rule as MadeRule

        name = _ICONS[self.icons]
        count = int(name[0])
        # The first one always begins at the least value.
        steps = [FormatObject("percent", 0)]
        if self.limits is None:
            steps += [FormatObject("percent", round(100 * n / count)) for n in range(1, count)]
        else:
            steps += [FormatObject("num", limit) for limit in self.limits]
        icons = Made(iconSet=name, cfvo=steps, reverse=self.reverse or None, showValue=None if self.values else False)
        return MadeRule("iconSet", iconSet=icons)


AnyRule = Annotated[
    CellRule | FormulaRule | Contains | Duplicates | Top | ColorScale | DataBar | IconSet, OneOf("conditional format")
]


def literal(value: Scalar) -> str:
    """Return a value as formulas write it."""
    return '"' + held_text(value).replace('"', '""') + '"' if isinstance(value, str) else repr(value)


def add_conditions(sheet: Worksheet, look: Look, number: int, rows: int) -> None:  # noqa: ARG001
    """Give a sheet its rules, the first one counting most."""
    for rule in look.options.conditional_formatting:
        cells = rule.cells(look, rows)
        first = cells.split(":")[0].split(" ")[0]
        made = rule.made(look, first, rule.top(look))
        made.stopIfTrue = rule.stop or None
        sheet.conditional_formatting.add(cells, made)
