"""Random filters, each as the body that an export holds and as SQL written on its own for DuckDB."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from export_pipeline_tests.acceptance.relations import Column, Relation

ORDERED = ("gt", "ge", "lt", "le", "between", "within")
EQUAL = ("eq", "ne", "in", "not_in")
TEXT = ("contains", "not_contains", "starts_with", "ends_with")
FOLDED = tuple(f"i{name}" for name in (*EQUAL, *TEXT))
PATTERNS = ("matches", "imatches")
PRESENCE = ("is_null", "is_not_null")
FITTING: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("whole numbers", "numbers", "decimal numbers", "dates", "points in time", "times of day", "lengths of time"),
        (*EQUAL, *ORDERED, *PRESENCE),
    ),
    "text": (*EQUAL, *ORDERED, *TEXT, *FOLDED, *PATTERNS, *PRESENCE),
    "true and false": (*EQUAL, *PRESENCE),
    "values that filters cannot compare": PRESENCE,
}
"""What can be asked of each kind of column, as the documentation says."""
SPELLINGS = {"gt": [">", "after"], "ge": [">=", "gte"], "lt": ["<"], "le": ["<="], "eq": ["=", "is"], "ne": ["!="]}


@dataclass(frozen=True)
class Leaf:
    """One question about a row."""

    body: dict[str, Any]
    sql: str
    asks: tuple[str, str]
    """Kind of the column and operator, or ``role`` and the role."""


@dataclass(frozen=True)
class Tree:
    """Filters that are joined by ``and`` or ``or``, or turned around by ``not``."""

    word: str
    parts: tuple[Leaf | Tree, ...]

    @property
    def body(self) -> dict[str, Any]:
        return {self.word: self.parts[0].body if self.word == "not" else [part.body for part in self.parts]}

    @property
    def sql(self) -> str:
        if self.word == "not":  # what is unknown is false
            return f"(not coalesce({self.parts[0].sql}, false))"
        return "(" + f" {self.word} ".join(part.sql for part in self.parts) + ")"

    def smaller(self) -> Iterator[Leaf | Tree]:
        """Yield this filter with something left out."""
        yield from self.parts
        for place, part in enumerate(self.parts):
            if len(self.parts) > 1:
                yield Tree(self.word, self.parts[:place] + self.parts[place + 1 :])
            if isinstance(part, Tree):
                for less in part.smaller():
                    yield Tree(self.word, (*self.parts[:place], less, *self.parts[place + 1 :]))


Filter = Leaf | Tree


def leaves(tree: Filter | None) -> Iterator[Leaf]:
    """Yield the questions of a filter."""
    if isinstance(tree, Leaf):
        yield tree
    elif tree is not None:
        for part in tree.parts:
            yield from leaves(part)


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@dataclass
class Asker:
    """Makes questions; those that were asked least come first."""

    dice: random.Random
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    def tree(self, relation: Relation, count: int) -> Filter:
        """Return a filter of so many questions."""
        pending: list[Filter] = [self.leaf(relation) for _ in range(count)]
        while len(pending) > 1:
            size = min(len(pending), self.dice.choice([2, 2, 3]))
            parts = [pending.pop(0) for _ in range(size)]
            joined: Filter = Tree(self.dice.choice(["and", "or", "or"]), tuple(parts))
            pending.append(Tree("not", (joined,)) if self.dice.random() < 0.2 else joined)
        (made,) = pending
        return Tree("not", (made,)) if self.dice.random() < 0.15 else made

    def leaf(self, relation: Relation) -> Leaf:
        """Return a question about one column, or by a role."""
        if relation.roles and self.dice.random() < 0.15:
            return role_leaf(self.dice, relation)
        pairs = {(column.kind, name) for column in relation.columns.values() for name in FITTING[column.kind]}
        least = min(self.asked[pair] for pair in pairs)
        kind, name = self.dice.choice(sorted(pair for pair in pairs if self.asked[pair] <= least + 1))
        columns = [column for column in relation.columns.values() if column.kind == kind]
        return leaf(self.dice, self.dice.choice(columns), name, ZoneInfo(relation.zone))


def leaf(dice: random.Random, column: Column, name: str, zone: ZoneInfo) -> Leaf:
    """Return a question about a column with this operator, with values that are like the column's own."""
    spelled = dice.choice([name, name, *SPELLINGS.get(name, [])])
    body: dict[str, Any] = {"field": column.name, "operator": spelled}
    asks = (column.kind, name)
    if name in PRESENCE:
        return Leaf({"where": body}, f"({column.sql} is {'not ' * (name == 'is_not_null')}null)", asks)
    if name in PATTERNS:
        pattern, sql = _pattern(dice, column, folded=name == "imatches")
        return Leaf({"where": body | {"value": pattern}}, sql, asks)
    plain = name.removeprefix("i") if name in FOLDED else name
    if plain in TEXT:
        part = _part(dice, column)
        part = part.swapcase() if name in FOLDED else part
        return Leaf({"where": body | {"value": part}}, _text_sql(plain, column.sql, part, folded=name in FOLDED), asks)
    many = {"in": dice.randint(1, 4), "not_in": dice.randint(1, 4), "between": 2, "within": 2}.get(plain)
    chosen = [_sample(dice, column) for _ in range(many or 1)]
    if plain in ("between", "within"):
        chosen.sort()
    between = dice.random() < 0.3 and plain in ("gt", "ge", "lt", "le")
    written = [_write(dice, column, value, zone, between=between, folded=name in FOLDED) for value in chosen]
    if plain in ("between", "within") and column.kind == "points in time":  # a day may begin before the other moment
        written.sort(key=lambda pair: pair[1])
    values = [value for value, _ in written]
    body["value"] = values if many else values[0]
    return Leaf({"where": body}, _compare(plain, column.sql, [sql for _, sql in written], folded=name in FOLDED), asks)


