"""YAML 1.2 in and out."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipeline import yaml
from export_pipeline.errors import ConfigError

FILE = """\
# what finance gets
version: 1      # the language
name: costs
at: 22:00       # text, not 1320
columns:
    - agent     # first
    - {cost: "1"}
empty:
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:00", "22:00"),
        ("no", "no"),
        ("on", "on"),
        ("00123", "00123"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0", 0),
        ("+12", 12),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("01.5", "01.5"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("~", None),
        ("", None),
        ("Null", None),
        ("TRUE", True),
        ("'true'", "true"),
        ('"5"', "5"),
        ("|\n  a\n  b", "a\nb"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    loaded = yaml.load(f"x: {text}").data["x"]
    assert loaded == value
    assert type(loaded) is type(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: 'a' is given twice"),
        ("a: [1,\nb: 2", "line 3"),
        ("a: 1\nb: !!python/object:os.system x", "line 2: the tag"),
        ("{a: b}: c", "line 1: a key must be plain text"),
        ("a: 1\n\tb: 2", "line 2"),
        ("a: 1\n---\nb: 2", "line 2"),
        ("[" * 100 + "]" * 100, "64 levels"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"costs\.yaml") as caught:
        yaml.load(text, "costs.yaml")
    assert says in str(caught.value)


def test_lines_of_paths_are_known_also_under_levels_that_only_a_model_has() -> None:
    document = yaml.load(FILE)
    assert document.line(("name",)) == 3
    assert document.line(("columns", 1, "field", "cost")) == 7
    assert document.line(("nothing",)) == 2


def test_a_file_is_rewritten_with_its_comments_and_only_what_changed() -> None:
    data = yaml.load(FILE).data
    assert yaml.rewrite(FILE, data) == FILE
    changed = data | {"name": "prices", "columns": ["agent", {"cost": "2"}]}
    text = yaml.rewrite(FILE, changed)
    assert yaml.load(text).data == changed
    before, after = FILE.splitlines(), text.splitlines()
    assert [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == [2, 6]
    assert "# first" in text


def test_keys_can_come_and_go() -> None:
    changed = {"version": 1, "limit": 5, "filter": {"status": ["no", "22:00"]}}
    text = yaml.rewrite(FILE, changed)
    assert yaml.load(text).data == changed
    assert text.startswith("# what finance gets\nversion: 1      # the language\n")


plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1), plain, max_size=5))
def test_what_is_dumped_loads_back_equal(data: dict[str, Any]) -> None:
    assert yaml.load(yaml.dump(data)).data == data


@given(st.dictionaries(st.text(min_size=1), plain, max_size=4), st.dictionaries(st.text(min_size=1), plain, max_size=4))
def test_any_data_can_be_rewritten_into_any_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert yaml.load(yaml.rewrite(yaml.dump(old), new)).data == new
