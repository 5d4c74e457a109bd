"""Cells with formulas, and cells that have a style only."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

_CELL = r"(?s)^((?: s=\"\d+\")?(?: t=\"(?:b|e|str)\")?)><f>([^<]*)</f>(.*)$"
_HEAD = re.compile(r"((?: s=\"\d+\")?(?: t=\"(?:b|e|str)\")?)><f>")
_BLANK = r"^(?: s=\"\d+\")?>$"


def computed(cells: pl.Series, formula: Sequence[str], digits: pl.Series | None, *, value: bool) -> pl.Series:
    """Return cells as they would be without their formula, which must be this one; the row's number is in `digits`.

    Cells are what follows their address, up to ``</c>``. Without `value` they must have none.
    """
    if digits is None:
        raise ValueError("there are formulas, but no addresses")
    wanted = [pl.lit(formula[0])]
    for part in formula[1:]:
        wanted += [pl.col("digits"), pl.lit(part)]
    begins = _HEAD.match(cells[0] or "") if len(cells) else None
    if begins is not None and begins[1].find(' t="str"') < 0:
        # Nearly always all cells begin like the first; then nothing needs to be searched.
        prefix = pl.concat_str(pl.lit(f"{begins[1]}><f>"), *wanted, pl.lit("</f>")).alias("prefix")
        quick = pl.DataFrame([cells.alias("cell"), digits.alias("digits")]).with_columns(prefix)
        if quick.select(pl.col("cell").str.starts_with(pl.col("prefix")).fill_null(value=False).all()).item():
            rest = pl.col("cell").str.slice(pl.col("prefix").str.len_chars())
            if not value and not quick.select((rest == "").all()).item():
                raise ValueError("a formula has a result that nobody computed")
            return quick.select(pl.concat_str(pl.lit(f"{begins[1]}>"), rest)).to_series()
    parts = cells.alias("cell").to_frame().select(pl.col("cell").str.extract_groups(_CELL)).to_series().struct.unnest()
    parts.columns = ["head", "formula", "rest"]
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
    cell = pl.col("cell")
    empty = cell.str.ends_with('">') | (cell == ">")  # no value ends like this: it would be followed by its end tag
    found = cells.alias("cell").to_frame().with_columns(empty.fill_null(value=False).alias("empty"))
    if not found["empty"].any():
        return cells
    if not found.filter("empty")["cell"].str.contains(_BLANK).all():
        raise ValueError("a cell is not written as one without a value")
    return found.select(pl.when(~pl.col("empty")).then(cell)).to_series()