def _sample(dice: random.Random, column: Column) -> Any:
    return dice.choice(column.samples) if column.samples else "nothing"


def _compare(name: str, column: str, values: list[str], *, folded: bool) -> str:
    if folded:
        column, values = f"lower({column})", [f"lower({value})" for value in values]
    sign = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}.get(name)
    if sign:
        return f"({column} {sign} {values[0]})"
    if name in ("in", "not_in"):
        return f"({column} {'not ' * (name == 'not_in')}in ({', '.join(values)}))"
    return f"({column} >= {values[0]} and {column} {'<=' if name == 'between' else '<'} {values[1]})"


def _text_sql(name: str, column: str, part: str, *, folded: bool) -> str:
    value = quote(part)
    if folded:
        column, value = f"lower({column})", f"lower({value})"
    call = {"contains": "contains", "not_contains": "contains", "starts_with": "starts_with", "ends_with": "suffix"}
    return f"({'not ' * (name == 'not_contains')}{call[name]}({column}, {value}))"


def _part(dice: random.Random, column: Column) -> str:
    text = str(_sample(dice, column))
    start = dice.choice([0, 0, dice.randrange(len(text))])
    end = dice.choice([len(text), min(len(text), start + dice.randint(1, 4))])
    return text[start:end]


def _pattern(dice: random.Random, column: Column, *, folded: bool) -> tuple[str, str]:
    safe = "".join(f"\\{c}" if c in r".^$*+?()[]{}|\-" else c for c in _part(dice, column))
    other = "".join(c for c in _part(dice, column) if c.isalnum())
    pattern = dice.choice([safe, f"^{safe}", f"{safe}$", f"{safe}|{other}z", r"[A-Na-n]+\d", rf"(?:{safe}|^.{{0,3}}$)"])
    pattern = pattern.swapcase() if folded and pattern == safe else pattern
    column_, options = column.sql, ", 'i'" if folded else ""
    return pattern, f"regexp_matches({column_}, {quote(pattern)}{options})"


