from __future__ import annotations

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipeline import labels
from export_pipeline.errors import ConfigError


@given(st.from_regex(r"[a-z0-9](?:[a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True))
def test_every_export_name_is_a_job_name_to_dagster(name: str) -> None:
    dg.GraphDefinition(labels.job_name(name))
    assert labels.job_name(name) != labels.ADHOC


@pytest.mark.parametrize("name", ["export", "config", "input", "type", "for", "none", "str"])
def test_words_that_are_taken_are_avoided(name: str) -> None:
    assert labels.job_name(name) == f"{name}_" if name != "none" else labels.job_name(name) == "none"
    dg.GraphDefinition(labels.job_name(name))


def test_an_exports_own_tags_cannot_mislead() -> None:
    assert labels.own_tags({"team": "ops", "a.b/c-d": "x", "dagster/priority": "3"})["team"] == "ops"
    for name in ("", "a b", "a/b/c", "k" * 64, "export_pipeline/trust", "dagster/run_key", ".dagster/x", "ä"):
        with pytest.raises(ConfigError, match="tags: "):
            labels.own_tags({name: "x"})
