"""What a pivot table computes of its values, in parts that can be merged: block by block, then total by total."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal

import polars as pl

Function = Literal[
    "sum", "count", "average", "min", "max", "product", "count_numbers",
    "std", "std_population", "var", "var_population",
]  # fmt: skip

Parts = Mapping[str, Any]
"""Part -> what it is of some rows."""


def _spread(divisor: int, root: bool) -> Callable[[Parts], float | None]:
    def result(parts: Parts) -> float | None:
        if parts["count"] <= divisor:
            return None  # Excel shows an error
        variance = max(parts["spread"], 0.0) / (parts["count"] - divisor)
        return math.sqrt(variance) if root else variance

    return result


def _if_any(part: str) -> Callable[[Parts], Any]:
    return lambda parts: parts[part] if parts["count"] else None


# function -> its word in captions, its name in the file (sum is the default there), its parts, its result
FUNCTIONS: dict[Function, tuple[str, str, tuple[str, ...], Callable[[Parts], Any]]] = {
    "sum": ("Sum", "sum", ("count", "sum"), _if_any("sum")),
    "count": ("Count", "count", ("cells",), lambda parts: parts["cells"] or None),  # Excel shows nothing for none
    "average": ("Average", "average", ("count", "sum"),
                lambda parts: float(parts["sum"]) / parts["count"] if parts["count"] else None),
    "min": ("Min", "min", ("least",), lambda parts: parts["least"]),
    "max": ("Max", "max", ("most",), lambda parts: parts["most"]),
    "product": ("Product", "product", ("count", "product"), _if_any("product")),
    "count_numbers": ("Number count", "countNums", ("count",), lambda parts: parts["count"] or None),
    "std": ("StdDev", "stdDev", ("count", "mean", "spread"), _spread(1, root=True)),
    "std_population": ("StdDevp", "stdDevp", ("count", "mean", "spread"), _spread(0, root=True)),
    "var": ("Var", "var", ("count", "mean", "spread"), _spread(1, root=False)),
    "var_population": ("Varp", "varp", ("count", "mean", "spread"), _spread(0, root=False)),
}  # fmt: skip


def _listed(numbers: pl.Expr) -> Any:
    """Return the numbers of a group as one list, for what is rounded on the way.

    Polars adds up the rows of a group in an order that depends on its threads; those of a list in their own.
    """
    return numbers.implode().list


def _product(numbers: pl.Expr) -> pl.Expr:
    made: pl.Expr = _listed(numbers).eval(pl.element().product()).list.first()
    return made


def parts_of(cell: pl.Expr, number: pl.Expr, dtype: pl.DataType) -> dict[str, pl.Expr]:
    """Return each part of a group of rows of one column: of its cells, and of the numbers that they hold."""
    real = number.cast(pl.Float64)
    exact = number.cast(pl.Int128) if dtype.is_integer() else number
    return {
        "cells": cell.count(),
        "count": number.count(),
        "sum": _listed(exact).sum(),
        "least": number.min(),
        "most": number.max(),
        "product": _product(real),
        "mean": _listed(real).mean(),
        "spread": _listed(real).var(ddof=0) * number.count(),
    }


def merged(part: str, of: str) -> pl.Expr:
    """Return what this part of the column `of` is of several groups together, whose parts are rows."""
    column = pl.col(f"{of} {part}")
    if part in ("mean", "spread"):
        count, mean = pl.col(f"{of} count"), pl.col(f"{of} mean")
        middle: pl.Expr = _listed(mean * count).sum() / count.sum()
        return middle if part == "mean" else _listed(column).sum() + _listed(count * (mean - middle) ** 2).sum()
    if part == "product":
        return _product(column)
    made: pl.Expr = {"least": column.min, "most": column.max}.get(part, _listed(column).sum)()
    return made


def result(function: Function, parts: Parts) -> int | float | None:
    """Return the number for the cell; None where Excel computes none or one that is too large."""
    made = FUNCTIONS[function][3](parts)
    if isinstance(made, Decimal):
        made = float(made)
    if isinstance(made, int) and abs(made) >= 1 << 53:
        made = float(made)
    return made if made is None or math.isfinite(made) else None