def _write(
    dice: random.Random, column: Column, value: Any, zone: ZoneInfo, *, between: bool, folded: bool
) -> tuple[Any, str]:
    """Return a value as an export writes it and as DuckDB does; with `between`, one that the column may not have."""
    match column.kind:
        case "whole numbers":
            if between:
                return float(value) + 0.5, f"({value + 0.5!r}::decimal(20,1))"
            return dice.choice([value, value, str(value)]), str(value)
        case "numbers":
            return value, f"{value!r}::double"
        case "decimal numbers":
            exact = value + Decimal("0.00003") if between else value
            return str(exact), f"{exact}::decimal(24,8)"
        case "true and false":
            return dice.choice([value, str(value).lower()]), str(value).lower()
        case "dates":
            return value.isoformat(), f"date '{value}'"
        case "points in time":
            return _write_instant(dice, value, zone)
        case "times of day":
            return value.isoformat(dice.choice(["seconds", "auto"])), f"time '{value}'"
        case "lengths of time":
            return _write_length(dice, value), str(value // timedelta(microseconds=1))
        case _:
            text = str(value).swapcase() if folded else str(value)
            return text, quote(text)


def instant_sql(when: datetime) -> str:
    return f"timestamptz '{when.astimezone(UTC).replace(tzinfo=None).isoformat(' ')}+00'"


def _write_instant(dice: random.Random, value: datetime, zone: ZoneInfo) -> tuple[str, str]:
    when = (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    local = when.astimezone(zone)
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    way = dice.choice(["utc", "offset", "local", "date"])
    if way == "date":
        midnight = datetime.combine(local.date(), time(), zone)
        return local.date().isoformat(), instant_sql(midnight)
    if way == "local" and not twice:
        return local.replace(tzinfo=None).isoformat(dice.choice("T ")), instant_sql(when)
    text = local.isoformat() if way == "offset" else when.replace(tzinfo=None).isoformat() + "Z"
    return text, instant_sql(when)


def _write_length(dice: random.Random, value: timedelta) -> str:
    sign, minutes = "-" * (value < timedelta()), abs(value) // timedelta(minutes=1)
    return sign + dice.choice([f"{minutes}m", f"{minutes * 60} seconds", f"{minutes // 60}h {minutes % 60}m"])


def role_leaf(dice: random.Random, relation: Relation) -> Leaf:
    """Return a question by the role of a column."""
    role = dice.choice([*relation.roles, "time"])
    if role == "time":
        return _range_leaf(dice, relation)
    column = relation.columns[relation.roles[role]]
    values = [_sample(dice, column) for _ in range(dice.randint(1, 3))]
    option = {"agent": "agent_ids", "command_type": "command_types", "status": "status"}[role]
    body = {option: values[0] if len(values) == 1 and dice.random() < 0.5 else values}
    return Leaf(body, _compare("in", column.sql, [quote(value) for value in values], folded=False), ("role", option))


def _range_leaf(dice: random.Random, relation: Relation) -> Leaf:
    column, zone = relation.columns[relation.roles["time"]], ZoneInfo(relation.zone)
    now = relation.logical_time
    today = now.astimezone(zone).date()

    def midnight(day: date) -> datetime:
        return datetime.combine(day, time(), zone)

    days, hours = dice.randint(2, 60), dice.randint(2, 500)
    monday = today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    hour = now - timedelta(minutes=now.astimezone(zone).minute)
    low, high = sorted((_sample(dice, column), _sample(dice, column)))
    edges = sorted((_write_instant(dice, value, zone) for value in (low, high)), key=lambda edge: edge[1])
    (low_text, low_sql), (high_text, high_sql) = edges
    local = now.astimezone(zone).replace(tzinfo=None)
    ranges: list[tuple[Any, datetime | None, datetime | None]] = [
        ({"last": f"{days} days"}, midnight(today - timedelta(days=days)), midnight(today)),
        ({"last": f"{hours} hours"}, hour - timedelta(hours=hours), hour),
        (f"-{days}d", (local - timedelta(days=days)).replace(tzinfo=zone), now),
        (f"-{hours}h", now - timedelta(hours=hours), now),
        ("previous month", midnight(before), midnight(first)),
        ("this week", midnight(monday), midnight(monday + timedelta(days=7))),
        ({"period": "previous_week"}, midnight(monday - timedelta(days=7)), midnight(monday)),
        ("this year", midnight(date(today.year, 1, 1)), midnight(date(today.year + 1, 1, 1))),
        ("yesterday", midnight(today - timedelta(days=1)), midnight(today)),
        ({"start": low_text, "end": high_text}, None, None),
    ]
    body, start, end = dice.choice(ranges)
    if start is not None and end is not None:
        low_sql, high_sql = instant_sql(start), instant_sql(end)
    sql = f"({column.sql} >= {low_sql} and {column.sql} < {high_sql})"
    return Leaf({"time_range": body}, sql, ("role", "time_range"))
