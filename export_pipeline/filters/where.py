"""One comparison of a column with values: ``where: {field: duration_ms, operator: gt, value: 250}``."""

from __future__ import annotations

import re
from datetime import UTC
from typing import Annotated, Any, ClassVar, Self
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl
from pydantic import BeforeValidator, WithJsonSchema, model_validator

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.filters.base import Bounds, Filter, Pushdown, Roles
from export_pipeline.filters.kinds import FLOAT, KINDS, NOTHING, TEXT, TIME, Kind, Scalar, Unfit, kind_of
from export_pipeline.filters.operators import OPERATORS, SPELLINGS, Operands, Operator, operator_named
from export_pipeline.filters.values import plain, refuse, shown, some
from export_pipeline.options import ALSO

_DESCRIBED = {
    "anyOf": [
        {"type": "string", "enum": list(OPERATORS)},
        {"type": "string", "enum": [name for name in SPELLINGS if name not in OPERATORS], ALSO: True},
    ]
}
"""The names of operators that are offered, and those that are understood, too."""


def _operator(name: Any) -> str:
    try:
        return operator_named(str(name)).key
    except ConfigError as error:
        raise refuse(error.message) from None


def column_type(schema: pl.Schema, field: str) -> pl.DataType:
    """Return the type of a column.

    Raises:
        ConfigError: There is no such column; the nearest name is suggested.
    """
    if field not in schema:
        raise ConfigError(f"the filter asks for an unknown column {field!r} ({did_you_mean(field, schema)})")
    return schema[field]


