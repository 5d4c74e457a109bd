"""Lengths of time with a unit (``5m``) and the steps that rows are grouped by (``15 minutes``, ``week``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from export_pipeline.errors import ConfigError, did_you_mean

UNITS: Mapping[str, tuple[str, ...]] = {
    "second": ("s", "sec", "secs"),
    "minute": ("m", "min", "mins"),
    "hour": ("h", "hr", "hrs"),
    "day": ("d",),
    "week": ("w",),
    "month": ("mo",),
    "quarter": ("q",),
    "year": ("y",),
}
"""Units of time by name, with the short forms that are understood."""

_BY_WORD = {word: unit for unit, short in UNITS.items() for word in (unit, f"{unit}s", *short)}
_EXACT = {unit: timedelta(**{f"{unit}s": 1}) for unit in ("second", "minute", "hour", "day", "week")}
_COUNTED = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", re.ASCII)


def unit_of(word: str, text: str) -> str:
    """Return the unit (``minute``) that a word or a short form (``m``) names; `text` is shown where it names none."""
    unit = _BY_WORD.get(word if word in _BY_WORD else word.lower())
    if unit is None:
        raise ConfigError(f"unknown unit {word!r} in {text!r} ({did_you_mean(word, UNITS)})")
    return unit


def parse_duration(text: str) -> timedelta:
    """Return the length of time that a text such as ``5m``, ``90 seconds``, ``1.5h`` or ``1h 30m`` names.

    Months and longer are refused (they have no fixed length), and so is a number without a unit.

    >>> parse_duration("1h 30m")
    datetime.timedelta(seconds=5400)
    """
    if not isinstance(text, str):
        raise ConfigError(f"{text!r} is no length of time: a unit is missing (30s, 5m, 2h, 7d)")
    total, position = timedelta(), 0
    while position < len(text) or position == 0:
        found = _COUNTED.match(text, position)
        if found is None:
            raise ConfigError(f"{text!r} is no length of time", cure="write a number and a unit: 30s, 5m, 2h, 7d")
        number, word = found.groups()
        if not word:
            raise ConfigError(f"{text!r} is no length of time: a unit is missing (30s, 5m, 2h, 7d)")
        unit = unit_of(word, text)
        if unit not in _EXACT:
            raise ConfigError(f"{text!r}: a {unit} has no fixed length", cure="count it in days: 30d")
        try:
            # not by a float, which keeps no microseconds of long lengths
            total += timedelta(microseconds=int(Fraction(number) * (_EXACT[unit] // timedelta(microseconds=1))))
        except (OverflowError, ValueError):  # Python reads no number of thousands of digits
            raise ConfigError(f"{text!r} is too long: the longest is 999999999 days") from None
        position = found.end()
    return total


def format_duration(length: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads as this length.

    >>> format_duration(timedelta(seconds=5400)), format_duration(timedelta(days=7))
    ('90m', '7d')
    """
    for unit in ("day", "hour", "minute"):
        if length and not length % _EXACT[unit]:
            return f"{length // _EXACT[unit]}{UNITS[unit][0]}"
    whole, rest = divmod(length, _EXACT["second"])
    return f"{whole}.{rest.microseconds:06d}".rstrip("0") + "s" if rest else f"{whole}s"


def _length(value: object) -> timedelta:
    if isinstance(value, timedelta):
        if value < timedelta():
            raise PydanticCustomError("duration", "a length of time is not negative")
        return value
    try:
        return parse_duration(value)  # type: ignore[arg-type]
    except ConfigError as error:
        raise PydanticCustomError("duration", "{why}", {"why": error.message}) from None


_SCHEMA = WithJsonSchema({"type": "string", "examples": ["30s", "5m", "2h", "7d"]})

Duration = Annotated[
    timedelta, BeforeValidator(_length), PlainSerializer(format_duration, return_type=str, when_used="json"), _SCHEMA
]
"""A field that holds a length of time: a `timedelta`, written with its unit (``5m``)."""


@dataclass(frozen=True)
class _Step:
    polars: str
    counts: tuple[int, ...] = (1,)
    """How many of the unit may be one step: only what divides the next unit, so that steps never drift."""
    next: str = ""


_STEPS: Mapping[str, _Step] = {
    "minute": _Step("m", (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30), "hour"),
    "hour": _Step("h", (1, 2, 3, 4, 6, 8, 12), "day"),
    "day": _Step("d"),
    "week": _Step("w"),
    "month": _Step("mo"),
    "quarter": _Step("q"),
    "year": _Step("y"),
}
_WHOLE = {("minute", 60): (1, "hour"), ("hour", 24): (1, "day"), ("day", 1): (1, "day")}


@dataclass(frozen=True)
class Every:
    """A regular step of local time: ``15 minutes``, ``4 hours``, ``day``, ``week`` (from Monday), ``month``, ...

    Minutes are counted by divisors of 60 and hours by divisors of 24; the longer units one at a time.
    """

    count: int
    unit: str

    @classmethod
    def parse(cls, text: object) -> Every:
        """Return the step that a text names.

        Raises:
            ConfigError: It names none, or one that does not divide the next longer unit.

        >>> Every.parse("15 minutes").polars
        '15m'
        """
        if isinstance(text, cls):
            return text
        found = re.fullmatch(r"\s*(\d*)\s*([A-Za-z]+)\s*", text, re.ASCII) if isinstance(text, str) else None
        if found is None:
            raise ConfigError(f"{text!r} is no step of time", cure="write hour, day, week, 15 minutes, 4 hours, ...")
        count, unit = int(found[1] or 1), unit_of(found[2], str(text))
        count, unit = _WHOLE.get((unit, count), (count, unit))
        if unit not in _STEPS:
            raise ConfigError(f"{text!r} is too short a step", cure=f"the steps are {', '.join(_STEPS)}")
        step = _STEPS[unit]
        if count not in step.counts:
            if step.next:
                valid = ", ".join(map(str, step.counts))
                raise ConfigError(f"{text!r} does not divide the {step.next}", cure=f"{unit}s are counted by {valid}")
            raise ConfigError(
                f"{text!r} has no fixed beginning: {unit}s are taken one at a time",
                cure=f"write {unit}, or a longer unit",
            )
        return cls(count, unit)

    @property
    def polars(self) -> str:
        """The step in the words of Polars: ``15m``, ``4h``, ``1d``, ``1w``, ``1mo``, ``1q``, ``1y``."""
        return f"{self.count}{_STEPS[self.unit].polars}"

    def __str__(self) -> str:
        return self.unit if self.count == 1 else f"{self.count} {self.unit}s"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: object) -> Every:
            try:
                return cls.parse(value)
            except ConfigError as error:
                raise PydanticCustomError("every", "{why}", {"why": str(error).replace("\n", ": ")}) from None

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "examples": [*_STEPS, "15 minutes", "4 hours"]}
