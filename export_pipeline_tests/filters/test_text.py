from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipeline.errors import ConfigError
from export_pipeline.filters import OPERATORS, AnyFilter, parse_text, where
from export_pipeline.filters.operators import SPELLINGS

A = where("a", "eq", "1")
B = where("b", "eq", "2")
C = where("c", "eq", "3")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("status = failed", where("status", "eq", "failed")),
        ("status=failed", where("status", "eq", "failed")),
        ("duration_ms>=250", where("duration_ms", "ge", "250")),
        ("a != -1.5e3", where("a", "ne", "-1.5e3")),
        ("a is x", where("a", "eq", "x")),
        ("a is not x", where("a", "ne", "x")),
        ("a is null", where("a", "is_null")),
        ("a is not null", where("a", "is_not_null")),
        ("a is missing", where("a", "is_null")),
        ('a is "missing"', where("a", "eq", "missing")),
        ("a is_null", where("a", "is_null")),
        ("status in failed, timeout", where("status", "in", ["failed", "timeout"])),
        ("status in [failed, 'timed out']", where("status", "in", ["failed", "timed out"])),
        ("status not in (failed)", where("status", "not_in", ["failed"])),
        ("a between 1 and 5", where("a", "between", ["1", "5"])),
        ("a between 1, 5", where("a", "between", ["1", "5"])),
        ('name contains "a \\"b\\""', where("name", "contains", 'a "b"')),
        ("name starts with x", where("name", "starts_with", "x")),
        ("name does not contain x", where("name", "not_contains", "x")),
        ("name ICONTAINS x", where("name", "icontains", "x")),
        ("name =~ '^(a|b)$'", where("name", "matches", "^(a|b)$")),
        ('"my column" = 1', where("my column", "eq", "1")),
        ("started_at >= 2026-03-01T06:00:00+01:00", where("started_at", "ge", "2026-03-01T06:00:00+01:00")),
        ("a = ''", where("a", "eq", "")),
        ("größe > 5", where("größe", "gt", "5")),
    ],
)
def test_comparisons(text: str, same: AnyFilter) -> None:
    assert parse_text(text) == same


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a=1 and b=2 and c=3", A & B & C),
        ("a=1 or b=2 and c=3", A | (B & C)),
        ("(a=1 or b=2) and c=3", (A | B) & C),
        ("not a=1 and b=2", ~A & B),
        ("NOT (a=1 AND b=2)", ~(A & B)),
        ("not not a=1", ~~A),
        ("a between 1 and 5 and b=2", where("a", "between", ["1", "5"]) & B),
        ("a in 1, 2 or b=2", where("a", "in", ["1", "2"]) | B),
    ],
)
def test_and_binds_closer_than_or(text: str, same: AnyFilter) -> None:
    assert parse_text(text) == same


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "at its end: a column is missing"),
        ("status", "an operator after 'status' is missing"),
        ("status =", "a value after eq is missing"),
        ("status containz x", r"at 'containz': it is no operator \(did you mean 'contains'"),
        ("status = timed out", "at 'out'; text with spaces is put in quotes"),
        ("(a = 1", "a parenthesis is not closed"),
        ("a in [1, 2", "a list is not closed"),
        ("a = 1 and", "at its end: a column is missing"),
        ("a between 1", "takes two values"),
        ("a = 'open", 'at "\'open"'),
        ("a = 1) or b = 2", r"at '\)'"),
        ("a matches '(?=x)'", "lookahead"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_text(text)


@given(st.sampled_from(sorted(SPELLINGS)), st.text(st.characters(codec="utf-8"), max_size=8))
def test_every_spelling_is_understood_and_any_text_survives_quotes(spelling: str, value: str) -> None:
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    values = {"two": f"{quoted} and {quoted}", "nothing": "", "pattern": '"x"'}
    takes = OPERATORS[SPELLINGS[spelling]].takes
    parsed = parse_text(f"a {spelling} {values.get(takes, quoted)}")
    expected = {"two": [value, value], "nothing": None, "pattern": "x", "many": [value]}.get(takes, value)
    assert parsed == where("a", spelling, expected)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_text(text)
    except ConfigError as error:
        assert error.cure or "where" in error.message
