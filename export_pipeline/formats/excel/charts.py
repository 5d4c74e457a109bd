"""Charts over the rows of a sheet or over a pivot table, written by openpyxl; their ranges end with the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import polars as pl
from pydantic import Field, model_validator

from export_pipeline.errors import ConfigError, FormatError, did_you_mean
from export_pipeline.formats.excel.names import MAX_COLUMNS, letters
from export_pipeline.formats.excel.pivots.options import PivotTable, check_drawn
from export_pipeline.formats.excel.strings import Printable, held_text
from export_pipeline.formats.excel.styles import CellAddress, Color
from export_pipeline.options import Options
from export_pipeline.schemas import name_of

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

    from export_pipeline.formats.excel.look import Look
    from export_pipeline.formats.excel.pivots.layout import Placed

_MAX_SERIES = 255
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
    """A chart over columns of the sheet, or over a pivot table, on whose sheet it stands.

    Where rows go on in further sheets, each has the chart of its own rows.
    """

    kind: Literal["column", "column_stacked", "bar", "bar_stacked", "line", "area", "pie", "scatter"] = "column"
    """What is drawn: upright columns, lying bars, lines, areas, a pie, or points by two numbers."""
    of: str | None = None
    """The name of a pivot table: its rows are the categories, each of its columns is a series. Several columns of rows
    are drawn where `layout: tabular` and `subtotals: false` leave no other rows between. Null: the sheet's rows."""
    x: str | None = None
    """The column of the categories; of the horizontal values for `scatter`. Not for pivot tables."""
    values: Annotated[tuple[str, ...], Field(max_length=255)] = ()
    """The columns of numbers that are drawn, one series each; a pie has one. Of a pivot table, the
    labels of its values; none: all."""
    title: Printable | None = None
    """Text above the chart."""
    x_title: Printable | None = None
    """Text at the axis of `x`."""
    y_title: Printable | None = None
    """Text at the axis of the values."""
    legend: Literal["right", "left", "top", "bottom", "none"] = "right"
    """Where the names of the series stand."""
    width: float = Field(15, ge=1, le=200)
    """Width in centimetres."""
    height: float = Field(7.5, ge=1, le=200)
    """Height in centimetres."""
    anchor: CellAddress | None = None
    """The cell of the upper left corner, such as `H2`; null: right of what it draws, below the charts before it."""
    colors: tuple[Color, ...] = ()
    """Colors of the series, in order; those without one have Excel's."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Chart:
        if self.of is None and (self.x is None or not self.values):
            raise ValueError("a chart names x and values, columns of the sheet; or of, a pivot table")
        if self.of is not None and (self.x is not None or self.kind == "scatter"):
            why = "scatter places points by numbers" if self.kind == "scatter" else "x is for columns of the sheet"
            raise ValueError(f"a chart of a pivot table has the pivot table's rows as categories; {why}: leave it out")
        if self.kind == "pie":
            if len(self.values) > 1:
                raise ValueError("a pie draws one column of values; choose another kind, or one chart for each")
            axes = next((name for name in ("x_title", "y_title", "colors") if getattr(self, name)), None)
            if axes:
                raise ValueError(f"a pie has no {axes}: it has no axes, and a color for each slice; leave it out")
        if self.of is None and len(self.colors) > len(self.values):
            raise ValueError(f"there are {len(self.colors)} colors for {len(self.values)} columns of values")
        return self

    def check(self, schema: pl.Schema, pivots: Sequence[PivotTable] = ()) -> None:
        """Refuse columns and pivot tables that are not there or cannot be drawn: ConfigError."""
        if self.of is not None:
            check_drawn(self.kind, self.of, self.values, pivots)
            return
        x = self.x or ""
        for name in (x, *self.values):
            if name not in schema:
                raise ConfigError(f"excel: charts names an unknown column {name!r}; {did_you_mean(name, schema)}")
        for name in self.values:
            if not schema[name].is_numeric():
                raise ConfigError(
                    f"excel: charts draws {name!r}, which holds {name_of(schema[name])}, not numbers",
                    cure="Draw a column of numbers.",
                )
        if self.kind == "scatter" and not (schema[x].is_numeric() or schema[x].is_temporal()):
            raise ConfigError(
                f"excel: scatter places points by {x!r}, which holds {name_of(schema[x])}, not numbers or times",
                cure="Choose another x, or the kind line.",
            )

    def add(self, sheet: Worksheet, look: Look, rows: int, below: float) -> float:
        """Put the chart onto a sheet of so many rows of data; return how far it reaches, in centimetres.

        `below` says where it goes if it has no anchor: so many centimetres under the row of the header.
        """

        def area(name: str) -> str:
            return _area(sheet, look.names.index(name), look.first, look.last(rows))

        named = dict(zip(look.names, look.headers or look.names, strict=True))
        drawn = [(named[name], area(name)) for name in self.values]
        row = look.options.first_row + int(below / _ROW_HEIGHT) + 1
        corner = f"{letters(min(len(look.names) + 1, MAX_COLUMNS - 1))}{row}"
        return self._draw(sheet, area(self.x or ""), drawn, corner, below)

    def add_summary(self, sheet: Worksheet, placed: Placed, right: int, below: float) -> float:
        """Put the chart of a pivot table onto its sheet, right of column `right`, like `add`."""
        table, labels = placed.computed.table, placed.computed.table.captions(dict(placed.headers))
        wanted = {label.casefold() for label in self.values} or {label.casefold() for label in labels}
        drawn = [
            (placed.caption(line), n)
            for n, line in enumerate(placed.columns, placed.left + placed.labels - 1)
            if line.kind == "data" and labels[line.value].casefold() in wanted
        ]
        if len(drawn) > _MAX_SERIES:
            raise FormatError(
                f"excel: a chart of pivot_tables {table.name!r} would have {len(drawn):,} series, more "
                f"than {_MAX_SERIES}",
                cure="Choose another column for its columns, or name the values that are drawn.",
            )
        last = placed.last - table.column_totals
        begin = placed.left - 1
        categories = _area(sheet, begin, placed.first, last, begin + placed.labels - 1)
        series = [(text, _area(sheet, n, placed.first, last)) for text, n in drawn]
        corner = f"{letters(min(right + 1, MAX_COLUMNS - 1))}{int(below / _ROW_HEIGHT) + 2}"
        return self._draw(sheet, categories, series, corner, below, levels=placed.labels)

    def _draw(
        self,
        sheet: Worksheet,
        categories: str,
        drawn: Sequence[tuple[str, str]],
        corner: str,
        below: float,
        levels: int = 1,
    ) -> float:
        """Draw series, each a name and cells, at the anchor or else this corner; return how far the chart reaches.

        Categories of several `levels` stand in as many columns, and name the outer ones once.
        """
        import openpyxl.chart as charts
        from openpyxl.chart.data_source import AxDataSource, MultiLevelStrRef, NumDataSource, NumRef
        from openpyxl.chart.series import Series, SeriesLabel, XYSeries
        from openpyxl.chart.shapes import GraphicalProperties

        made, options = _KINDS[self.kind]
        chart: Any = getattr(charts, made)()
        for option, value in options.items():
            setattr(chart, option, value)
        for n, (name, cells) in enumerate(drawn):
            scatter = self.kind == "scatter"
            values = NumDataSource(NumRef(cells))
            x = AxDataSource(
                **({"numRef": NumRef(categories)} if levels == 1 else {"multiLvlStrRef": MultiLevelStrRef(categories)})
            )
            series = XYSeries(idx=n, xVal=x, yVal=values) if scatter else Series(idx=n, cat=x, val=values)
            series.order, series.tx, series.spPr = n, SeriesLabel(v=held_text(name)), GraphicalProperties()
            if self.kind == "line":
                series.smooth = False  # the default curves, through values that are not there
            self._color(series, n)
            chart.series.append(series)
        self._texts(chart)
        if levels > 1 and self.kind != "pie":
            chart.x_axis.noMultiLvlLbl = False
        chart.width, chart.height = self.width, self.height
        sheet.add_chart(chart, self.anchor or corner)
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


def _area(sheet: Worksheet, column: int, first: int, last: int, to: int | None = None) -> str:
    """Return cells of a column, counted from 0, or of those up to `to`.

    openpyxl's Reference ends at row 1,000,000; a sheet does not.
    """
    from openpyxl.utils import quote_sheetname

    at, end = letters(column), letters(column if to is None else to)
    return f"{quote_sheetname(sheet.title)}!${at}${first}:${end}${last}"


def add_charts(sheet: Worksheet, look: Look, _number: int, rows: int) -> None:
    """Put all charts of its rows onto a sheet."""
    below = 0.0
    for chart in look.options.charts:
        if chart.of is None:
            below = chart.add(sheet, look, rows, below)
