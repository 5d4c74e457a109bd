"""What a workbook says about itself. No clock: the same input makes the same file."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AwareDatetime, Field, FiniteFloat

from export_pipeline.formats.excel.strings import Printable
from export_pipeline.options import Options

if TYPE_CHECKING:
    from openpyxl import Workbook

    from export_pipeline.formats.about import About


Text = Annotated[Printable, Field(min_length=1, max_length=255)]


class Moment(Options):
    """A moment as the value of a property; a text would stay a text."""

    moment: AwareDatetime
    """The moment, with its zone."""


Value = bool | int | FiniteFloat | Moment | Annotated[Printable, Field(max_length=255)]


class WorkbookProperties(Options):
    """The properties that Excel shows under File, Info."""

    also: ClassVar[dict[str, str]] = {"properties": "custom"}

    author: Text = "export_pipeline"
    """Who made it."""
    created: AwareDatetime | None = None
    """When it was made, with the zone; null: the logical time of the run, never the clock."""
    title: Text | None = None
    """Title; null: the name of the export."""
    subject: Text | None = None
    """Subject."""
    keywords: Text | None = None
    """Keywords, with commas between them."""
    category: Text | None = None
    """Category."""
    comments: Text | None = None
    """Comments; null: filter, version of the data and time zone."""
    company: Text | None = None
    """Company."""
    manager: Text | None = None
    """Manager."""
    custom: dict[Text, Value] = Field(default_factory=dict)
    """Properties of one's own: a text, a number, true or false, or `{moment: 2024-05-01T10:00:00Z}`."""

    def put(self, book: Workbook, about: About) -> None:
        """Give a workbook its properties."""
        from openpyxl.packaging import custom

        shown = book.properties
        known = {"filter": about.filter, "version": about.version, "time zone": about.timezone}
        shown.title, shown.creator = self.title or about.name, self.author
        shown.description = self.comments or "; ".join(f"{name}: {value}" for name, value in known.items() if value)
        shown.subject, shown.keywords, shown.category = self.subject, self.keywords, self.category
        kinds: dict[type, Any] = {
            bool: custom.BoolProperty, int: custom.IntProperty, float: custom.FloatProperty,
            str: custom.StringProperty,
        }  # fmt: skip
        for name, value in self.custom.items():
            if isinstance(value, Moment):
                naive = value.moment.astimezone(dt.UTC).replace(tzinfo=None)
                book.custom_doc_props.append(custom.DateTimeProperty(name=name, value=naive))
                continue
            kind = float if isinstance(value, int) and abs(value) >= 1 << 31 else type(value)
            book.custom_doc_props.append(kinds[kind](name=name, value=value))

    def moment(self, about: About) -> dt.datetime | None:
        """Return when the workbook was made: what is asked for, else the logical time."""
        if self.created is not None:
            return self.created
        return dt.datetime.fromisoformat(about.logical_time) if about.logical_time else None

    def program(self) -> bytes:
        """Return the elements that docProps/app.xml has besides those of openpyxl."""
        from xml.sax.saxutils import escape

        given = {"Manager": self.manager, "Company": self.company}
        return "".join(f"<{name}>{escape(text)}</{name}>" for name, text in given.items() if text).encode()