class Where(Filter):
    """Compares a column with one or several values. A missing value is never found, except by `is_null`."""

    tag: ClassVar[str] = "where"

    field: str
    """The column."""
    operator: Annotated[str, BeforeValidator(_operator), WithJsonSchema(_DESCRIBED)] = "eq"
    """How it is compared. The variants with an i in front (`ieq`, `icontains`) ignore the case of letters."""
    value: Annotated[Scalar | list[Scalar] | None, BeforeValidator(plain)] = None
    """What it is compared with: one value; a list for `in` and `not_in`; the lowest and the highest for `between`.
    Dates and times are ISO 8601, without an offset in the export's zone."""

    @model_validator(mode="before")
    @classmethod
    def _negated(cls, data: Any) -> Any:
        """Read ``is_null: false`` as `is_not_null`, the only operator whose value turns it around."""
        if not isinstance(data, dict) or data.get("value") not in (True, False) or "operator" not in data:
            return data
        row = OPERATORS[_operator(data["operator"])]
        if row.takes != "nothing" or not isinstance(data["value"], bool):
            return data
        turned = {"is_null": "is_not_null", "is_not_null": "is_null"}
        return data | {"operator": row.key if data["value"] else turned[row.key], "value": None}

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        """Check the number of values that the operator takes, and that a pattern is one."""
        row, value = OPERATORS[self.operator], self.value
        many = isinstance(value, list)
        if row.takes == "nothing":
            if value is not None:
                raise refuse(f"{self.operator} takes no value, not {value!r}")
        elif value is None:
            raise refuse(f"{self.operator} needs a value" + ("; ask for missing ones with is_null" * (row.key == "eq")))
        elif row.takes == "two" and (not many or len(value) != 2):  # type: ignore[arg-type]
            raise refuse(f"{self.operator} takes two values, the lowest and the highest: [1, 5]")
        elif row.takes == "many":
            some(self.values)
        elif row.takes in {"one", "pattern"} and many:
            hint = {"eq": "; a list is asked for with in", "ne": "; a list is asked for with not_in"}.get(row.key, "")
            raise refuse(f"{self.operator} takes one value, not a list{hint}")
        if row.takes == "pattern":
            _check_pattern(value)
        return self

    @property
    def row(self) -> Operator:
        """The operator."""
        return OPERATORS[self.operator]

    @property
    def values(self) -> list[Scalar]:
        """The values, none, one or several."""
        if isinstance(self.value, list):
            return self.value
        return [] if self.value is None else [self.value]

    def bind(self, schema: pl.Schema, roles: Roles, zone: ZoneInfo) -> Where:
        """Return this comparison with its values as the column's type writes them."""
        del roles
        values = self.typed(schema, zone)
        kind = kind_of(column_type(schema, self.field))
        written: list[Scalar] = [kind.write(value) for value in values]
        if self.row.takes == "two" and kind is not NOTHING and values[0] > values[1]:
            if values[0] > kind.read(self.values[1], schema[self.field], zone, "up"):
                low, high = map(shown, written)
                raise ConfigError(f"{self.field} is never between {low} and {high}", cure="write the lower value first")
            # no whole number lies between 0.2 and 0.7: from 1 and before 1
            return Where(field=self.field, operator="within", value=[written[0]] * 2)
        value = written if self.row.takes in {"many", "two"} else written[0] if written else None
        return Where.model_validate({"field": self.field, "operator": self.operator, "value": value})

    def typed(self, schema: pl.Schema, zone: ZoneInfo) -> list[Any]:
        """Return the values in the column's type.

        Raises:
            ConfigError: The column does not exist, or the operator or a value does not fit it.
        """
        dtype = column_type(schema, self.field)
        kind, row = kind_of(dtype), self.row
        if row.needs and row.needs not in kind.traits:
            fitting = [other.key for other in OPERATORS.values() if not other.needs or other.needs in kind.traits]
            needed = ", ".join(other.name for other in KINDS if row.needs in other.traits and other is not NOTHING)
            raise ConfigError(
                f"the operator {row.key} compares {needed}; the column {self.field!r} ({dtype}) holds {kind.name}",
                cure=f"operators for it: {', '.join(fitting)}",
            )
        rounds = row.rounds if len(row.rounds) == len(self.values) else (None,) * len(self.values)
        values = []
        for value, rounding in zip(self.values, rounds, strict=True):
            try:
                values.append(kind.read(value, dtype, zone, rounding))
            except Unfit as error:
                raise ConfigError(
                    f"{value!r} cannot be compared with the column {self.field!r} ({dtype}, {kind.name}): it {error}"
                ) from None
        return values

    def expression(self, schema: pl.Schema, zone: ZoneInfo) -> nw.Expr:
        """Return the comparison as a Narwhals expression; a missing value gives null or false."""
        dtype, row, column = column_type(schema, self.field), self.row, nw.col(self.field)
        kind, values = kind_of(dtype), self.typed(schema, zone)
        if kind is NOTHING and row.needs:
            return ~column.is_null()
        if kind is TEXT and dtype != pl.String:
            column = column.cast(nw.String)
        if row.folded:
            column = column.str.to_lowercase()
            values = pl.Series(values, dtype=pl.String).str.to_lowercase().to_list()
        found = row.express(column, Operands(kind, values, _literals(kind, dtype, values)))
        # engines place NaN above all numbers; here it is a missing value
        return found & ~column.is_nan() if kind is FLOAT and row.above else found

    def bounds(self, target: Pushdown) -> Bounds:
        """Return the SQL clauses around the comparison."""
        from export_pipeline.filters.pushdown import ALL, compare

        dtype = column_type(target.schema, self.field)
        column = target.columns.get(self.field)
        if column is None:
            return ALL
        values = self.typed(target.schema, target.zone)
        if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
            values = [value.replace(tzinfo=None) for value in values]
        return compare(target.dialect, self.row, kind_of(dtype), column, values)

    def sentence(self) -> str:
        """Return the comparison in English: ``duration_ms > 250``."""
        row, values = self.row, [shown(value) for value in self.values]
        words = row.single if row.single and len(values) == 1 else row.words
        return words.format(field=self.field, value=row.join.join(values))

    def columns(self) -> set[str]:
        """Return the column."""
        return {self.field}


def _literals(kind: Kind, dtype: pl.DataType, values: list[Any]) -> list[Any]:
    """Return the values as typed literals where an engine would guess another unit or zone, else the same list."""
    if isinstance(dtype, pl.Datetime):
        unit, name = dtype.time_unit, dtype.time_zone
        where = ZoneInfo(name) if name else UTC
        local = [value.astimezone(where) if name else value.replace(tzinfo=None) for value in values]
        return [nw.lit(value, dtype=nw.Datetime(unit, name)) for value in local]
    if isinstance(dtype, pl.Duration):
        return [nw.lit(value, dtype=nw.Duration(dtype.time_unit)) for value in values]
    return [nw.lit(value) for value in values] if kind is TIME else values


def _check_pattern(pattern: object) -> None:
    if not isinstance(pattern, str):
        raise refuse(f"a pattern is a text, not {pattern!r}")
    for sign, name in {"(?=": "lookahead", "(?!": "lookahead", "(?<=": "lookbehind", "(?<!": "lookbehind"}.items():
        if sign in pattern:
            raise refuse(f"the pattern {pattern!r} uses {name}, {sign}...), which no engine here has; combine filters")
    try:
        pl.select(pl.lit("").str.contains(pattern))
    except pl.exceptions.ComputeError as error:
        why = re.search(r"^error: (.*)$", str(error), re.MULTILINE) or re.search(r"(Compiled.*)", str(error))
        raise refuse(f"{pattern!r} is no pattern: {why[1] if why else error}") from None
