"""JSON files: every value is kept."""

from __future__ import annotations

import gzip
import json
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from export_pipeline.errors import SourceError
from export_pipeline.sources import FilesSource
from export_pipeline_tests.sources.test_contract import read


def rows_of(path: Path, data: bytes | str, **options: Any) -> pl.DataFrame:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    with FilesSource(files=[str(path)], **options).open() as opened:
        return read(opened)


def lines(*values: Any) -> str:
    return "".join(f'{{"v": {value if isinstance(value, str) else json.dumps(value)}}}\n' for value in values)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.ndjson"


COLUMNS: list[tuple[list[str], pl.DataType, list[Any]]] = [
    (["1", "null", "-2"], pl.Int64(), [1, None, -2]),
    (["18446744073709551616", "1"], pl.Decimal(38, 0), [Decimal(2**64), Decimal(1)]),
    (["1", "1.5"], pl.Float64(), [1.0, 1.5]),
    (["9007199254740993", "1.5"], pl.String(), ["9007199254740993", "1.5"]),
    (["1" * 45], pl.String(), ["1" * 45]),
    (["true", "false"], pl.Boolean(), [True, False]),
    (["true", "1"], pl.String(), ["true", "1"]),
    (['"1"', "1", '"a\\"b"', "[1]", "null"], pl.String(), ['"1"', "1", '"a\\"b"', "[1]", None]),
    (['"1"', '"00123"', '""'], pl.String(), ["1", "00123", ""]),
    (['"2026-01-01"', "null"], pl.Date(), [date(2026, 1, 1), None]),
    (['"2026-01-01"', '""'], pl.String(), ["2026-01-01", ""]),
    (['"2026-01-01T10:00:00Z"'], pl.Datetime("us", "UTC"), [datetime(2026, 1, 1, 10, tzinfo=UTC)]),
    (['"a\\nb\\u00e9\\ud83d\\ude00\\u0000\\\\"', '"\\""'], pl.String(), ["a\nbé😀\x00\\", '"']),
    (
        ['{"a": 1}', '{"b": "x"}'],
        pl.Struct({"a": pl.Int64, "b": pl.String}),
        [{"a": 1, "b": None}, {"a": None, "b": "x"}],
    ),
    (["[1, 2]", "[]", "null"], pl.List(pl.Int64), [[1, 2], [], None]),
    (["[1, 2.5]"], pl.List(pl.Float64), [[1.0, 2.5]]),
    (['[{"a": [true]}]'], pl.List(pl.Struct({"a": pl.List(pl.Boolean)})), [[{"a": [True]}]]),
    (['{"a": 1}', '{"a": "x"}'], pl.String(), ['{"a":1}', '{"a":"x"}']),
    (['{"a": 12345678901234567890}'], pl.String(), ['{"a":12345678901234567890}']),
    (["{}", '{"a": 1}'], pl.String(), ["{}", '{"a":1}']),
    (["{}"], pl.String(), ["{}"]),
    (["null"], pl.String(), [None]),
]


@pytest.mark.parametrize(("texts", "dtype", "values"), COLUMNS, ids=lambda value: str(value)[:50])
def test_columns(path: Path, texts: list[str], dtype: pl.DataType, values: list[Any]) -> None:
    found = rows_of(path, lines(*texts))
    assert found.schema["v"] == dtype
    assert found["v"].to_list() == values
    assert rows_of(path, lines(*texts), schema={"v": "text"}).schema["v"] == pl.String()


def test_keys_that_are_absent_or_unusual(path: Path) -> None:
    found = rows_of(path, '{"b": 1, "a": 1}\n\n{"A": 2, "x/y~z": 3,  "q\\"": 5, "é": 6}\r\n')
    assert found.columns == ["b", "a", "A", "x/y~z", 'q"', "é"]
    assert found.rows() == [(1, 1, None, None, None, None), (None, None, 2, 3, 5, 6)]


def test_a_key_of_the_last_row_is_a_column(path: Path) -> None:
    found = rows_of(path, '{"a": 1}\n' * 200_000 + '{"z": 1, "c": "x", "a": "y"}\n')
    assert found.columns == ["a", "c", "z"]
    assert found.row(-1) == ('"y"', "x", 1)
    assert found["a"][0] == "1"


@pytest.mark.parametrize(
    "text",
    ['[{"a": 1}, {"a": 2}]', ' \n[\n {"a": 1},\n {"a": 2}\n]\n', '{"a": 1}\n{"a": 2}', '{\n "a": 1\n}\n{\n "a": 2\n}'],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress], ids=["plain", "gz", "zst"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_shapes_of_json(tmp_path: Path, text: str, pack: Any, encoding: str) -> None:
    assert rows_of(tmp_path / "rows.json", pack(text.encode(encoding)))["a"].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": }\n', r"rows\.ndjson, line 2: Expecting value: \{\"a\": \}"),
        ('{"a": 1}\n{"a":', r"rows\.ndjson, line 2"),
        ('{"a": 1}\n[1]\n', "a row is no object"),
        ("1\n", "a row is no object"),
        (b'{"a": "\xff"}\n', r"rows\.ndjson"),
    ],
)
def test_broken_lines_are_named(path: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        rows_of(path, text)


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a": 2}', '[{"a": 1},]', '[{"a": 1}] {"a": 2}', '[{"a"'])
def test_broken_arrays_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match=r"rows\.json is no JSON"):
        rows_of(tmp_path / "rows.json", text)


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gz", "zst"])
def test_truncated_files_are_refused(path: Path, pack: Any) -> None:
    text = "".join(f'{{"a": {n * n}}}\n' for n in range(50_000))
    with pytest.raises(SourceError, match=r"rows\.ndjson"):
        rows_of(path, pack(text.encode())[:-20])


def test_names_with_wildcards_are_names(tmp_path: Path) -> None:
    assert rows_of(tmp_path / "we[i]rd*?.ndjson", '{"a": 1}').rows() == [(1,)]


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6)
)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=2)),
    max_leaves=5,
)


def same(kept: Any, value: Any) -> bool:
    """Return whether a value survived: as itself, as its JSON text, objects with absent keys filled."""
    if isinstance(value, dict) and isinstance(kept, dict):
        return all(same(kept.get(key), item) for key, item in value.items()) and not any(
            kept[key] for key in kept.keys() - value.keys()
        )
    if isinstance(value, list) and isinstance(kept, list):
        return len(value) == len(kept) and all(map(same, kept, value))
    if kept == value or str(kept) == value:
        return True
    return isinstance(kept, str) and same(json.loads(kept), value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(trees, min_size=1, max_size=4))
def test_no_value_is_lost(tmp_path: Path, values: list[Any]) -> None:
    found = rows_of(tmp_path / "rows.ndjson", lines(*map(json.dumps, values)))
    for kept, value in zip(found["v"], values, strict=True):
        kept = kept.to_list() if isinstance(kept, pl.Series) else kept
        assert same(kept, value), (kept, value, found.schema)


def test_numbers_that_python_writes_and_json_does_not_know(path: Path) -> None:
    found = rows_of(path, lines("NaN", "1.5", "-Infinity", "null"))
    assert [str(value) for value in found["v"]] == ["nan", "1.5", "-inf", "None"]
