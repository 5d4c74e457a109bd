"""Filters: which rows an export keeps. One tree of questions, one table of operators, two translations.

A filter is resolved (relative times become absolute), bound (roles become columns, values get the columns' types) and
then translated: to a Narwhals expression, which decides, and to an SQL clause, which only spares reading.
"""

from export_pipeline.filters.base import Filter, Roles
from export_pipeline.filters.compose import (
    agent_ids,
    command_types,
    read_filter,
    status,
    time_range,
    where,
    write_filter,
)
from export_pipeline.filters.operators import OPERATORS, Operator
from export_pipeline.filters.roles import AgentIds, CommandTypes, Status
from export_pipeline.filters.text import parse_text
from export_pipeline.filters.time_range import TimeRange
from export_pipeline.filters.tree import And, AnyFilter, Not, Or
from export_pipeline.filters.where import Where

__all__ = [
    "OPERATORS",
    "AgentIds",
    "And",
    "AnyFilter",
    "CommandTypes",
    "Filter",
    "Not",
    "Operator",
    "Or",
    "Roles",
    "Status",
    "TimeRange",
    "Where",
    "agent_ids",
    "command_types",
    "parse_text",
    "read_filter",
    "status",
    "time_range",
    "where",
    "write_filter",
]
