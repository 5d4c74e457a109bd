"""Groups and measures: what is counted, summed, averaged, and over which rows.

What is pinned, on every engine:

- Nulls do not count, and NaN is a null. Only a bare ``count`` counts rows.
- The sum of nothing is 0; every other measure of nothing is null (of counts: 0).
- Sums of whole numbers never wrap: they are made in 128 bits and come out as Int64, or the export fails and says so
  (`wide` makes them decimals of 38 digits). Sums of decimals are exact. Averages, percentiles and deviations of
  numbers are Float64.
- Percentiles are linear between the two nearest values; the deviation is that of a sample (n - 1).
- Null is a group of its own, and NaN belongs to it; groups come out in the order of their keys, nulls last.
"""

from export_pipeline.aggregations.base import Measure
from export_pipeline.aggregations.edges import First, Last
from export_pipeline.aggregations.groups import Aggregate, TimeBucket
from export_pipeline.aggregations.measures import (
    AnyMeasure,
    Avg,
    Count,
    Distinct,
    Max,
    Median,
    Min,
    Percentile,
    Std,
    Sum,
)

__all__ = [
    "Aggregate",
    "AnyMeasure",
    "Avg",
    "Count",
    "Distinct",
    "First",
    "Last",
    "Max",
    "Measure",
    "Median",
    "Min",
    "Percentile",
    "Std",
    "Sum",
    "TimeBucket",
]
