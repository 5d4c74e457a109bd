"""CSV: what other readers see, and every option."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from export_pipeline.errors import ConfigError, FormatError
from export_pipeline.formats import AnyFormat, Csv
from export_pipeline.verification import verify
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.test_contract import proven


def written(frame: pl.DataFrame, folder: Path, **options: Any) -> str:
    """Return the verified file as text."""
    form = Csv(**options)
    artifact = proven(form, frame, folder)
    return artifact.path.read_bytes().decode()


def test_defaults_are_rfc_4180(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a,b": [1, None], "t": ['say "x"\r\ny', ""], "u": [None, "é"]})
    assert written(frame, tmp_path) == '"a,b",t,u\r\n1,"say ""x""\r\ny",\r\n,"",é\r\n'


def test_python_and_duckdb_read_the_same_texts(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(len(nasty.TEXTS)), "text": nasty.TEXTS, "end": ["."] * len(nasty.TEXTS)})
    path = proven(Csv(), frame, tmp_path).path
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
    assert [row[1] for row in rows[1:]] == [text or "" for text in nasty.TEXTS]
    how = "all_varchar=true, allow_quoted_nulls=false, quote='\"', delim=',', header=true"
    query = f"SELECT text FROM read_csv('{path}', {how})"
    found = duckdb.execute(query).fetchall()
    assert [text for (text,) in found] == nasty.TEXTS


def test_null_is_told_from_its_text(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": ["NULL", None, "", 'N"', "x"]})
    assert written(frame, tmp_path, null_value="NULL", line_terminator="\n") == 'a\n"NULL"\nNULL\n""\n"N"""\nx\n'


@pytest.mark.parametrize(
    ("quotes", "said"), [("all", "null becomes the text ''"), ("none", "the text '' becomes null"), ("minimal", None)]
)
def test_what_quotes_cannot_tell_apart_is_a_named_loss(quotes: str, said: str | None) -> None:
    losses = Csv(quotes=quotes).losses(pl.Schema({"a": pl.String(), "n": pl.Int64()}))
    assert [(loss.column, loss.why.split(":")[0]) for loss in losses] == ([("a", said)] if said else [])


def test_values_that_need_quotes_are_refused_by_name(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": ["x", "y"], "b": ["1", "2,3"]})
    with pytest.raises(FormatError, match="column 'b', row 2: the value needs quotes: '2,3'"):
        Csv(quotes="none").write(frame.lazy(), tmp_path / "x.csv")
    with pytest.raises(ConfigError, match="'a,b' needs quotes"):
        Csv(quotes="none").check(pl.Schema({"a,b": pl.Int64()}))


@pytest.mark.parametrize(
    ("policy", "texts"), [("string", ["NaN", "inf", "-inf", "NaN", "1.5", ""]), ("null", ["", "", "", "", "1.5", ""])]
)
def test_non_finite_numbers(policy: str, texts: list[str], tmp_path: Path) -> None:
    frame = pl.DataFrame([nasty.column("non_finite"), pl.Series("n", range(6))])
    lines = written(frame, tmp_path, non_finite=policy, headers=False).split("\r\n")
    assert [line.split(",")[0] for line in lines[:-1]] == texts


def test_non_finite_numbers_can_be_an_error(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1.0, None, float("inf")]})
    with pytest.raises(FormatError, match="column 'x', row 3: the value is not a finite number"):
        Csv(non_finite="error").write(frame.lazy(), tmp_path / "x.csv")
    assert not list(tmp_path.iterdir())


def test_years_beyond_four_digits_are_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({"d": pl.Series([0, 3_000_000], dtype=pl.Int32).cast(pl.Date)})
    with pytest.raises(FormatError, match="column 'd', row 2: the value is outside of the years 1 to 9999"):
        Csv().write(frame.lazy(), tmp_path / "x.csv")


