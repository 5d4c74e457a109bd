"""Random exports, each as the YAML that a person would write and as SQL written on its own for DuckDB."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from export_pipeline_tests.acceptance.filters import Asker, Filter, Leaf, Tree
from export_pipeline_tests.acceptance.relations import Column, Relation

STEPS = ("minute", "15 minutes", "hour", "4 hours", "day", "week", "month", "quarter", "year")
NUMBERS = ("whole numbers", "numbers", "decimal numbers")
SCALED = (*NUMBERS, "lengths of time")
MEASURED = (*SCALED, "true and false")
COMPARABLE = (*MEASURED, "text", "dates", "points in time", "times of day")
FITS = {
    "count": COMPARABLE, "distinct": COMPARABLE, "sum": MEASURED, "avg": MEASURED, "min": COMPARABLE, "max": COMPARABLE,
    "percentile": SCALED, "median": SCALED, "std": NUMBERS, "first": COMPARABLE, "last": COMPARABLE,
}  # fmt: skip
MEASURES = ("rows", *FITS)
EXACT = ("whole numbers", "decimal numbers", "text", "dates", "points in time", "times of day")
"""Kinds in which two computations agree to the last bit, so that orders and conditions by them do."""
MOST_GROUPS = 400


@dataclass(frozen=True)
class Value:
    """A column of a result: its name in the export, its SQL, and what it holds."""

    name: str
    sql: str
    kind: str


@dataclass(frozen=True)
class Measure(Value):
    """A measure, with its body in the export."""

    body: Any = None
    tag: str = ""


@dataclass(frozen=True)
class Spec:
    """One export over a relation."""

    relation: Relation
    format: Any
    filter: Filter | None = None
    keys: tuple[Column, ...] = ()
    step: tuple[Column, str] | None = None
    measures: tuple[Measure, ...] = ()
    having: Leaf | None = None
    sort: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    rename: dict[str, str] = field(default_factory=dict)

    @property
    def grouped(self) -> bool:
        return bool(self.keys or self.step or self.measures)

    @property
    def values(self) -> list[Value]:
        """The columns before any is chosen."""
        if not self.grouped:
            return [Value(c.name, c.sql, c.kind) for c in self.relation.columns.values()]
        keys = [Value(c.name, c.sql, c.kind) for c in self.keys]
        if self.step is not None:
            keys.insert(0, Value("step", _step_sql(*self.step, self.relation.zone), "points in time"))
            if self.step[0].kind == "dates":
                keys[0] = Value("step", f"date_trunc('{self.step[1]}', {self.step[0].sql})::date", "dates")
        return [*keys, *self.measures]

    @property
    def chosen(self) -> list[tuple[str, Value]]:
        """The columns of the file: name and value."""
        known = {value.name: value for value in self.values}
        kept = [name for name in (self.include or known) if name not in self.exclude]
        kept = [*(n for n in self.order if n in kept), *(n for n in kept if n not in self.order)]
        return [(self.rename.get(name, name), known[name]) for name in kept]

    @property
    def config(self) -> dict[str, Any]:
        """The export as data."""
        aggregate: dict[str, Any] = {}
        if self.keys:
            aggregate["group_by"] = [column.name for column in self.keys]
        if self.step is not None:
            aggregate["time_bucket"] = {"field": self.step[0].name, "every": self.step[1], "name": "step"}
        if self.measures:
            aggregate["measures"] = {measure.name: measure.body for measure in self.measures}
        if self.having is not None:
            aggregate["having"] = self.having.body
        columns = {"include": list(self.include), "exclude": list(self.exclude), "order": list(self.order)}
        parts: dict[str, Any] = {
            "timezone": self.relation.zone,
            "source": self.relation.source,
            "filter": self.filter.body if self.filter is not None else None,
            "aggregate": aggregate,
            "sort": [f"-{name}" if down else name for name, down in self.sort],
            "limit": self.limit,
            "columns": {name: names for name, names in (columns | {"rename": self.rename}).items() if names},
            "format": self.format,
        }
        return {name: part for name, part in parts.items() if part}

    @property
    def sql(self) -> str:
        """The same question to the reference."""
        where = f" where {self.filter.sql}" if self.filter is not None else ""
        values = {value.name: value for value in self.values}
        if self.grouped:
            keys = [value.name for value in self.values if not isinstance(value, Measure)]
            listed = ", ".join(f'{value.sql} as "{value.name}"' for value in values.values())
            rows = f'select {listed} from "{self.relation.name}"{where}'
            rows += f" group by {', '.join(str(place + 1) for place in range(len(keys)))}" if keys else ""
            kept = f" where {self.having.sql}" if self.having is not None else ""
        else:
            keys, rows, kept = ["rn"], f'select * from "{self.relation.name}"{where}', ""
        orders = [f'"{name}" {"desc" if down else "asc"} nulls last' for name, down in self.sort]
        orders += [f'"{key}" asc nulls last' for key in keys if key not in dict(self.sort)]
        final = f" order by {', '.join(orders)}" if orders else ""
        final += f" limit {self.limit}" if self.limit is not None else ""
        shown = ", ".join(_shown(f'"{value.name}"', value.kind) for _, value in self.chosen)
        return f"select {shown} from ({rows}) as found{kept}{final}"

    def smaller(self) -> Iterator[Spec]:
        """Yield this export with something left out."""
        yield replace(self, filter=None)
        if isinstance(self.filter, Tree):
            for less in self.filter.smaller():
                yield replace(self, filter=less)
        yield replace(self, include=(), exclude=(), order=(), rename={})
        yield replace(self, rename={})
        yield replace(self, order=())
        yield replace(self, limit=None)
        yield replace(self, having=None)
        for place in range(len(self.sort)):
            yield replace(self, sort=self.sort[:place] + self.sort[place + 1 :])
        free = replace(self, include=(), exclude=(), order=(), rename={}, sort=(), having=None)
        yield free
        yield replace(free, step=None)
        for place in range(len(self.measures)):
            yield replace(free, measures=self.measures[:place] + self.measures[place + 1 :])
        for place in range(len(self.keys)):
            yield replace(free, keys=self.keys[:place] + self.keys[place + 1 :])
        yield replace(self, format="csv")


def _shown(column: str, kind: str) -> str:
    return f"epoch_us({column})" if kind == "points in time" else column


def _step_sql(column: Column, every: str, zone: str) -> str:
    """Return the first moment of the step: cut by the clock on the wall; a repeated hour stays two."""
    local = f"({column.sql} at time zone '{zone}')"
    if every == "4 hours":  # no clock change of these zones is at the beginning of such a step
        return f"time_bucket(interval '4 hours', {local}, timestamp '2000-01-01') at time zone '{zone}'"
    if every in ("minute", "15 minutes", "hour"):
        width = {"minute": "1 minute", "hour": "1 hour"}.get(every, every)
        return f"{column.sql} - ({local} - time_bucket(interval '{width}', {local}, timestamp '2000-01-01'))"
    return f"date_trunc('{every}', {local}) at time zone '{zone}'"


@dataclass
class Author:
    """Makes exports; operators, measures and steps that were used least come first."""

    dice: random.Random
    asker: Asker
    steps: Counter[str] = field(default_factory=Counter)
    measured: Counter[str] = field(default_factory=Counter)

    def spec(self, relation: Relation, format_: Any) -> Spec:
        """Return an export; its filter may turn out to keep no row."""
        made = Spec(relation, format_, filter=self.asker.tree(relation, self.dice.randint(2, 6)))
        return self._grouped(made) if self.dice.random() < 0.5 else self._rows(made)

    def _rows(self, spec: Spec) -> Spec:
        names = [name for name, column in spec.relation.columns.items() if column.kind in COMPARABLE]
        include = tuple(self.dice.sample(names, self.dice.randint(1, min(7, len(names)))))
        exclude: tuple[str, ...] = ()
        if self.dice.random() < 0.3:
            include, exclude = (), tuple(n for n in spec.relation.columns if n not in include)
        by = self.dice.sample(names, self.dice.choice([0, 1, 2]))
        sort = tuple((name, self.dice.random() < 0.5) for name in by)
        limit = self.dice.choice([1, 10, 100, 500, 1500])
        return self._named(replace(spec, include=include, exclude=exclude, sort=sort, limit=limit))

    def _grouped(self, spec: Spec) -> Spec:
        columns = spec.relation.columns
        few = [c for c in columns.values() if 0 < c.distinct <= MOST_GROUPS and c.kind in COMPARABLE]
        keys = tuple(self.dice.sample(few, min(len(few), self.dice.choice([0, 1, 1, 2]))))
        step = self._step(spec.relation) if self.dice.random() < 0.6 else None
        measures = [self._measure(columns, f"m{place}") for place in range(self.dice.randint(1, 4))]
        rows = Measure("n", "count(*)", "whole numbers", "count", "rows")
        spec = replace(spec, keys=keys, step=step, measures=(rows, *measures))
        exact = [value for value in spec.values if value.kind in EXACT]
        by = self.dice.sample([value.name for value in exact], min(len(exact), self.dice.choice([0, 1, 2])))
        sort = tuple((name, self.dice.random() < 0.5) for name in by)
        limit = self.dice.choice([None, 1, 20, 1000])
        having = self._having() if keys and self.dice.random() < 0.4 else None
        return self._named(replace(spec, sort=sort, limit=limit, having=having))

    def _having(self) -> Leaf:
        least = self.dice.choice([1, 2, 3, 10])
        body = {"where": {"field": "n", "operator": "ge", "value": least}}
        return Leaf(body, f"n >= {least}", ("having", "ge"))

    def _step(self, relation: Relation) -> tuple[Column, str] | None:
        every = min(STEPS, key=lambda step: (self.steps[step], self.dice.random()))
        clocked = every in ("minute", "15 minutes", "hour", "4 hours")
        kinds = ("points in time",) if clocked else ("points in time", "dates")
        columns = [column for column in relation.columns.values() if column.kind in kinds]
        return (self.dice.choice(columns), every) if columns else None

    def _measure(self, columns: dict[str, Column], name: str) -> Measure:
        tag = min(MEASURES, key=lambda tag: (self.measured[tag], self.dice.random()))
        fitting = [c for c in columns.values() if c.kind in FITS.get(tag, COMPARABLE)]
        return measure(self.dice, tag, self.dice.choice(fitting), list(columns.values()), name)

    def _named(self, spec: Spec) -> Spec:
        names = [value.name for _, value in spec.chosen]
        rename = {name: f"{name} {self.dice.choice(['ä', 'B', 'x'])}" for name in names if self.dice.random() < 0.1}
        order = tuple(self.dice.sample(names, 1)) if self.dice.random() < 0.3 else ()
        return replace(spec, rename=rename, order=order)

    def count(self, spec: Spec, asked: Iterator[Leaf]) -> None:
        """Take note of what an export asks for."""
        self.asker.asked.update(leaf.asks for leaf in asked)
        self.measured.update(measure.tag for measure in spec.measures)
        if spec.step is not None:
            self.steps[spec.step[1]] += 1


def measure(dice: random.Random, tag: str, column: Column, columns: list[Column], name: str) -> Measure:
    """Return a measure of a column."""
    c, kind = column.sql, column.kind
    number = f"{c}::integer" if kind == "true and false" else c
    scaled = "lengths of time" if kind == "lengths of time" else "numbers"
    body: Any = {tag: column.name}
    if tag == "rows":
        return Measure(name, "count(*)", "whole numbers", "count", tag)
    if tag in ("count", "distinct"):
        return Measure(name, f"count({'distinct ' * (tag == 'distinct')}{c})", "whole numbers", body, tag)
    if tag == "sum":
        adding = "fsum" if kind == "numbers" else "sum"
        total = kind if kind != "true and false" else "whole numbers"
        return Measure(name, f"coalesce({adding}({number}), 0)", total, body, tag)
    if tag in ("min", "max"):
        return Measure(name, f"{tag}({c})", kind, body, tag)
    if tag in ("first", "last"):
        by = dice.choice([None, *(other for other in columns if other.kind in COMPARABLE)])
        order = f"{by.sql}, rn" if by else "rn"
        counts = f"{c} is not null" + (f" and {by.sql} is not null" if by else "")
        written = {tag: {"field": column.name, "order_by": by.name}} if by else body
        return Measure(name, f"{tag}({c} order by {order}) filter (where {counts})", kind, written, tag)
    p = dice.choice([0, 1, 10, 33.3, 50, 90, 95, 99.9, 100])
    if tag == "percentile":
        body = {"percentile": {"field": column.name, "p": p}}
    fold = {
        "avg": f"favg({number}::double)",
        "std": f"stddev_samp({c}::double)",
        "median": f"quantile_cont({c}::double, 0.5)",
        "percentile": f"quantile_cont({c}::double, {p / 100!r})",
    }[tag]
    return Measure(name, fold, scaled, body, tag)
