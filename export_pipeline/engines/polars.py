"""What a query needs and Narwhals does not have, on `polars.LazyFrame`s."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

import polars as pl

from export_pipeline.engines.buckets import begin
from export_pipeline.engines.native import run_native
from export_pipeline.errors import ExportError

__all__ = ["bucketed", "collected", "distinct", "labelled", "narrowed", "run_native", "sorted_by", "with_total"]


def bucketed(rows: pl.LazyFrame, field: str, every: str, zone: str, name: str) -> pl.LazyFrame:
    """Return the rows with one more column: the first moment of the step of time that each belongs to.

    `every` is a step in Polars' words (``15m``, ``1w``); the rules are those of `engines.buckets`.
    """
    kind = rows.collect_schema()[field]
    value = pl.col(field)
    if not isinstance(kind, pl.Datetime):
        return rows.with_columns(value.dt.truncate(every).alias(name))
    if kind.time_zone is None:
        value = value.dt.replace_time_zone("UTC")
    value = value.dt.convert_time_zone(zone)
    if zone == "UTC":
        return rows.with_columns(value.dt.truncate(every).alias(name))
    stepped = value.map_batches(
        lambda moments: begin(moments, every),
        return_dtype=pl.Datetime(kind.time_unit, zone),
        is_elementwise=True,
    )
    return rows.with_columns(stepped.alias(name))


def sorted_by(rows: pl.LazyFrame, keys: Iterable[tuple[str, bool]]) -> pl.LazyFrame:
    """Return the rows in the order of (column, descending) pairs.

    Nulls and NaN come last both ways; rows that are equal in all keys stay in the order they came in.
    """
    schema = rows.collect_schema()
    given = list(keys)
    if not given:
        return rows
    by = [_sortable(pl.col(name), schema[name]) for name, _ in given]
    return rows.sort(by, descending=[down for _, down in given], nulls_last=True, maintain_order=True)


def _sortable(value: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.Categorical):
        return value.cast(pl.String)
    return value.fill_nan(None) if kind.is_float() else value


def narrowed(rows: pl.LazyFrame, schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """Return the rows in these types, sums made in 128 bits among them.

    Raises:
        ExportError: While it runs, where a sum does not fit its type; a sum is never wrapped or cut.
    """
    given = rows.collect_schema()
    casts: list[pl.Expr] = []
    for name, kind in schema.items():
        if given[name] == pl.Int128 and kind != pl.Int128:
            casts.append(pl.col(name).map_batches(_narrower(name, kind), return_dtype=kind, is_elementwise=True))
        elif given[name] != kind:
            casts.append(pl.col(name).cast(kind))
    return rows.with_columns(casts) if casts else rows


def _narrower(name: str, kind: pl.DataType) -> Callable[[pl.Series], pl.Series]:
    target: pl.DataType = kind if isinstance(kind, pl.Decimal) else pl.Int64()

    def narrow(totals: pl.Series) -> pl.Series:
        fitting = totals.cast(target, strict=False)
        lost = totals.filter(fitting.is_null() & totals.is_not_null())
        if len(lost):
            raise ExportError(
                f"the sum {name!r} is {lost[0]} in a group, which does not fit {target}",
                cure="write {sum: {field: ..., wide: true}} for a decimal of 38 digits"
                if target == pl.Int64
                else "export the rows and add them up elsewhere",
            )
        return fitting.cast(kind)

    return narrow


def collected(rows: pl.LazyFrame, stop: threading.Event | None) -> pl.DataFrame:
    """Return the rows in memory; the wait can be interrupted."""
    return run_native(lambda: rows.collect(engine="streaming"), stop=stop)


def distinct(rows: pl.LazyFrame, columns: Sequence[str], number: str, *, ordered: bool) -> pl.LazyFrame:
    """Return the different combinations of values of the columns.

    Ordered by value (nulls last), else by where they first appear, which the column `number` says.
    """
    found = rows.group_by(columns).agg(pl.col(number).min())
    keys = [(name, False) for name in columns] if ordered else [(number, False)]
    return sorted_by(found, keys).select(columns)


def labelled(rows: pl.LazyFrame, labels: pl.DataFrame, on: Sequence[str]) -> pl.LazyFrame:
    """Return the rows with the further columns of `labels`, found by equal values, where null equals null."""
    return rows.join(labels.lazy(), on=list(on), how="left", nulls_equal=True)


def with_total(rows: pl.LazyFrame, total: pl.LazyFrame, *, label: str, count: str) -> pl.LazyFrame:
    """Return the rows with the one row `total` behind them, unless it counts no rows.

    The first column becomes text, `label` in the last row; other columns that `total` lacks are null there. Its column
    `count` says of how many rows it is the total.
    """
    schema = rows.collect_schema()
    first = schema.names()[0]
    rows = rows.with_columns(_text(pl.col(first), schema[first]))
    schema = rows.collect_schema()
    given = set(total.collect_schema().names())
    last = total.filter(pl.col(count) > 0).select(
        pl.col(name) if name in given else pl.lit(label if name == first else None, dtype=kind).alias(name)
        for name, kind in schema.items()
    )
    return pl.concat([rows, last], how="vertical")


def _text(value: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """Return the value as text; dates and times as in ISO 8601."""
    if isinstance(kind, pl.Datetime):
        return value.dt.strftime("%Y-%m-%d %H:%M:%S%.f" + ("" if kind.time_zone is None else "%:z"))
    if isinstance(kind, pl.Duration):
        return value.dt.to_string("iso")
    return value.bin.encode("hex") if isinstance(kind, pl.Binary) else value.cast(pl.String)
