"""Options that hold a list, and may be written as its one item without the list around it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator


def listed(value: Any) -> Any:
    """Return a list of the one item that is written; None and what is a list stay."""
    return value if isinstance(value, (list, tuple)) or value is None else [value]


def named(value: Any) -> Any:
    """Return a list of the one name that is written; all else stays, for the error to say what it should be."""
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(named, json_schema_input_type=str | list[str])]
"""One name, or a list of names."""
