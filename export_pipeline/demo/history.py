"""The rows of the demo: agents that run commands day and night, seen through a dashboard.

They are skewed (few agents do most of the work), seasonal (busy days, quiet nights and weekends, growing), fail in
bursts, cost money, and say what happened in several languages; now and then a value is missing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import polars as pl

from export_pipeline.demo.chance import Chance, among
from export_pipeline.demo.commands import INSTANT, agent_id, command_rows
from export_pipeline.demo.words import AGENTS, REGIONS, TEAMS, VERSIONS

DAYS = 180
"""Days of history before its end."""
METRIC_DAYS = 7
CHUNK = 250_000
BY_HOUR = (3, 2, 2, 2, 2, 3, 4, 7, 11, 14, 15, 14, 11, 13, 15, 15, 14, 12, 9, 7, 5, 4, 3, 3)
"""How busy each hour of the day is (UTC)."""
BY_WEEKDAY = (10, 11, 11, 11, 9, 4, 3)
"""How busy each day of the week is, from Monday."""
TROUBLE = 0.04
"""Share of the commands that fail or time out in an ordinary hour."""
BURSTS = 14


@dataclass(frozen=True)
class History:
    """Everything in the demo; the same for the same number of commands, end and seed."""

    rows: int
    """Number of commands."""
    until: datetime
    """The aware instant at which it ends."""
    seed: int = 7

    @property
    def start(self) -> datetime:
        """The instant at which it begins."""
        return self.until.astimezone(UTC) - timedelta(days=DAYS)

    @cached_property
    def hours(self) -> pl.DataFrame:
        """The hours: `start`, `trouble` (share of failures), `first` (index of the first command) and `count`."""
        dice = random.Random(self.seed)  # noqa: S311
        starts = [self.start + timedelta(hours=hour) for hour in range(DAYS * 24)]
        busy = [
            BY_HOUR[at.hour] * BY_WEEKDAY[at.weekday()] * (1 + number / len(starts)) * dice.uniform(0.8, 1.2)
            for number, at in enumerate(starts)
        ]
        trouble = [TROUBLE * dice.uniform(0.6, 1.4) for _ in starts]
        recent = (len(starts) - 30, len(starts) - 100)
        for burst in (*(dice.randrange(len(starts)) for _ in range(BURSTS)), *recent):
            for hour in range(burst, min(burst + dice.randint(1, 5), len(starts))):
                trouble[hour] = dice.uniform(0.25, 0.6)
        total, passed = math.fsum(busy), 0.0
        firsts = []
        for share in busy:
            firsts.append(int(self.rows * passed / total))
            passed += share
        counts = [end - first for first, end in zip(firsts, [*firsts[1:], self.rows], strict=True)]
        return pl.DataFrame(
            {"start": starts, "trouble": trouble, "first": firsts, "count": counts},
            schema={"start": INSTANT, "trouble": pl.Float64, "first": pl.Int64, "count": pl.Int64},
        )

    def commands(self, first: int = 0, chunk: int = CHUNK) -> Iterator[pl.DataFrame]:
        """Yield the commands from row `first` on, in the order of their start, in chunks of that many rows."""
        for start in range(first, self.rows, chunk):
            index = pl.int_range(start, min(start + chunk, self.rows), dtype=pl.Int64, eager=True)
            # hours without commands begin where the next one does: the last of them is the one that has the row
            hour = self.hours["first"].search_sorted(index, side="right") - 1
            yield command_rows(self.hours[hour].with_columns(index.alias("row")), self.until, self.seed)

    def first_since(self, instant: datetime) -> int:
        """Return the index of the first command of the hour in which an instant lies."""
        earlier = self.hours.filter(pl.col("start") <= instant)
        return int(earlier["first"][-1]) if earlier.height else 0

    def agents(self) -> pl.DataFrame:
        """Return the agents; some have no team, region or budget, and some are retired."""
        chance = Chance(self.seed + 1, "row")
        years = timedelta(days=3 * 365)
        return pl.DataFrame({"row": pl.int_range(len(AGENTS), dtype=pl.Int64, eager=True), "name": AGENTS}).select(
            agent_id(pl.col("row")).alias("id"),
            "name",
            pl.when(chance.below("team?", 15) > 0).then(among(TEAMS, chance.below("team", len(TEAMS)))).alias("team"),
            pl.when(chance.below("region?", 25) > 0)
            .then(among(REGIONS, chance.weighted("region", [5, 3, 4, 2, 2, 1, 1])))
            .alias("region"),
            among(VERSIONS, chance.weighted("version", [1, 2, 5, 9])).alias("version"),
            (chance.below("active", 12) > 0).alias("active"),
            (_instant(self.until - years) + pl.duration(minutes=chance.below("since", 3 * 365 * 1440))).alias(
                "created_at"
            ),
            pl.when(chance.below("budget?", 6) > 0)
            .then((chance.gamma("budget") * 400).round(2))
            .cast(pl.Decimal(12, 2))
            .alias("monthly_budget_usd"),
        )

    def metrics(self) -> pl.DataFrame:
        """Return what each agent measured in each hour of the last days; a sensor fails now and then."""
        chance = Chance(self.seed + 2, "row")
        count = METRIC_DAYS * 24 * len(AGENTS)
        hour, agent = pl.col("row") // len(AGENTS), pl.col("row") % len(AGENTS)
        at = _instant(self.until - timedelta(days=METRIC_DAYS)) + pl.duration(hours=hour)
        busy = among(BY_HOUR, at.dt.hour().cast(pl.UInt32)) / max(BY_HOUR)
        cpu = 8 + 60 * busy * chance.uniform("cpu") + 30 * chance.uniform("noise")
        return pl.DataFrame({"row": pl.int_range(count, dtype=pl.Int64, eager=True)}).select(
            agent_id(agent).alias("agent_id"),
            at.alias("measured_at"),
            pl.when(chance.below("cpu?", 50) > 0).then(cpu.round(1)).alias("cpu_percent"),
            (chance.gamma("memory") * 900).round(1).alias("memory_mb"),
            (chance.gamma("queue") * 12 * busy).cast(pl.Int32).alias("queue_length"),
        )


def _instant(when: datetime) -> pl.Expr:
    return pl.lit(when.astimezone(UTC)).cast(INSTANT)
