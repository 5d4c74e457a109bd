"""Charts over the rows of a sheet, written by openpyxl: each names columns, its ranges end with the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import polars as pl
from pydantic import Field, model_validator

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.formats.excel.names import MAX_COLUMNS, letters
from export_pipeline.formats.excel.styles import CellAddress, Color
from export_pipeline.options import Options

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

    from export_pipeline.formats.excel.look import Look

_ROW_HEIGHT = 0.53
"""Centimetres of a row of usual height."""
# kind -> openpyxl's class and what is set on it
_KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "column": ("BarChart", {"type": "col", "grouping": "clustered"}),
    "column_stacked": ("BarChart", {"type": "col", "grouping": "stacked", "overlap": 100}),
    "bar": ("BarChart", {"type": "bar", "grouping": "clustered"}),
    "bar_stacked": ("BarChart", {"type": "bar", "grouping": "stacked", "overlap": 100}),
    "line": ("LineChart", {"grouping": "standard"}),
    "area": ("AreaChart", {"grouping": "standard"}),
    "pie": ("PieChart", {"varyColors": True}),
    "scatter": ("ScatterChart", {"style": 13, "scatterStyle": "lineMarker"}),
}
_SIDES = {"right": "r", "left": "l", "top": "t", "bottom": "b"}


class Chart(Options):
    """A chart over columns of the sheet. Where rows go on in further sheets, each has the chart of its own rows."""

    kind: Literal["column", "column_stacked", "bar", "bar_stacked", "line", "area", "pie", "scatter"] = "column"
    """What is drawn: upright columns, lying bars, lines, areas, a pie, or points by two numbers."""
    x: str
    """The column of the categories; of the horizontal values for `scatter`."""
    values: Annotated[tuple[str, ...], Field(min_length=1, max_length=255)]
    """The columns of numbers that are drawn, one series each; a pie has one."""
    title: str | None = None
    """Text above the chart."""
    x_title: str | None = None
    """Text at the axis of `x`."""
    y_title: str | None = None
    """Text at the axis of the values."""
    legend: Literal["right", "left", "top", "bottom", "none"] = "right"
    """Where the names of the series stand."""
    width: float = Field(15, ge=1, le=200)
    """Width in centimetres."""
    height: float = Field(7.5, ge=1, le=200)
    """Height in centimetres."""
    anchor: CellAddress | None = None
    """The cell of the upper left corner, such as `H2`; null: right of the data, below the charts before it."""
    colors: tuple[Color, ...] = ()
    """Colors of the series, in order; those without one have Excel's."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Chart:
        if self.kind == "pie":
            if len(self.values) > 1:
                raise ValueError("a pie draws one column of values; choose another kind, or one chart for each")
            axes = next((name for name in ("x_title", "y_title", "colors") if getattr(self, name)), None)
            if axes:
                raise ValueError(f"a pie has no {axes}: it has no axes, and a color for each slice; leave it out")
        if len(self.colors) > len(self.values):
            raise ValueError(f"there are {len(self.colors)} colors for {len(self.values)} columns of values")
        return self

    def check(self, schema: pl.Schema) -> None:
        """Refuse columns that are not there, and values that are no numbers."""
        for name in (self.x, *self.values):
            if name not in schema:
                raise ConfigError(f"excel: charts names an unknown column {name!r}; {did_you_mean(name, schema)}")
        for name in self.values:
            if not schema[name].is_numeric():
                raise ConfigError(
                    f"excel: charts draws {name!r}, which holds {schema[name]}, not numbers",
                    cure="Draw a column of numbers.",
                )
        if self.kind == "scatter" and not (schema[self.x].is_numeric() or schema[self.x].is_temporal()):
            raise ConfigError(
                f"excel: scatter places points by {self.x!r}, which holds {schema[self.x]}, not numbers or times",
                cure="Choose another x, or the kind line.",
            )

    def add(self, sheet: Worksheet, look: Look, rows: int, below: float) -> float:
        """Put the chart onto a sheet of so many rows of data; return how far it reaches, in centimetres.

        `below` says where it goes if it has no anchor: so many centimetres under the row of the header.
        """
        import openpyxl.chart as charts
        from openpyxl.chart.data_source import AxDataSource, NumDataSource, NumRef
        from openpyxl.chart.series import Series, SeriesLabel, XYSeries
        from openpyxl.chart.shapes import GraphicalProperties
        from openpyxl.utils import quote_sheetname

        made, options = _KINDS[self.kind]
        chart: Any = getattr(charts, made)()
        for option, value in options.items():
            setattr(chart, option, value)

        def area(name: str) -> str:
            # Written here: a Reference of openpyxl ends at row 1,000,000, a sheet does not.
            column = letters(look.names.index(name))
            return f"{quote_sheetname(sheet.title)}!${column}${look.first}:${column}${look.last(rows)}"

        for n, name in enumerate(self.values):
            scatter = self.kind == "scatter"
            values, x = NumDataSource(NumRef(area(name))), AxDataSource(NumRef(area(self.x)))
            series = XYSeries(idx=n, xVal=x, yVal=values) if scatter else Series(idx=n, cat=x, val=values)
            series.order, series.tx, series.spPr = n, SeriesLabel(v=name), GraphicalProperties()
            if self.kind == "line":
                series.smooth = False  # the default curves, through values that are not there
            self._color(series, n)
            chart.series.append(series)
        self._texts(chart)
        chart.width, chart.height = self.width, self.height
        row = look.options.first_row + int(below / _ROW_HEIGHT) + 1
        sheet.add_chart(chart, self.anchor or f"{letters(min(len(look.names) + 1, MAX_COLUMNS - 1))}{row}")
        return below if self.anchor else below + self.height + _ROW_HEIGHT

    def _color(self, series: Any, number: int) -> None:
        from openpyxl.chart.marker import Marker
        from openpyxl.drawing.colors import ColorChoice, SchemeColor

        color = self.colors[number] if number < len(self.colors) else None
        if self.kind == "scatter":  # points, not lines from one to the next
            series.marker = Marker("circle", size=5)
            series.graphicalProperties.line.noFill = True
            # Markers without a color of their own are white in LibreOffice: those of Excel's theme, then.
            fill = color or ColorChoice(schemeClr=SchemeColor(val=f"accent{number % 6 + 1}"))
            series.marker.graphicalProperties.solidFill = fill
        elif color and self.kind == "line":
            series.graphicalProperties.line.solidFill = color
        elif color:
            series.graphicalProperties.solidFill = color

    def _texts(self, chart: Any) -> None:
        chart.title = self.title
        if self.legend == "none":
            chart.legend = None
        else:
            chart.legend.position = _SIDES[self.legend]
        if self.kind != "pie":
            chart.x_axis.title, chart.y_axis.title = self.x_title, self.y_title
            chart.x_axis.delete = chart.y_axis.delete = False  # else Excel hides them


def add_charts(sheet: Worksheet, look: Look, _number: int, rows: int) -> None:
    """Put all charts onto a sheet."""
    below = 0.0
    for chart in look.options.charts:
        below = chart.add(sheet, look, rows, below)
