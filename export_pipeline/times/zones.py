"""Time zones by name, and the one rule for local times that a clock change skips or repeats."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from export_pipeline.errors import ConfigError, did_you_mean


def zone(name: str) -> ZoneInfo:
    """Return the IANA time zone of this name.

    Raises:
        ConfigError: There is no such zone; the nearest name is suggested.

    >>> zone("Europe/Berlin").key
    'Europe/Berlin'
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):  # a folder ("Europe") is an OSError, "../x" a ValueError
        raise ConfigError(
            f"unknown time zone {name!r} ({did_you_mean(name, available_timezones())})",
            cure="write a name of the IANA list, such as Europe/Berlin or UTC",
        ) from None


def _zone_name(name: str) -> str:
    try:
        zone(name)
    except ConfigError as error:
        raise PydanticCustomError("time_zone", "{why}", {"why": error.message}) from None
    return name


ZoneName = Annotated[str, AfterValidator(_zone_name)]
"""A field that holds the name of a time zone, checked when it is read."""


def to_utc(local: datetime | date, where: ZoneInfo) -> datetime:
    """Return the instant, in UTC, of a local date (its midnight) or a local time; one with an offset keeps its meaning.

    A local time that a clock change skips moves forward by the length of the change; one that happens twice is the
    first of the two. (Both are what ``fold=0`` means: the offset before the change.)
    """
    if not isinstance(local, datetime):
        local = datetime.combine(local, time())
    if local.tzinfo is None:
        local = local.replace(tzinfo=where, fold=0)
    try:
        return local.astimezone(UTC)
    except OverflowError:
        raise ConfigError(f"{local.isoformat()} is outside the years 1 to 9999 in UTC") from None
