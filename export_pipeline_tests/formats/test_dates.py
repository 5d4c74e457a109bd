"""Columns of dates as text: against moment.js itself, against the scalar sibling, and the rules of our own."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipeline.errors import ConfigError
from export_pipeline.formats.dates import CHRONO, EXPRESSIONS, check_pattern, formatted
from export_pipeline.times import moment
from export_pipeline.times.moment import TEXT
from export_pipeline.times.patterns import DATE_TOKENS, LONG, TIME_TOKENS
from export_pipeline_tests.formats.streaming import not_streaming

TOKENS = sorted(DATE_TOKENS | TIME_TOKENS | set(LONG))
TEXTS = ["-", "/", ".", ":", " ", ", ", "[at]", "[100%]", "%", "[]", "[x y]", "\\Y", "\\[", "\\L", "\\\\", "T", "g",
         "ü", "YYY", "]", "'", '"', "v"]  # fmt: skip
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "America/St_Johns",
    "Pacific/Auckland",
    "Australia/Lord_Howe",
]
MILLISECOND = dt.timedelta(milliseconds=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
PACKAGE = Path(__file__).parents[2] / ".node" / "node_modules" / "moment"

_SCRIPT = """
const moment = require(process.argv[1]);
const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const found = asked.map(([pattern, instants]) => instants.map(([ms, offset]) =>
  (offset === null ? moment.utc(ms) : moment(ms).utcOffset(offset, false, true)).format(pattern)));
process.stdout.write(JSON.stringify(found));
"""
Asked = list[tuple[str, list[tuple[int, int | None]]]]


def by_moment(asked: Asked) -> list[list[str]]:
    """Return what moment.js makes of patterns and instants: (ms since 1970, offset in minutes or None for UTC)."""
    if not PACKAGE.is_dir() or shutil.which("node") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("node, or npm's moment in .node, is not installed")
        pytest.skip("moment.js is not installed: npm install --prefix .node moment@2.31.0")
    done = subprocess.run(
        ["node", "-e", _SCRIPT, str(PACKAGE)], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    found: list[list[str]] = json.loads(done.stdout)
    return found


def milliseconds(year: int, month: int = 1, day: int = 1, hour: int = 0) -> int:
    return (dt.datetime(year, month, day, hour, tzinfo=dt.UTC) - EPOCH) // MILLISECOND


def column(instants: list[int | None], zone: str | None = "UTC") -> pl.Series:
    """Return instants in milliseconds as a column; without a zone, their UTC time."""
    series = pl.Series("t", instants, dtype=pl.Int64).cast(pl.Datetime("ms", "UTC"))
    return series.dt.convert_time_zone(zone) if zone else series.dt.replace_time_zone(None)


def texts(series: pl.Series, *patterns: str) -> list[list[str | None]]:
    """Return the texts of a column by each pattern."""
    frame = series.alias("t").to_frame()
    found = frame.select(formatted(pl.col("t"), series.dtype, p).alias(str(n)) for n, p in enumerate(patterns))
    return [found[name].to_list() for name in found.columns]


def random_pattern(chance: random.Random) -> str:
    pieces = [chance.choice(TOKENS if chance.random() < 0.65 else TEXTS) for _ in range(chance.randint(1, 6))]
    return "".join([*pieces, chance.choice(TOKENS)]) if chance.random() < 0.9 else chance.choice(TOKENS)


def is_pattern(pattern: str) -> bool:
    """Return whether a pattern made by chance is one: it may have become a text, or strftime's."""
    try:
        check_pattern(pattern)
    except ConfigError:
        return False
    return True


