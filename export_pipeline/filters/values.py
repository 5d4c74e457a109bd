"""Values as they are written in filters: what JSON can hold, one or several."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from export_pipeline.filters.kinds import Scalar
from export_pipeline.times import format_duration, format_instant


def refuse(message: str) -> PydanticCustomError:
    """Return the validation error with this message."""
    return PydanticCustomError("filter", "{why}", {"why": message})


def plain(value: Any) -> Any:
    """Return a Python value as JSON holds it: dates, times and decimals as text, any collection as a list."""
    match value:
        case datetime() if value.tzinfo is not None:
            return format_instant(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return format_duration(value) if value >= timedelta() else f"-{format_duration(-value)}"
        case Decimal():
            return str(value)
        case float() if math.isnan(value):
            raise refuse("NaN is equal to nothing: ask with is_null, which finds NaN too")
        case float() if math.isinf(value):
            return str(value)
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _:
            return value


def _listed(value: Any) -> Any:
    items = plain(value)
    return items if isinstance(items, list) or items is None else [items]


def some(values: list[Scalar]) -> list[Scalar]:
    """Return the values; refuse an empty list, which keeps no row and is hardly ever meant."""
    if not values:
        raise refuse("an empty list keeps no row; name at least one value, or leave the filter out")
    return values


Values = Annotated[
    list[Scalar], BeforeValidator(_listed, json_schema_input_type=Scalar | list[Scalar]), AfterValidator(some)
]
"""A field that holds one value or a list of at least one."""


def shown(value: Scalar) -> str:
    """Return a value as a sentence shows it: words as they are, other texts in quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if not isinstance(value, str) or (re.fullmatch(r"[\w.:+@/-]+", text) and text not in {"and", "or", "not", "nor"}):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
