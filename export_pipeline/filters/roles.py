"""Filters by what a column means in its data set: whose rows, commands of which type, in which state."""

from __future__ import annotations

from typing import ClassVar
from zoneinfo import ZoneInfo

import polars as pl

from export_pipeline.errors import ConfigError
from export_pipeline.filters.base import Filter, Roles
from export_pipeline.filters.values import Values, shown
from export_pipeline.filters.where import Where


class _Role(Filter):
    """One of the values of the column that plays a role in the data set."""

    whole: ClassVar[str | None] = "values"
    role: ClassVar[str]

    values: Values
    """One value, or a list of them."""

    def bind(self, schema: pl.Schema, roles: Roles, zone: ZoneInfo) -> Where:
        """Return the comparison of the column that plays the role with the values."""
        field = column_of(roles, self.role, self.tag)
        one = {"operator": "eq", "value": self.values[0]}
        some = one if len(self.values) == 1 else {"operator": "in", "value": self.values}
        return Where.model_validate({"field": field, **some}).bind(schema, roles, zone)

    def sentence(self) -> str:
        """Return the role and its values in English."""
        return f"{self.role} is {' or '.join(map(shown, self.values))}"

    def columns(self) -> set[str]:
        """Return nothing: which column it is shows when it is bound."""
        return set()


def column_of(roles: Roles, role: str, tag: str) -> str:
    """Return the column that plays a role.

    Raises:
        ConfigError: The data set names none.
    """
    field: str | None = getattr(roles, role)
    if field is None:
        what = role.replace("_", " ")
        raise ConfigError(
            f"{tag}: the source does not say which of its columns is the {what}",
            cure=f"write '{role}: <column>' beside the data set or the files, or ask with where and the column's name",
        )
    return field


class AgentIds(_Role):
    """Keeps the rows of these agents."""

    tag: ClassVar[str] = "agent_ids"
    role: ClassVar[str] = "agent"


class CommandTypes(_Role):
    """Keeps the rows of commands of these types."""

    tag: ClassVar[str] = "command_types"
    role: ClassVar[str] = "command_type"


class Status(_Role):
    """Keeps the rows with one of these states."""

    tag: ClassVar[str] = "status"
    role: ClassVar[str] = "status"
