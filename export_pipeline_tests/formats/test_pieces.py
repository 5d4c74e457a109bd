"""Pieces of text files: nothing is lost, records stay whole, results come in order."""

from __future__ import annotations

import csv
import io
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipeline.formats.pieces import parsed, pieces

FIELDS = st.text(st.sampled_from('a,"\\\n\r;é'), max_size=12)


@given(
    st.lists(st.lists(FIELDS, min_size=2, max_size=3), max_size=12), st.integers(1, 40), st.booleans(), st.booleans()
)
def test_records_stay_whole(rows: list[list[str]], size: int, ended: bool, doubled: bool) -> None:
    text = io.StringIO()
    how: Any = {"doublequote": doubled, "escapechar": None if doubled else "\\"}
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL, **how).writerows(rows)
    data = text.getvalue().encode()
    data = data if ended else data.removesuffix(b"\n")
    found = list(pieces(io.BytesIO(data), b'"', b"" if doubled else b"\\", size))
    assert b"".join(found) == data
    read = [row for piece in found for row in csv.reader(io.StringIO(piece.decode(), newline=""), **how)]
    assert read == list(csv.reader(io.StringIO(data.decode(), newline=""), **how)) == rows


def test_pieces_are_small_and_without_quotes_each_line_ends_a_record() -> None:
    data = b'a,"b\n' * 1000
    found = list(pieces(io.BytesIO(data), size=64))
    assert b"".join(found) == data
    assert max(map(len, found)) <= 64 + 5
    assert list(pieces(io.BytesIO(b""))) == []


def test_a_quote_that_never_ends_makes_one_piece() -> None:
    data = b'a,"b\n' + b"c,d\n" * 100
    assert list(pieces(io.BytesIO(data), b'"', size=16)) == [data]


def test_results_come_in_order_and_few_pieces_are_held() -> None:
    taken = []

    def given_pieces() -> Iterator[bytes]:
        for n in range(20):
            taken.append(n)
            yield bytes([n])

    def parse(piece: bytes) -> int:
        time.sleep(0.002 if piece[0] % 2 else 0)
        return piece[0]

    results = parsed(given_pieces(), parse)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(taken) <= 5 + 3
    assert list(results) == list(range(5, 20))


def test_an_error_is_raised_in_its_place_and_no_thread_is_left() -> None:
    before = threading.active_count()
    seen = []
    with pytest.raises(ValueError, match="invalid literal"):
        for value in parsed(iter([b"1", b"2", b"x", b"4"]), int):
            seen.append(value)
    assert seen == [1, 2]
    assert threading.active_count() == before
