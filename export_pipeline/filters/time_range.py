"""The filter of a time range: absolute, or relative to the export's logical time."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

import polars as pl
from pydantic import model_validator

from export_pipeline.errors import ConfigError
from export_pipeline.filters.base import Filter, Roles
from export_pipeline.filters.roles import column_of
from export_pipeline.filters.values import refuse
from export_pipeline.filters.where import Where, column_type
from export_pipeline.times import Instant, RangeSpec, format_instant, parse_instant, resolve_range
from export_pipeline.times.ranges import PERIODS, first_day, is_absolute, period_name

_PREPOSITIONS = {"this": "in ", "previous": "in the "}
_NEVER = datetime(1970, 1, 1)
"""The logical time of texts that do not depend on it."""


class TimeRange(Filter):
    """Keeps the rows of a time range, which holds its start and not its end.

    Written as ``previous month`` (also today, yesterday, this or previous week, month, quarter, year), ``last 7 days``
    (the complete local days before the logical time's), ``-7d`` (from then until the logical time), or with a start and
    an end.
    """

    tag: ClassVar[str] = "time_range"
    bare: ClassVar[bool] = False
    short: ClassVar[str | None] = "period"

    period: str | None = None
    """A named period: `today`, `yesterday`, `this week`, `previous month`, ..., always whole."""
    last: str | None = None
    """The last complete units before the logical time: `7 days`, `24 hours`, `2 weeks`, `3 months`."""
    start: Instant | None = None
    """The first instant: a date or a time (local without an offset), `-7d`, `now`, or the start of a named period."""
    end: Instant | None = None
    """The end, which is not in the range; written like the start. Default: the logical time."""
    field: str | None = None
    """The column. Default: the one that the data set names as its time."""

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, data: Any) -> Any:
        """Sort a bare text into the option that it means."""
        text = data.get("period") if isinstance(data, dict) else data
        if not isinstance(text, str):
            return data
        rest = {key: value for key, value in data.items() if key != "period"} if isinstance(data, dict) else {}
        name = period_name(text)
        if name in PERIODS:
            return rest | {"period": name}
        if name.startswith("last "):
            return rest | {"last": name.removeprefix("last ")}
        return rest | ({"start": text} if text.strip()[:1] in {"-", "+"} or is_absolute(text) else {"period": text})

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in ("period", "last", "start", "end") if getattr(self, name) is not None]
        if not given:
            raise refuse("a time range needs a period (previous month), last (7 days), or a start and an end")
        if given not in (["period"], ["last"], ["start"], ["end"], ["start", "end"]):
            raise refuse(f"a time range is written in one way, not with {' and '.join(given)}")
        try:
            resolve_range(self.spec, datetime(2026, 1, 1), ZoneInfo("UTC")) if given[0] in {"period", "last"} else None
        except ConfigError as error:
            raise refuse(str(error).replace("\n", ": ")) from None
        return self

    @property
    def spec(self) -> RangeSpec:
        """The range as it is written."""
        return RangeSpec(self.period, self.last, self.start, self.end)

    def resolve(self, logical_time: datetime, zone: ZoneInfo) -> TimeRange:
        """Return the range from a start to an end in UTC."""
        start, end = resolve_range(self.spec, logical_time, zone)
        return TimeRange(start=format_instant(start) if start else None, end=format_instant(end), field=self.field)

    def bind(self, schema: pl.Schema, roles: Roles, zone: ZoneInfo) -> Where:
        """Return the comparison with the time column; dates count as their local midnight."""
        field = self.field or column_of(roles, "time", self.tag)
        dtype = column_type(schema, field)
        if self.end is None or not is_absolute(self.end) or not is_absolute(self.start or self.end):
            raise ConfigError(f"the filter '{self.sentence()}' has to be resolved at a logical time first")
        if not isinstance(dtype, pl.Date | pl.Datetime):
            raise ConfigError(
                f"time_range: the column {field!r} ({dtype}) holds no dates or times",
                cure="name another column as the field, or give the column a type where the source is described",
            )
        limits = [parse_instant(text, _NEVER, zone) for text in (self.start, self.end) if text is not None]
        days = isinstance(dtype, pl.Date)
        values = [str(first_day(limit, zone)) if days else format_instant(limit) for limit in limits]
        compare = {"operator": "within", "value": values} if len(values) > 1 else {"operator": "lt", "value": values[0]}
        return Where.model_validate({"field": field, **compare}).bind(schema, roles, zone)

    def sentence(self) -> str:
        """Return the range in English."""
        field = self.field or "time"
        if self.period is not None:
            return f"{field} is {_PREPOSITIONS.get(self.period.split()[0], '')}{self.period}"
        if self.last is not None:
            return f"{field} is in the last {self.last}"
        end = f"before {self.end or 'now'}"
        return f"{field} is {end}" if self.start is None else f"{field} is from {self.start} and {end}"

    def columns(self) -> set[str]:
        """Return the column, where it is named."""
        return {self.field} if self.field else set()
