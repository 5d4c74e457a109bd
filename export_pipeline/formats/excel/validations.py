"""Data validation: what Excel lets people type into cells. The exported values themselves are not checked by it."""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from export_pipeline.formats.excel.formulas import FormulaText, check_names, filled
from export_pipeline.formats.excel.names import letters
from export_pipeline.formats.excel.places import CellRange, Place, place_of
from export_pipeline.formats.excel.strings import Printable, held_text
from export_pipeline.options import OneOf

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

    from export_pipeline.formats.excel.look import Look

LISTS = "Lists"
"""The hidden sheet of lists that are too long to stand in a rule."""
_MAX_LIST = 255
_EPOCH = dt.date(1899, 12, 30)
_OPERATORS = {
    "between": "between", "not_between": "notBetween", "eq": "equal", "ne": "notEqual", "gt": "greaterThan",
    "lt": "lessThan", "ge": "greaterThanOrEqual", "le": "lessThanOrEqual",
}  # fmt: skip

Title = Annotated[Printable, Field(min_length=1, max_length=32)]
Message = Annotated[Printable, Field(min_length=1, max_length=255)]


class Validation(Place):
    """What may be typed into these cells, and what Excel says."""

    bare: ClassVar[bool] = False

    allow_blank: bool = True
    """A cell may be empty."""
    input_title: Title | None = None
    """Title of the hint that shows at the cell."""
    input_message: Message | None = None
    """The hint that shows at the cell."""
    error_title: Title | None = None
    """Title of the message about a wrong value."""
    error_message: Message | None = None
    """The message about a wrong value; null: Excel's own."""
    on_error: Literal["stop", "warning", "information"] = "stop"
    """What becomes of a wrong value: refused, kept if the person insists, or kept."""

    @abstractmethod
    def rule(self, look: Look, row: int, lists: Sequence[str]) -> dict[str, Any]:
        """Return what openpyxl's rule says; `row` is that of the first cell, `lists` say where long lists stand."""


