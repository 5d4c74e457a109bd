"""Cells with formulas, and cells that have a style only."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

_CELL = r"^((?: s=\"\d+\")?(?: t=\"(?:b|e|str)\")?)><f>([^<]*)</f>(.*)$"
_BLANK = r"^(?: s=\"\d+\")?>$"


def computed(cells: pl.Series, formula: Sequence[str], digits: pl.Series | None, *, value: bool) -> pl.Series:
    """Return cells as they would be without their formula, which must be this one; the row's number is in `digits`.

    Cells are what follows their address, up to ``</c>``. Without `value` they must have none.
    """
    if digits is None:
        raise ValueError("there are formulas, but no addresses")
    parts = cells.alias("cell").to_frame().select(pl.col("cell").str.extract_groups(_CELL)).to_series().struct.unnest()
    parts.columns = ["head", "formula", "rest"]
    wanted = [pl.lit(formula[0])]
    for part in formula[1:]:
        wanted += [pl.col("digits"), pl.lit(part)]
    frame = parts.with_columns(digits.alias("digits")).with_columns(pl.concat_str(wanted).alias("wanted"))
    if not frame.select((pl.col("formula") == pl.col("wanted")).fill_null(value=False).all()).item():
        raise ValueError(f"a formula is not {'#'.join(formula)} with the number of its row")
    head, rest = pl.col("head"), pl.col("rest")
    if not value and not frame.select((rest == "").all()).item():
        raise ValueError("a formula has a result that nobody computed")
    text = pl.concat_str(
        head.str.replace(' t="str"', ' t="inlineStr"', literal=True),
        pl.lit("><is><t>"),
        rest.str.strip_prefix("<v>").str.strip_suffix("</v>"),
        pl.lit("</t></is>"),
    )
    plain = pl.concat_str(head, pl.lit(">"), rest)
    return frame.select(pl.when(head.str.ends_with(' t="str"')).then(text).otherwise(plain)).to_series()


def with_nulls(cells: pl.Series) -> pl.Series:
    """Return cells with null for those that have no value."""
    cell = pl.lit(cells)
    return pl.select(pl.when(~cell.str.contains(_BLANK)).then(cell)).to_series()