def test_instants_are_iso_8601_with_offset(tmp_path: Path) -> None:
    text = written(pl.DataFrame([nasty.column("zoned")]), tmp_path, null_value="-")
    assert text.split("\r\n")[1:-1] == [
        "0001-01-01T00:00:00.000000+00:00",  # the offset then, +00:53:28, has no form
        "2025-10-26T02:30:00.000000+02:00",
        "2025-10-26T02:30:00.000000+01:00",
        "2025-03-30T03:00:00.000000+02:00",
        "-",
    ]


def test_nested_binary_and_durations(tmp_path: Path) -> None:
    frame = nasty.table().select("list", "struct", "binary", "duration").head(2)
    rows = list(csv.reader(written(frame, tmp_path).splitlines()))
    assert rows[1][0] == "[1,null,9007199254740993]"
    assert '"z":"0001-01-01T00:00:00.000000+00:00"' in rows[1][1]
    assert rows[2][2:] == ["AP8K", "-PT23H59M59.999995S"]


def test_a_list_of_headers_may_repeat_a_name(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1], "b": [2]})
    assert written(frame, tmp_path, headers=["x", "x"], line_terminator="\n") == "x,x\n1,2\n"
    with pytest.raises(ConfigError, match="headers names 1 columns, there are 2: a, b"):
        Csv(headers=["x"]).write(frame.lazy(), tmp_path / "x.csv")


def test_no_rows_and_no_header_is_an_empty_file(tmp_path: Path) -> None:
    assert written(pl.DataFrame({"a": pl.Series([], dtype=pl.Int64)}), tmp_path, headers=False) == ""


def test_rows_longer_than_a_block(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(6), "text": ["x", "y" * 3_000_000, "z\n" * 9_000_000, None, "", "e"]})
    proven(Csv(), frame, tmp_path)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"delimeter": ";"}, "did you mean 'delimiter'"),
        ({"delimiter": ":"}, "Input should be"),
        ({"null_value": "true"}, "three different texts"),
        ({"null_value": "a,b"}, "must not hold the delimiter"),
        ({"compression": "lzma"}, "unknown compression 'lzma'"),
        ({"compression": {"gzip": 10}}, "less than or equal to 9"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(AnyFormat).validate_python({"csv": given})


def test_characters_have_names_too() -> None:
    form = TypeAdapter(AnyFormat).validate_python({"csv": {"delimiter": "tab", "lineTerminator": "lf"}})
    assert form == Csv(delimiter="\t", line_terminator="\n")
    assert TypeAdapter(AnyFormat).validate_python({"csv": form.dump()}) == form


def test_the_suffix_follows_the_compression() -> None:
    form = TypeAdapter(AnyFormat).validate_python({"csv": {"compression": {"zstd": 3}}})
    assert form.suffix == ".csv.zst"


def test_a_wrong_header_is_found(tmp_path: Path) -> None:
    artifact = Csv().write(pl.DataFrame({"abc": [1]}).lazy(), tmp_path / "x.csv")
    artifact.path.write_text("abd\r\n1\r\n")
    with pytest.raises(FormatError, match=r"the header is \['abd'\], not \['abc'\]"):
        list(Csv().read(artifact.path, pl.Schema({"abc": pl.Int64()})))


cells = st.one_of(st.none(), st.text(alphabet=st.sampled_from('ab,;"\r\n \\N^\0é'), max_size=6))


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells), max_size=8),
    quotes=st.sampled_from(["all", "minimal"]),
    null_value=st.sampled_from(["", "NULL"]),
    delimiter=st.sampled_from([",", ";"]),
    escape=st.sampled_from(['"', "\\", "^"]),
    encoding=st.sampled_from(["utf-8", "utf-16"]),
)
def test_any_texts_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str | None, str | None]],
    quotes: Any,
    null_value: str,
    delimiter: Any,
    escape: str,
    encoding: Any,
) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String}, orient="row")
    form = Csv(quotes=quotes, null_value=null_value, delimiter=delimiter, escape=escape, encoding=encoding)
    artifact = form.write(frame.lazy(), tmp_path_factory.mktemp("csv") / "x.csv")
    verify(artifact, form)
