"""Steps of time in a zone, also where clocks change.

A step is cut by the clock on the wall: the row at 03:40 belongs to the hour of 03:00, the row on Thursday to the week
of Monday 00:00. Its column holds the first moment of the step. Three rules cover the changes of clocks:

- Where the wall shows the beginning of the step twice, it is the later of the two that is not after the row. So an hour
  that happens twice is two steps, and the four hours, the day or the week around it are one.
- Where the wall never shows the beginning, the step begins when the clocks went forward (a day without midnight begins
  at 01:00).
- Everything else follows the wall: on the day of a change, the step of four hours around it lasts three or five.

Polars' own ``truncate`` in a zone has the first two rules only for the usual changes: it puts the steps of Troll, Lord
Howe or St. John's after the rows in them, and fails on Kathmandu's 1986.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import polars as pl


def begin(moments: pl.Series, every: str) -> pl.Series:
    """Return the first moment of the step that each moment belongs to, in the zone and unit of the moments.

    Args:
        moments: Datetimes in a zone.
        every: The step in Polars' words: ``1h``, ``15m``, ``1d``, ``1w``, ``1mo``, ``1q``, ``1y``.
    """
    kind = cast("pl.Datetime", moments.dtype)
    zone = cast("str", kind.time_zone)
    utc = _utc(moments)
    wall = _wall(moments)
    # All three are numbers of time units from here on, as if clocks were never changed.
    shown = wall.dt.truncate(every)
    offset = wall - utc
    start = shown - offset
    wrong = (_shown_at(start, zone) != shown).arg_true()
    if len(wrong):
        # There the clocks were changed between the beginning and the row.
        start = start.scatter(wrong, _before_change(start.gather(wrong), shown.gather(wrong), zone))
    return _zoned(start, zone)


def _before_change(start: pl.Series, shown: pl.Series, zone: str) -> pl.Series:
    """Return the moments that show `shown`, found with the offset at `start`, which lies before a change."""
    start = shown - (_shown_at(start, zone) - start)
    skipped = (_shown_at(start, zone) != shown).arg_true()
    if len(skipped):
        walls = shown.gather(skipped)
        changes = {wall: _change(wall, zone) for wall in walls.unique()}
        start = start.scatter(skipped, pl.Series([changes[wall] for wall in walls], dtype=start.dtype))
    return start


def _utc(moments: pl.Series) -> pl.Series:
    return moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _wall(moments: pl.Series) -> pl.Series:
    return moments.dt.replace_time_zone(None)


def _zoned(utc: pl.Series, zone: str) -> pl.Series:
    return utc.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)


def _shown_at(utc: pl.Series, zone: str) -> pl.Series:
    """Return what the wall shows at these moments."""
    return _wall(_zoned(utc, zone))


def _change(wall: datetime, zone: str) -> datetime:
    """Return the first moment, in UTC without a zone, at which the wall shows `wall` or later."""
    place = ZoneInfo(zone)
    low, high = (wall.replace(tzinfo=UTC) + timedelta(hours=hours) for hours in (-26, 26))
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if middle.astimezone(place).replace(tzinfo=None) >= wall:
            high = middle
        else:
            low = middle
    return high.replace(tzinfo=None)