class Compared(Validation):
    """A rule that compares with one value or two."""

    kind: ClassVar[str]

    operator: Literal["between", "not_between", "eq", "ne", "gt", "ge", "lt", "le"] = "between"
    """How the value compares."""

    value: Any
    upper: Any = None

    @model_validator(mode="after")
    def _two_values(self) -> Self:
        if self.operator.endswith("between") != (self.upper is not None):
            raise ValueError("between and not_between need value and upper; the other operators value only")
        return self

    def rule(self, look: Look, row: int, lists: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        """Return openpyxl's rule."""
        low, high = (None if limit is None else self.text(limit) for limit in (self.value, self.upper))
        return {"type": self.kind, "operator": _OPERATORS[self.operator], "formula1": low, "formula2": high}

    def text(self, limit: Any) -> str:
        """Return a limit as a formula."""
        return str(limit)


class Whole(Compared):
    """Whole numbers."""

    tag: ClassVar[str] = "whole"
    kind: ClassVar[str] = "whole"

    value: int
    """The limit; the lower one of two."""
    upper: int | None = None
    """The upper limit."""


class TextLength(Whole):
    """Texts of a length."""

    tag: ClassVar[str] = "text_length"
    kind: ClassVar[str] = "textLength"


class DecimalNumber(Compared):
    """Numbers."""

    tag: ClassVar[str] = "decimal"
    kind: ClassVar[str] = "decimal"

    value: FiniteFloat
    """The limit; the lower one of two."""
    upper: FiniteFloat | None = None
    """The upper limit."""


class DateLimits(Compared):
    """Dates."""

    tag: ClassVar[str] = "date"
    kind: ClassVar[str] = "date"

    value: dt.date = Field(ge=dt.date(1900, 3, 1))
    """The limit; the lower one of two."""
    upper: dt.date | None = Field(None, ge=dt.date(1900, 3, 1))
    """The upper limit."""

    def text(self, limit: dt.date) -> str:
        """Return a date as its number."""
        return str((limit - _EPOCH).days)


class CustomRule(Validation):
    """Values for which a formula is true."""

    tag: ClassVar[str] = "custom"

    formula: FormulaText
    """For the first row; `{cost}` is the column's cell in the row: `={cost}<={budget}`."""

    def check(self, option: str, names: Collection[str]) -> None:
        """Refuse columns that are not there."""
        super().check(option, names)
        check_names(option, self.formula, names)

    def rule(self, look: Look, row: int, lists: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        """Return openpyxl's rule."""
        formula = filled(self.formula, look.names, lambda n: f"${letters(n)}{row}", str(row))
        return {"type": "custom", "formula1": held_text(formula)}


class OneOfList(Validation):
    """Values from a list, with a button to choose them."""

    tag: ClassVar[str] = "list"

    values: list[Printable] = Field(default_factory=list, max_length=10_000)
    """The values. What is longer than a rule can hold stands on a hidden sheet."""
    source: CellRange | None = None
    """Cells of the same sheet that hold the values, in place of a list."""

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if bool(self.values) == (self.source is not None):
            raise ValueError("a list needs either values: [...] or source: L1:L9")
        corners = list(zip(*map(place_of, self.source.split(":")), strict=True)) if self.source else []
        if corners and all(len(set(ends)) > 1 for ends in corners):
            raise ValueError(f"source {self.source} has several rows and columns; a list is one of them, such as L1:L9")
        return self

    @property
    def inline(self) -> bool:
        """Whether the list stands in the rule itself: at most 255 characters, and none that would divide it."""
        plain = not any("," in value or '"' in value or value != value.strip() for value in self.values)
        return plain and len(",".join(self.values).encode("utf-16-le")) // 2 <= _MAX_LIST and all(self.values)

    def rule(self, look: Look, row: int, lists: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        """Return openpyxl's rule."""
        if self.source:
            where = ":".join(f"${cell.rstrip('0123456789')}${cell.lstrip('ABCDEFGHIJKLMNOPQRSTUVWXYZ')}"
                             for cell in self.source.split(":"))  # fmt: skip
            return {"type": "list", "formula1": where}
        if self.inline:
            return {"type": "list", "formula1": f'"{held_text(",".join(self.values))}"'}
        return {"type": "list", "formula1": lists[_long(look).index(self)]}


AnyValidation = Annotated[
    OneOfList | Whole | DecimalNumber | DateLimits | TextLength | CustomRule, OneOf("data validation")
]


def add_validations(sheet: Worksheet, look: Look, number: int, rows: int) -> None:  # noqa: ARG001
    """Give a sheet its rules."""
    from openpyxl.worksheet.datavalidation import DataValidation

    lists = [
        f"{LISTS}!${letters(n)}$1:${letters(n)}${len(one.values)}" for n, one in enumerate(_long(look), look.lists)
    ]
    for asked in look.options.data_validation:
        made = DataValidation(
            **asked.rule(look, asked.top(look), lists),
            allow_blank=asked.allow_blank,
            showErrorMessage=True,  # else the rule stops nothing
            showInputMessage=True,
            promptTitle=_held(asked.input_title),
            prompt=_held(asked.input_message),
            errorTitle=_held(asked.error_title),
            error=_held(asked.error_message),
            errorStyle=asked.on_error,
        )
        for cells in asked.cells(look, rows).split(" "):
            made.add(cells)
        sheet.add_data_validation(made)


def _held(text: str | None) -> str | None:
    return None if text is None else held_text(text)


def add_lists(book: Workbook, looks: Sequence[Look]) -> None:
    """Add the hidden sheet of long lists, where there are any, behind all others."""
    long = [one for look in looks for one in _long(look)]
    if not long:
        return
    sheet = book.create_sheet(LISTS)
    sheet.sheet_state = "hidden"
    for n, one in enumerate(long, 1):
        for row, value in enumerate(one.values, 1):
            cell = sheet.cell(row, n, held_text(value))
            cell.data_type = "s"  # also where it looks like a formula


def _long(look: Look) -> list[OneOfList]:
    return long_lists(look.options.data_validation)


def long_lists(asked: Sequence[AnyValidation]) -> list[OneOfList]:
    """Return the lists that stand on the hidden sheet."""
    return [one for one in asked if isinstance(one, OneOfList) and one.values and not one.inline]
