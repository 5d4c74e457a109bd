"""Filters in Python: ``time_range("previous month") & ~status("success")``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from pydantic import TypeAdapter, ValidationError

from export_pipeline.filters.base import Filter
from export_pipeline.filters.kinds import Scalar
from export_pipeline.filters.roles import AgentIds, CommandTypes, Status
from export_pipeline.filters.time_range import TimeRange
from export_pipeline.filters.tree import AnyFilter
from export_pipeline.filters.where import Where
from export_pipeline.parsing import explain, parse

_ADAPTER: TypeAdapter[AnyFilter] = TypeAdapter(AnyFilter)


def read_filter(written: object) -> AnyFilter:
    """Return the filter that plain data (of a file, of JSON) describes.

    Raises:
        ConfigError: It describes none; one line for each problem, with its path.
    """
    try:
        return _ADAPTER.validate_python(written)
    except ValidationError as error:
        raise explain(error, written) from None


def write_filter(given: Filter) -> Any:
    """Return a filter as plain data, by its tag."""
    return {given.tag: given.body_of(given.dump())}


def time_range(
    period: str | None = None,
    *,
    last: str | None = None,
    start: str | date | None = None,
    end: str | date | None = None,
    field: str | None = None,
) -> TimeRange:
    """Return the filter of a time range: ``time_range("previous month")``, ``time_range(start="-7d")``."""
    given = {"period": period, "last": last, "start": start, "end": end, "field": field}
    return parse(TimeRange, {name: value for name, value in given.items() if value is not None})


def _flat(values: Iterable[Scalar | Iterable[Scalar]]) -> list[Scalar]:
    """Return values that may be given one by one or as a list."""
    some = ([value] if isinstance(value, str) or not isinstance(value, Iterable) else value for value in values)
    return [value for part in some for value in part]


def agent_ids(*ids: Scalar | Iterable[Scalar]) -> AgentIds:
    """Return the filter for rows of these agents."""
    return parse(AgentIds, {"values": _flat(ids)})


def command_types(*types: Scalar | Iterable[Scalar]) -> CommandTypes:
    """Return the filter for commands of these types."""
    return parse(CommandTypes, {"values": _flat(types)})


def status(*states: Scalar | Iterable[Scalar]) -> Status:
    """Return the filter for rows with one of these states."""
    return parse(Status, {"values": _flat(states)})


def where(field: str, operator: str, value: object = None) -> Where:
    """Return the comparison of a column with a value: ``where("duration_ms", "gt", 250)``."""
    return parse(Where, {"field": field, "operator": operator, "value": value})
