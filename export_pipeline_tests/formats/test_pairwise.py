from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from export_pipeline_tests.formats.pairwise import pairwise


@given(st.lists(st.integers(1, 5), min_size=2, max_size=6))
def test_each_pair_occurs(sizes: list[int]) -> None:
    options = {f"o{n}": list(range(size)) for n, size in enumerate(sizes)}
    rows = pairwise(options)
    for one, other in itertools.combinations(options, 2):
        assert {(row[one], row[other]) for row in rows} == set(itertools.product(options[one], options[other]))
    assert all(list(row) == list(options) for row in rows)


def test_it_is_much_smaller_than_all_combinations() -> None:
    rows = pairwise({f"o{n}": range(4) for n in range(10)})
    assert 16 <= len(rows) <= 40  # of a million


def test_only_allowed_rows_are_made_and_every_pair_that_can_be() -> None:
    def allowed(row: dict[str, Any]) -> bool:
        return not (row.get("quotes") == "none" and row.get("escape") == "\\")

    options: dict[str, list[Any]] = {"quotes": ["all", "none"], "escape": ['"', "\\"], "x": [1, 2, 3]}
    rows = pairwise(options, allowed)
    assert all(map(allowed, rows))
    assert {(row["escape"], row["x"]) for row in rows} == set(itertools.product(['"', "\\"], [1, 2, 3]))
    assert {(row["quotes"], row["escape"]) for row in rows} == {("all", '"'), ("all", "\\"), ("none", '"')}


def test_a_pair_that_no_allowed_row_can_hold_is_left_out() -> None:
    options = {"a": [1, 2], "b": [1, 2], "c": [1, 2]}
    rows = pairwise(options, lambda row: len(row) < 3 or sum(row.values()) < 5)
    assert rows and all(sum(row.values()) < 5 for row in rows)