def random_instants(chance: random.Random, count: int) -> list[int]:
    """Return instants of 1970 to 2100, some of the years 1 to 9999, and turns of years and weeks."""
    usual = [chance.randrange(0, milliseconds(2101)) for _ in range(count)]
    wide = [chance.randrange(milliseconds(1), milliseconds(9999, 12, 31)) for _ in range(count // 4)]
    turns = [
        milliseconds(
            chance.randrange(1950, 2101), *chance.choice([(1, 1), (1, 4), (2, 28), (3, 1), (12, 28), (12, 31)])
        )
        + chance.choice([0, 1, 12 * 3_600_000, 24 * 3_600_000 - 1])
        for _ in range(count // 2)
    ]
    return [*usual, *wide, *turns, -1, 0]


def test_every_token_has_both_implementations() -> None:
    assert set(CHRONO) | set(EXPRESSIONS) == set(TEXT) == DATE_TOKENS | TIME_TOKENS
    assert not set(CHRONO) & set(EXPRESSIONS)


def test_equal_to_moment_in_utc() -> None:
    """Each token over 200 instants, and random patterns: in moment's UTC mode, as columns with and without a zone."""
    chance = random.Random(1)
    patterns = [*((token, 110) for token in TOKENS), *((random_pattern(chance), 6) for _ in range(900))]
    asked = [(p, random_instants(chance, n)) for p, n in patterns if is_pattern(p)]
    expected = by_moment([(pattern, [(ms, None) for ms in instants]) for pattern, instants in asked])
    assert sum(map(len, expected)) > 20_000
    for n, ((pattern, instants), want) in enumerate(zip(asked, expected, strict=True)):
        (got,) = texts(column([*instants], "UTC" if n % 2 else None), pattern)
        assert got == want, pattern


def test_equal_to_moment_in_zones() -> None:
    """In moment's utcOffset mode, at the offset that Python's zone data give: its own core has no zones, so no `z`."""
    chance = random.Random(2)
    asked: list[tuple[str, str, list[tuple[int, int | None]]]] = []
    for _ in range(300):
        pattern, zone = random_pattern(chance), chance.choice(ZONES)
        if "z" in pattern or not is_pattern(pattern):
            continue
        known = [ms for ms in random_instants(chance, 14) if 0 <= ms < milliseconds(2037)]
        local = [(EPOCH + ms * MILLISECOND).astimezone(ZoneInfo(zone)) for ms in known]
        offsets = [int((when.utcoffset() or dt.timedelta()).total_seconds() // 60) for when in local]
        asked.append((pattern, zone, list(zip(known, offsets, strict=True))))
    expected = by_moment([(pattern, instants) for pattern, _, instants in asked])
    assert sum(map(len, expected)) > 3_000
    for (pattern, zone, instants), want in zip(asked, expected, strict=True):
        (got,) = texts(column([ms for ms, _ in instants], zone), pattern)
        assert got == want, (pattern, zone)


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(TOKENS + TEXTS), max_size=6),
    last=st.sampled_from(TOKENS),
    whens=st.lists(st.datetimes(), max_size=5),
)
def test_equal_to_the_scalar_sibling(pieces: list[str], last: str, whens: list[dt.datetime]) -> None:
    pattern = "".join([*pieces, last])
    if is_pattern(pattern):
        (got,) = texts(pl.Series(whens, dtype=pl.Datetime("us")), pattern)
        assert got == [moment(pattern, when) for when in whens]


@settings(max_examples=60, deadline=None)
@given(
    pattern=st.sampled_from(
        ["YYYY-MM-DD HH:mm:ss.SSSSSS Z ZZ z X x", "dddd Do w gggg W GGGG E d LLLL", "h k a N Q DDDD"]
    ),
    zone=st.sampled_from([*ZONES, "UTC"]),
    whens=st.lists(
        st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2037, 1, 1), timezones=st.just(dt.UTC)), max_size=5
    ),
)
def test_equal_to_the_scalar_sibling_in_zones(pattern: str, zone: str, whens: list[dt.datetime]) -> None:
    series = pl.Series(whens, dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    assert texts(series, pattern) == [[moment(pattern, when.astimezone(ZoneInfo(zone))) for when in whens]]


def test_every_token_streams() -> None:
    for dtype in (pl.Datetime("us"), pl.Datetime("us", "Europe/Berlin"), pl.Date()):
        rows = pl.DataFrame(schema={"t": dtype}).lazy()
        assert not_streaming(rows.select(formatted(pl.col("t"), dtype, token).alias(token) for token in TOKENS)) == []


def test_both_hours_of_a_clock_put_back_have_their_offset() -> None:
    instants = [milliseconds(2025, 10, 26, 0), milliseconds(2025, 10, 26, 1), None]
    assert texts(column(instants, "Europe/Berlin"), "HH:mm Z z") == [["02:00 +02:00 CEST", "02:00 +01:00 CET", None]]


def test_dates_are_midnight_and_null_stays_null() -> None:
    series = pl.Series([dt.date(2026, 3, 1), None, dt.date(1, 1, 1), dt.date(9999, 12, 31)])
    found = texts(series, "D.M.YYYY HH:mm Z", "[only] N", "gggg")
    assert found[0] == ["1.3.2026 00:00 +00:00", None, "1.1.0001 00:00 +00:00", "31.12.9999 00:00 +00:00"]
    assert found[1] == ["only AD", None, "only AD", "only AD"]
    assert found[2] == ["2026", None, "0001", "10000"]


def test_times_take_tokens_of_times_only() -> None:
    series = pl.Series([dt.time(0), dt.time(23, 59, 59, 999999), None])
    assert texts(series, "h:mm:ss.SSSSSS A [o'clock] kk") == [
        ["12:00:00.000000 AM o'clock 24", "11:59:59.999999 PM o'clock 23", None]
    ]
    with pytest.raises(ConfigError, match="'L LT' asks for a date of a column of times"):
        texts(series, "L LT")


def test_nanoseconds_are_kept_where_asked_for() -> None:
    series = pl.Series([1, -1], dtype=pl.Int64).cast(pl.Datetime("ns"))
    assert texts(series, "ss.SSSSSSSSS", "x") == [["00.000000001", "59.999999999"], ["0", "-1"]]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "has no date token"),
        ("[YYYY]", "has no date token"),
        ("%Y-%m-%d", r"written for strftime \('%Y'\)"),
        ("yyyy-MM-dd", "has 'dd', which is the weekday"),
        ("YYYY-mm-DD", "has 'mm', which is minutes"),
        ("YYYY zz", "token 'zz' in 'YYYY zz' is not supported"),
        ("YYYY\nMM", "has a line end"),
    ],
)
def test_wrong_patterns_are_refused(pattern: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_pattern(pattern)


def test_a_text_in_brackets_is_kept_whatever_it_is() -> None:
    assert texts(column([0]), "[%Y-%m\n] YYYY", "[100%] YY%", "[%%]YYYY") == [
        ["%Y-%m\n 1970"],
        ["100% 70%"],
        ["%%1970"],
    ]
