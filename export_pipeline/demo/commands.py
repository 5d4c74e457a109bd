"""The columns of the demo's commands, made of the row's index and of the hour in which it lies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from export_pipeline.demo.chance import Chance, among
from export_pipeline.demo.words import AGENTS, COMMANDS, MESSAGES

INSTANT = pl.Datetime("us", "UTC")
TIMEOUT_MS = 300_000.0
EXIT_CODES = (1, 1, 1, 1, 2, 2, 126, 127, 137, 255)
"""What failed commands end with."""

COMMANDS_SCHEMA = pl.Schema(
    {
        "id": pl.Int64(),
        "agent_id": pl.String(),
        "command": pl.String(),
        "status": pl.String(),
        "ticket": pl.String(),
        "started_at": INSTANT,
        "finished_at": INSTANT,
        "duration_ms": pl.Float64(),
        "exit_code": pl.Int32(),
        "retries": pl.Int32(),
        "cost_usd": pl.Decimal(12, 4),
        "host": pl.String(),
        "message": pl.String(),
    }
)


def agent_id(number: pl.Expr) -> pl.Expr:
    """Return the id of an agent by its number, counted from 0: ``agent-001``."""
    return pl.concat_str(pl.lit("agent-"), (number.cast(pl.Int64) + 1).cast(pl.String).str.zfill(3))


def command_rows(rows: pl.DataFrame, until: datetime, seed: int) -> pl.DataFrame:
    """Return the commands for rows of `row` (index) and the hour they lie in (`start`, `trouble`, `first`, `count`)."""
    chance = Chance(seed, "row")
    kind, status = pl.col("kind"), pl.col("status")
    within = (pl.col("row") - pl.col("first") + chance.uniform("second")) / pl.col("count")
    luck = chance.uniform("luck") / pl.col("trouble")
    outcome = (
        pl.when(luck < 0.75)
        .then(pl.lit("failed"))
        .when(luck < 1)
        .then(pl.lit("timeout"))
        .when(chance.uniform("cancel") < 0.02)
        .then(pl.lit("cancelled"))
        .otherwise(pl.lit("success"))
    )
    usual = among([command.milliseconds for command in COMMANDS], kind) * chance.gamma("duration")
    lasted = pl.when(status == "timeout").then(TIMEOUT_MS).otherwise(usual).round(3)
    end = until.astimezone(UTC)
    stuck = (pl.col("started_at") > end - timedelta(days=1)) & (chance.below("stuck", 60) == 0)
    running = (pl.col("finished_at") > end) | stuck
    decided = (
        rows.with_columns(
            # few agents do most of the work
            agent=(chance.uniform("agent").pow(2.5) * len(AGENTS)).cast(pl.UInt32),
            kind=chance.weighted("command", [command.weight for command in COMMANDS]),
            started_at=pl.col("start") + pl.duration(microseconds=(within * 3.6e9).cast(pl.Int64)),
            status=outcome,
        )
        .with_columns(duration_ms=lasted)
        .with_columns(
            finished_at=pl.col("started_at") + pl.duration(microseconds=(pl.col("duration_ms") * 1000).cast(pl.Int64))
        )
        .with_columns(status=pl.when(running).then(pl.lit("running")).otherwise(status))
    )
    done = status != "running"
    price = among([command.usd_per_hour for command in COMMANDS], kind) * pl.col("duration_ms") / 3.6e6
    return decided.select(
        (pl.col("row") + 1).alias("id"),
        agent_id(pl.col("agent")).alias("agent_id"),
        among([command.name for command in COMMANDS], kind).alias("command"),
        status,
        # ids with leading zeros, which many an export has lost
        pl.when(chance.below("ticket?", 4) == 0)
        .then(chance.below("ticket", 90_000).cast(pl.String).str.zfill(6))
        .alias("ticket"),
        "started_at",
        pl.when(done).then(pl.col("finished_at")).alias("finished_at"),
        pl.when(done).then(pl.col("duration_ms")).alias("duration_ms"),
        pl.when(done).then(_exit_code(status, chance)).alias("exit_code"),
        pl.when(status == "success").then(0).otherwise(chance.below("retries", 4)).alias("retries"),
        pl.when(done & (status != "cancelled")).then(price.round(4)).alias("cost_usd"),
        pl.when(chance.below("host?", 33) > 0)
        .then(pl.concat_str(pl.lit("node-"), (pl.col("agent") % 50 + 1).cast(pl.String).str.zfill(2)))
        .alias("host"),
        pl.when(chance.below("message?", 6) > 0).then(_message(status, chance)).alias("message"),
    ).cast(COMMANDS_SCHEMA)


def _exit_code(status: pl.Expr, chance: Chance) -> pl.Expr:
    failed = among(EXIT_CODES, chance.below("exit", len(EXIT_CODES)))
    ended = status.replace_strict({"success": 0, "timeout": 124, "cancelled": 130}, default=None, return_dtype=pl.Int64)
    return pl.when(status == "failed").then(failed).otherwise(ended)


def _message(status: pl.Expr, chance: Chance) -> pl.Expr:
    """Return what a command says: for each outcome, one of its messages by weight, around a number."""
    said = pl.lit(None, pl.UInt32)
    for outcome in dict.fromkeys(message.outcome for message in MESSAGES):
        places = [place for place, message in enumerate(MESSAGES) if message.outcome == outcome]
        chosen = chance.weighted("message", [MESSAGES[place].weight for place in places])
        said = pl.when(status == outcome).then(chosen + places[0]).otherwise(said)
    return pl.concat_str(
        among([message.before for message in MESSAGES], said),
        chance.below("number", 1000).cast(pl.String),
        among([message.after for message in MESSAGES], said),
    )
