"""The demo's rows: the same for a seed, and believable."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from export_pipeline.demo.chance import Chance, among, scramble
from export_pipeline.demo.commands import COMMANDS_SCHEMA
from export_pipeline.demo.history import DAYS, History

UNTIL = datetime(2026, 11, 23, 19, 7, tzinfo=UTC)
GOLDEN = [
    "69d63e5b049f117427a522947316ee96e8bc3f3ca4a25d12fd005ad89ca948b4",
    "db9e4a294618b0189598bdbb2d798e99d047e0c4e0cbea31187f9aacc9ea764c",
    "90388171e91786891060b7a685854b84e63153ee129dab504e562c2190b9cafd",
]
"""SHA-256 of the first 2,000 commands, the agents and the metrics of seed 7, as CSV."""


@pytest.fixture(scope="module")
def commands() -> pl.DataFrame:
    return pl.concat(History(100_000, UNTIL).commands())


def sha256(rows: pl.DataFrame) -> str:
    return hashlib.sha256(rows.write_csv().encode()).hexdigest()


def test_the_rows_of_a_seed_are_these_and_no_others() -> None:
    history = History(2_000, UNTIL, seed=7)
    assert [sha256(pl.concat(history.commands())), sha256(history.agents()), sha256(history.metrics())] == GOLDEN
    assert sha256(pl.concat(History(2_000, UNTIL, seed=8).commands())) != GOLDEN[0]


def test_chunks_do_not_change_the_rows() -> None:
    history = History(5_000, UNTIL)
    whole = pl.concat(history.commands())
    assert pl.concat(history.commands(chunk=777)).equals(whole)
    assert pl.concat(history.commands(first=1_234, chunk=1_000)).equals(whole[1_234:])


def test_the_zone_of_the_end_does_not_change_the_rows() -> None:
    from zoneinfo import ZoneInfo

    here = pl.concat(History(500, UNTIL.astimezone(ZoneInfo("Asia/Tokyo"))).commands())
    assert here.equals(pl.concat(History(500, UNTIL).commands()))


def test_shape_and_order(commands: pl.DataFrame) -> None:
    assert commands.schema == COMMANDS_SCHEMA
    assert commands["id"].to_list() == list(range(1, 100_001))
    assert commands["started_at"].is_sorted()
    assert commands["started_at"].min() >= UNTIL - timedelta(days=DAYS)  # type: ignore[operator]
    newest = commands["started_at"].max()
    assert isinstance(newest, datetime)
    assert timedelta() < UNTIL - newest < timedelta(hours=1)  # "last 7 days" finds rows


@pytest.mark.parametrize("rows", [1, 2, 100, 4_321])
def test_small_histories(rows: int) -> None:
    history = History(rows, UNTIL)
    found = pl.concat(history.commands())
    assert found.height == rows
    assert found["started_at"].is_sorted()
    assert found["started_at"].null_count() == 0
    assert history.first_since(UNTIL - timedelta(days=9_999)) == 0


def test_first_since_finds_the_hour(commands: pl.DataFrame) -> None:
    instant = UNTIL - timedelta(days=30)
    first = History(100_000, UNTIL).first_since(instant)
    started = commands["started_at"]
    assert started[first] >= instant
    assert started[first - 1] < instant


def test_values_belong_together(commands: pl.DataFrame) -> None:
    status = pl.col("status")
    running = commands.filter(status == "running")
    assert running.height > 0
    assert (
        running.select(pl.col("finished_at", "duration_ms", "exit_code", "cost_usd").is_null().all()).row(0)
        == (True,) * 4
    )
    done = commands.filter(status != "running")
    took = (pl.col("finished_at") - pl.col("started_at")).dt.total_microseconds() / 1000 - pl.col("duration_ms")
    assert done.select(took.abs().max()).item() < 0.01
    assert done.select(pl.col("finished_at").max()).item() <= UNTIL
    codes = {name: set(group["exit_code"]) for (name,), group in done.group_by("status")}
    assert codes["success"] == {0}
    assert codes["timeout"] == {124}
    assert codes["cancelled"] == {130}
    assert 0 not in codes["failed"]
    assert (
        commands.filter(status == "cancelled")["cost_usd"].null_count() == commands.filter(status == "cancelled").height
    )


def test_it_is_skewed_seasonal_and_fails_in_bursts(commands: pl.DataFrame) -> None:
    agents = commands["agent_id"].value_counts(sort=True)
    assert agents.height == 200
    assert agents["count"][:20].sum() > 0.35 * commands.height
    kinds = dict(commands["command"].value_counts().iter_rows())
    assert kinds["test"] > 20 * kinds["rollback"]
    at = pl.col("started_at")
    hours = dict(commands.group_by(at.dt.hour()).len().iter_rows())
    assert hours[10] > 5 * hours[3]
    weekdays = dict(commands.group_by(at.dt.weekday()).len().iter_rows())
    assert weekdays[2] > 3 * weekdays[7]
    bad = pl.col("status").is_in(["failed", "timeout"])
    share = commands.select(bad.mean()).item()
    assert 0.03 < share < 0.08
    by_hour = commands.group_by(at.dt.truncate("1h")).agg(bad.mean().alias("bad"), pl.len()).filter(pl.col("len") > 20)
    assert by_hour.filter(pl.col("bad") > 0.2).height >= 5
    assert by_hour["bad"].median() < 0.06  # type: ignore[operator]
    recent = commands.filter(at > UNTIL - timedelta(days=7))
    assert recent.filter(bad).height > 50


def test_it_has_what_exports_stumble_over(commands: pl.DataFrame) -> None:
    nulls = commands.null_count().row(0, named=True)
    assert {name for name, count in nulls.items() if count} == {
        "ticket", "finished_at", "duration_ms", "exit_code", "cost_usd", "host", "message",
    }  # fmt: skip
    message = commands["message"].drop_nulls()
    for needle in ('"', "\n", "=", "✅", "💥", "件", "ü"):
        assert message.str.contains(needle, literal=True).any(), needle
    assert message.str.starts_with("=").any()
    assert commands["ticket"].drop_nulls().str.starts_with("00").any()
    agents = History(1, UNTIL).agents()
    assert agents.height == agents["id"].n_unique() == 200
    assert agents["name"].n_unique() == 200
    for column in ("team", "region", "monthly_budget_usd"):
        assert 0 < agents[column].null_count() < 60
    assert agents["region"].n_unique() > 5
    assert agents["name"].str.contains("[;,\"']").any()


def test_metrics() -> None:
    metrics = History(1, UNTIL).metrics()
    assert metrics.height == 7 * 24 * 200
    assert metrics.select("agent_id", "measured_at").is_unique().all()
    assert 0 < metrics["cpu_percent"].null_count() < 0.05 * metrics.height
    assert metrics["cpu_percent"].is_between(0, 100).all()
    assert metrics["measured_at"].max() < UNTIL  # type: ignore[operator]


def test_chance_is_splitmix64() -> None:
    rows = pl.DataFrame({"row": [0, 1, 2, 2**40]})
    chance = Chance(7, "row")
    bits = rows.select(chance.bits("x")).to_series().to_list()
    golden = 0x9E3779B97F4A7C15
    start = scramble(7 + int.from_bytes(b"x", "little") * golden)
    assert bits == [scramble(row * golden + start) for row in rows["row"]]
    # reference value of the algorithm: the first output for the state 0
    assert scramble(golden) == 0xE220A8397B1DCDAF


def test_chance_is_fair() -> None:
    rows = pl.DataFrame({"row": pl.int_range(200_000, eager=True)})
    chance = Chance(3, "row")
    found = rows.select(
        uniform=chance.uniform("u"),
        other=chance.uniform("v"),
        gamma=chance.gamma("g"),
        below=chance.below("b", 10),
        weighted=chance.weighted("w", [1, 2, 1]),
        word=among(["a", "b"], chance.below("c", 2)),
    )
    assert found.select(pl.col("uniform").min() > 0, other=pl.col("uniform").max() < 1).row(0) == (True, True)
    assert found["uniform"].mean() == pytest.approx(0.5, abs=0.005)
    assert found.select(pl.corr("uniform", "other")).item() == pytest.approx(0, abs=0.01)
    assert found["gamma"].mean() == pytest.approx(1, abs=0.01)
    assert found["gamma"].var() == pytest.approx(0.5, abs=0.02)
    assert sorted(found["below"].unique()) == list(range(10))
    shares = {place: count / found.height for place, count in found["weighted"].value_counts().iter_rows()}
    assert shares == pytest.approx({0: 0.25, 1: 0.5, 2: 0.25}, abs=0.01)
    assert set(found["word"]) == {"a", "b"}


def test_the_quietest_hour_of_the_default_demo_has_rows() -> None:
    hours = History(250_000, datetime(2026, 11, 22, 4, 0, tzinfo=UTC)).hours  # a Sunday night
    assert hours["count"].min() >= 2  # type: ignore[operator]
