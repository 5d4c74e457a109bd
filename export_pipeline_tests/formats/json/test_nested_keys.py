"""Keys of groups in nested JSON: their texts, their order, missing ones."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from export_pipeline.errors import FormatError
from export_pipeline_tests.formats.json.documents import document, json_form, nested, written

KEYS: dict[str, tuple[list[Any], pl.DataType, list[str]]] = {
    "numbers by value": ([10, 9, -1, None, 2**63 - 1], pl.Int64(), ["-1", "9", "10", "9223372036854775807", "null"]),
    "unsigned": ([2**64 - 1, 0], pl.UInt64(), ["0", "18446744073709551615"]),
    "texts": (["b", "", None, "B", "é", "Z\n", 'q"\\'], pl.String(), ["", "B", "Z\n", "b", "null", 'q"\\', "é"]),
    "dates": ([dt.date(2026, 3, 1), dt.date(1, 1, 1), None], pl.Date(), ["0001-01-01", "2026-03-01", "null"]),
    "times": ([dt.time(1, 2, 3)], pl.Time(), ["01:02:03"]),
    "instants": ([dt.datetime(2026, 3, 1, 6)], pl.Datetime("us"), ["2026-03-01T06:00:00.000000"]),
    "zones": (
        [dt.datetime(2026, 3, 1, 6, tzinfo=dt.UTC)],
        pl.Datetime("ms", "UTC"),
        ["2026-03-01T06:00:00.000+00:00"],
    ),
    "booleans": ([True, False, None], pl.Boolean(), ["false", "null", "true"]),
    "floats": ([1.5, float("nan"), None, -0.0], pl.Float64(), ["-0.0", "1.5", "null"]),
    "decimals": ([Decimal("1.10"), None], pl.Decimal(10, 2), ["1.10", "null"]),
    "binary": ([b"\xff"], pl.Binary(), ["/w=="]),
    "categories": (["y", "x"], pl.Categorical(), ["x", "y"]),
    "nothing": ([None, None], pl.Null(), ["null"]),
}


@pytest.mark.parametrize("what", KEYS)
@pytest.mark.parametrize("more", [[], [{"key": "n", "name": "numbers", "keep": True}]], ids=["alone", "outer"])
def test_keys_of_other_types_are_their_texts_in_order(what: str, more: list[Any], tmp_path: Path) -> None:
    values, dtype, keys = KEYS[what]
    frame = pl.DataFrame({"k": pl.Series(values, dtype=dtype), "n": range(len(values))})
    found = document(frame, tmp_path, **nested({"key": "k", "name": "groups"}, *more))["groups"]
    assert list(found) == keys
    if not more:
        assert sum(len(group["records"]) for group in found.values()) == len(values)


def test_keys_that_are_no_finite_numbers_are_what_records_would_say(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    frame = pl.DataFrame({"k": [nan, None, inf, -inf, 1.5], "n": range(5)})
    found = document(frame, tmp_path, **nested({"key": "k", "name": "ks"}), non_finite="string")["ks"]
    assert {key: group["records"][0]["n"] for key, group in found.items()} == {
        "NaN": 0, "null": 1, "Infinity": 2, "-Infinity": 3, "1.5": 4
    }  # fmt: skip
    with pytest.raises(FormatError, match=r"column 'k', row [134]"):
        written(frame, tmp_path, **nested({"key": "k", "name": "ks"}), non_finite="error")
    entities = {"entities": {"ks": {"key": "k", "fields": []}, "ns": {"key": "n"}}}
    found = document(frame, tmp_path, structure={"normalized": entities}, non_finite="string")["ks"]
    assert set(found) == {"NaN", "Infinity", "-Infinity", "1.5"}
    with pytest.raises(FormatError, match=r"column 'k', row [134]"):
        written(frame, tmp_path, structure={"normalized": entities}, non_finite="error")


def test_a_missing_key_and_its_text_are_never_one_group(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": ["null", None, "x"], "n": [1, 2, 3]})
    with pytest.raises(FormatError, match="rows without a key and rows with the key 'null'"):
        written(frame, tmp_path, **nested({"key": "k", "name": "g"}))
    with pytest.raises(FormatError, match="one group"):  # the outer keys are the same, the inner ones are not
        written(frame, tmp_path, **nested({"key": "k", "name": "g"}, {"key": "n", "name": "ns", "keep": True}))
    assert not list(tmp_path.iterdir())
    found = document(frame, tmp_path, **nested({"key": "k", "name": "g"}, missing="(none)"))["g"]
    assert found == {key: {"records": [{"n": n}]} for key, n in (("(none)", 2), ("null", 1), ("x", 3))}
    only = frame.filter(pl.col("k").is_not_null())
    assert list(document(only, tmp_path, **nested({"key": "k", "name": "g"}))["g"]) == ["null", "x"]


def test_a_missing_number_cannot_stand_for_a_number() -> None:
    with pytest.raises(FormatError, match="'-1' could be a key of 'g'"):
        json_form(nested({"key": "k", "name": "g"}, missing="-1")).check(pl.Schema({"k": pl.Int8(), "n": pl.Int8()}))


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ([{"key": "agnt", "name": "a"}], "no column 'agnt'.*agent"),
        ([{"key": "l", "name": "a"}], "which is no key"),
        ([{"key": "agent", "name": "a"}, {"key": "l", "name": "b", "keep": True}], "which is no key"),
    ],
)
def test_keys_that_are_none_are_refused(by: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(FormatError, match=said):
        json_form(nested(*by)).check(pl.Schema({"agent": pl.String(), "l": pl.List(pl.Int8())}))
