from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipeline.errors import ConfigError
from export_pipeline.times import moment

WHEN = datetime(2026, 3, 1, 6, 5, 9, 87_654, tzinfo=ZoneInfo("Europe/Berlin"))  # a Sunday


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("YYYY-MM-DD", "2026-03-01"),
        ("YYYYMMDD_HHmmss", "20260301_060509"),
        ("YY Y YYY", "26 2026 262026"),
        ("M MM Mo MMM MMMM", "3 03 3rd Mar March"),
        ("Q Qo", "1 1st"),
        ("D DD Do DDD DDDD DDDo", "1 01 1st 60 060 60th"),
        ("d do dd ddd dddd e E", "0 0th Su Sun Sunday 0 7"),
        ("w wo ww", "10 10th 10"),
        ("W Wo WW", "9 9th 09"),
        ("gg gggg GG GGGG", "26 2026 26 2026"),
        ("y yo YYYYY YYYYYY", "2026 2026th 02026 +002026"),
        ("A a", "AM am"),
        ("H HH h hh k kk", "6 06 6 06 6 06"),
        ("m mm s ss", "5 05 9 09"),
        ("S SS SSS SSSSSS SSSSSSSSS", "0 08 087 087654 087654000"),
        ("Z ZZ", "+01:00 +0100"),
        ("X x", "1772341509 1772341509087"),
        ("Hmm Hmmss hmm hmmss", "605 60509 605 60509"),
        ("LT LTS", "6:05 AM 6:05:09 AM"),
        ("L l", "03/01/2026 3/1/2026"),
        ("LL", "March 1, 2026"),
        ("LLLL", "Sunday, March 1, 2026 6:05 AM"),
        ("[Y] YYYY [at] HH", "Y 2026 at 06"),
        ("\\Y-YYYY", "Y-2026"),
        ("", ""),
        ("YYYY/ü", "2026/ü"),
    ],
)
def test_tokens(pattern: str, text: str) -> None:
    assert moment(pattern, WHEN) == text


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (datetime(2026, 1, 1, 0, 0), "12 AM 24 2026 1 1st"),
        (datetime(2026, 1, 11, 12, 0), "12 PM 12 2026 3 11th"),
        (datetime(2027, 12, 31, 13, 0), "1 PM 13 2028 1 31st"),
        (datetime(2026, 2, 22, 23, 0), "11 PM 23 2026 9 22nd"),
        (datetime(2024, 12, 29, 1, 0), "1 AM 1 2025 1 29th"),
    ],
)
def test_halves_of_the_day_and_weeks_at_the_turn_of_the_year(when: datetime, text: str) -> None:
    assert moment("h A k gggg w Do", when) == text


def test_a_date_without_a_zone_is_utc() -> None:
    assert moment("HH Z", datetime(2026, 3, 1, 6)) == "06 +00:00"
    assert moment("Z", datetime(2026, 3, 1, tzinfo=ZoneInfo("America/St_Johns"))) == "-03:30"


@pytest.mark.parametrize("pattern", ["zz", "YYYY zz", "zzz"])
def test_long_names_of_zones_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="is not supported"):
        moment(pattern, WHEN)


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))
def test_equal_to_what_python_writes(when: datetime) -> None:
    assert moment("YYYY-MM-DDTHH:mm:ss.SSSSSSZ", when) == when.isoformat(timespec="microseconds")
    assert moment("GGGG-[W]WW-E", when) == "{}-W{:02d}-{}".format(*when.isocalendar())
    assert moment("DDDD hh", when) == when.strftime("%j %I")
