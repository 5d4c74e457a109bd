"""Waits between tries."""

from __future__ import annotations

from datetime import timedelta

import pytest

from export_pipeline.errors import ConfigError
from export_pipeline.parsing import parse
from export_pipeline.retries import Retry


@pytest.mark.parametrize(
    ("backoff", "waits"), [("linear", [2, 4, 6, 8, 10, 10]), ("exponential", [2, 4, 8, 10, 10, 10])]
)
def test_waits_grow_up_to_the_longest(backoff: str, waits: list[float]) -> None:
    retry = parse(Retry, {"backoff": backoff, "delay": "2s", "max_delay": "10s"})
    assert [retry.wait(attempt) for attempt in range(1, 7)] == waits


def test_durations_carry_a_unit() -> None:
    assert parse(Retry, {"maxDelay": "5m"}).max_delay == timedelta(minutes=5)
    with pytest.raises(ConfigError, match="unit"):
        parse(Retry, {"max_delay": 300})
    with pytest.raises(ConfigError, match="attempts"):
        parse(Retry, {"attempts": 21})
