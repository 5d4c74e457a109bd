"""Time, said once for the whole product: zones, durations, ranges relative to a logical time, file name patterns.

The rules, for every part that deals with time:

- There is one zone per export. A date or a time without an offset is local in that zone.
- A local time that a clock change skips moves forward by the length of the change (02:30 becomes 03:30, midnight
  becomes 01:00); a local time that happens twice is the first of the two.
- Days and longer steps are calendar steps (the same time of day, seven days ago); hours and shorter ones are exact.
- Ranges hold their start and not their end. Weeks start on Monday.
"""

from export_pipeline.times.durations import Duration, Every, format_duration, parse_duration
from export_pipeline.times.moment import moment
from export_pipeline.times.ranges import (
    PERIODS,
    Instant,
    Range,
    RangeSpec,
    format_instant,
    parse_instant,
    resolve_range,
)
from export_pipeline.times.zones import ZoneName, to_utc, zone

__all__ = [
    "PERIODS",
    "Duration",
    "Every",
    "Instant",
    "Range",
    "RangeSpec",
    "ZoneName",
    "format_duration",
    "format_instant",
    "moment",
    "parse_duration",
    "parse_instant",
    "resolve_range",
    "to_utc",
    "zone",
]
