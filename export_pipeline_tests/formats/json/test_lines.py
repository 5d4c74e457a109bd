"""Lists and members as lines, and who reads them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipeline.formats import Json
from export_pipeline.formats.json import duck
from export_pipeline.formats.json.lines import lines
from export_pipeline.formats.json.listed import Members, Records
from export_pipeline.formats.json.records import Style
from export_pipeline.formats.json.sizes import Sizes
from export_pipeline.formats.json.spelling import Spelling
from export_pipeline.formats.pieces import pieces
from export_pipeline.verification import verify
from export_pipeline_tests.formats.json.documents import assert_damage_is_found, json_form, written
from export_pipeline_tests.formats.json.structures import FRAME, STRUCTURES
from export_pipeline_tests.formats.test_contract import proven

NAMES = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\":{}, \n'), max_size=6)
ROWS = st.lists(st.tuples(NAMES, st.dictionaries(st.sampled_from("ab"), NAMES)), min_size=1, max_size=9)


def as_lines(records: Records, text: str, size: int = 1000) -> list[Any]:
    """Return what a strict parser reads of each line."""
    given = records.uniform(pieces(io.BytesIO(text.encode()), size=size))
    return [json.loads(line) for piece in given for line in bytes(records.lines(piece)).split(b"\n") if line.strip()]


@pytest.mark.parametrize("pretty", [False, True])
@given(rows=ROWS, size=st.sampled_from([1, 40, 1000]))
def test_members_and_records(pretty: bool, rows: list[tuple[str, dict[str, str]]], size: int) -> None:
    indent, colon = (4, ": ") if pretty else (0, ":")
    between = ",\n" + " " * indent
    dumped = [json.dumps(record, ensure_ascii=False, separators=(",", colon)) for _, record in rows]
    members = between.join(
        f"{json.dumps(name, ensure_ascii=False)}{colon}{text}" for (name, _), text in zip(rows, dumped, strict=True)
    )
    found = as_lines(Members(indent, colon=colon, field="key_"), members, size)
    assert found == [{"key_": name} | record for name, record in rows]
    assert as_lines(Records(indent), between.join(dumped), size) == [record for _, record in rows]


@pytest.mark.parametrize(
    "bad",
    [
        '{"a":1}\n{"a":2}',
        '{"a":1},,\n{"a":2}',
        '{"a":1},\n\n{"a":2}',
        '{"a":1},\n{"a":2},\n',
        "[1],\n[2]",
        '{"a":1},\n2}',
    ],
)
def test_what_is_no_list_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="comma"):
        as_lines(Records(), bad)


@pytest.mark.parametrize("bad", ['"k":1,\n"l":{}', '"k"{},\n"l":{}', '"k":[{}],\n"l":{}'])
def test_what_is_no_member_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"no comma|no members"):
        as_lines(Members(), bad)


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ValueError, match="UTF8"):
        Members().lines(b'"\xff":{},\n')


def test_duckdb_takes_no_long_lines_and_arrow_goes_on(tmp_path: Path) -> None:
    long = "x" * (duck.PIECE * 5)
    frame = pl.DataFrame({"n": range(30_000), "t": ["y" * 200] * 29_999 + [long]})
    for layout in ("records", "lines"):
        assert proven(Json(layout=layout), frame, tmp_path).rows == 30_000


@pytest.mark.parametrize("name", ["n=7", "k=b", "x=1", "f*", "f?", "f[a]", "~", "it's"])
def test_where_a_file_is_says_nothing_about_its_rows(name: str, tmp_path: Path) -> None:
    """DuckDB takes columns out of ``k=v/``, other files for a pattern, and compression for an ending."""
    frame = pl.DataFrame({"n": [1, 2], "k": ["a", "b"]})
    form = Json(layout="lines")
    (tmp_path / "fa").mkdir()
    form.write(frame.reverse().lazy(), tmp_path / "fa" / "rows.gz")
    (tmp_path / name).mkdir()
    assert verify(form.write(frame.lazy(), tmp_path / name / "rows.gz"), form).rows == 2


def test_duckdb_knows_no_column_without_a_name(tmp_path: Path) -> None:
    assert proven(Json(layout="lines"), pl.DataFrame({"": ["x", None], "n": [1, 2]}), tmp_path).rows == 2


def test_fields_that_are_not_there_depend_on_the_data_and_are_read_strictly(tmp_path: Path) -> None:
    """DuckDB reads ``{"a":1,}``; where records differ, every one is looked at by Arrow."""
    schema = pl.Schema({"a": pl.Int64(), "b": pl.Int64()})
    good, bad = b'{"a":1,"b":2}\n', b'{"a":1,}\n'
    path = tmp_path / "x.ndjson"
    path.write_bytes(good * 500_000 + bad)
    with pytest.raises(Exception, match="Missing a name"):
        list(lines(lambda: path.open("rb"), schema, Sizes(Style(Spelling(), "exclude"))))
    path.write_bytes(bad + good)
    with pytest.raises(Exception, match="Missing a name"):
        list(lines(lambda: path.open("rb"), schema, Sizes(Style(Spelling()))))


TWO = pl.DataFrame({"n": [1, 2], "l": [[1], None], "t": [None, "x"]})
PLAIN = TWO.drop("l")


@pytest.mark.parametrize("frame", [TWO, PLAIN], ids=["by Arrow", "by both"])
@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"}\n{", b"}{"),  # two records on a line: no reader of lines takes that
        (b"}\n{", b"}\n\n{"),
    ],
)
@pytest.mark.parametrize("compression", ["none", {"gzip": 1}])
def test_a_line_is_a_record(frame: pl.DataFrame, good: bytes, bad: bytes, compression: Any, tmp_path: Path) -> None:
    form = Json.model_validate({"layout": "lines", "compression": compression})
    assert_refused(form, frame, good, bad, tmp_path)


@pytest.mark.parametrize("layout", ["records", "lines"])
@pytest.mark.parametrize(
    ("good", "bad"), [(b',"t":null', b""), (b'"t":null', b'"t":null,"t":null'), (b'"n":1,"t":null', b'"t":null,"n":1')]
)
def test_a_first_record_has_every_field_once_in_order(layout: str, good: bytes, bad: bytes, tmp_path: Path) -> None:
    assert_refused(Json.model_validate({"layout": layout}), PLAIN, good, bad, tmp_path)


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize(("options", "word"), [({"non_finite": "string"}, "NaN"), ({"null_handling": "empty"}, "")])
def test_what_stands_for_a_value_is_a_text(pretty: bool, options: dict[str, str], word: str, tmp_path: Path) -> None:
    """Arrow takes ``NaN``, which is no JSON."""
    form = Json.model_validate(options | {"pretty_print": pretty})
    said = ':NaN ,"f":null :null: NaN'  # texts may say anything
    frame = pl.DataFrame({"t": [said, said], "f": [float("nan") if word else None, 1.0]})
    colon = b": " if pretty else b":"
    good = b'"f"' + colon + json.dumps(word).encode()
    assert_refused(form, frame, good, good.replace(b'"%s"' % word.encode(), word.encode() or b"null"), tmp_path)


@pytest.mark.parametrize("structure", STRUCTURES, ids=["flat", "nested", "normalized"])
@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('"metadata": {', '"metadata": {"name": "x",'),
        ('"name": "failed"', '"name": "passed"'),
        ('"version": "v1"', '"version": "v2"'),
        ('"n": "integer"', '"n": "float"'),
        ('"name": "failed"', '"name":  "failed"'),
        ('"name": "failed"', '"name": "\\u0066ailed"'),
    ],
)
def test_metadata_is_what_was_to_be_written(structure: Any, good: str, bad: str, tmp_path: Path) -> None:
    options = {"structure": structure, "include_metadata": True, "pretty_print": True}
    artifact = written(FRAME, tmp_path, **options)
    assert_damage_is_found(artifact, json_form(options), good, bad, "metadata|says of itself")


def assert_refused(form: Json, frame: pl.DataFrame, good: bytes, bad: bytes, folder: Path) -> None:
    """Write the file, replace some bytes, and see that it does not pass."""
    artifact = form.write(frame.lazy(), folder / f"x{form.suffix}")
    verify(artifact, form)
    assert_damage_is_found(artifact, form, good.decode(), bad.decode())


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(0, 300_000), min_size=1, max_size=6))
def test_files_in_memory_hold_the_last_piece_only(sizes: list[int]) -> None:
    schema = pl.Schema({"n": pl.Int64()})
    with duck.Reader(schema, "newline_delimited") as reader:
        for size in sizes:
            piece = b"".join(b'{"n":%d}\n' % n for n in range(size // 10))
            if piece:
                assert pl.Series(reader.table([piece])["n"]).to_list() == list(range(size // 10))
    left = [str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    assert not any("memfd:lines" in file for file in left)
