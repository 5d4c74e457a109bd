"""What every rule of conditional formatting has: cells, and for most rules a look."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import model_validator

from export_pipeline.formats.excel.places import Place
from export_pipeline.formats.excel.styles import Color
from export_pipeline.options import Options

if TYPE_CHECKING:
    from export_pipeline.formats.excel.look import Look


class RuleStyle(Options):
    """What changes in the look of a cell that a rule is true for."""

    color: Color | None = None
    """Color of the text."""
    fill: Color | None = None
    """Color behind the text."""
    bold: bool = False
    """Bold text."""
    italic: bool = False
    """Italic text."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.color or self.fill or self.bold or self.italic):
            raise ValueError("the style changes nothing; give color, fill, bold or italic")
        return self

    def of_rule(self) -> dict[str, Any]:
        """Return the arguments of openpyxl's rules."""
        from openpyxl.styles import Font, PatternFill

        font = Font(name=None, sz=None, color=self.color, b=self.bold or None, i=self.italic or None)
        made: dict[str, Any] = {"font": font} if self.color or self.bold or self.italic else {}
        if self.fill:
            made["fill"] = PatternFill(fill_type="solid", bgColor=self.fill)  # a rule's fill is its background
        return made


class Rule(Place):
    """A rule and the cells that it holds for."""

    bare: ClassVar[bool] = False

    stop: bool = False
    """Where it is true, the rules after it do not count."""

    @abstractmethod
    def made(self, look: Look, first: str, row: int) -> Any:
        """Return openpyxl's rule; `first` is the address of the first of its cells, `row` the number of its row."""


class Styled(Rule):
    """A rule that gives cells a look."""

    style: RuleStyle = RuleStyle(color="9C0006", fill="FFC7CE")
    """The look of cells that it is true for."""

    def differential(self) -> Any:
        """Return the look as openpyxl's differential style."""
        from openpyxl.styles.differential import DifferentialStyle

        return DifferentialStyle(**self.style.of_rule())
